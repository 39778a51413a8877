-- Null if there was nothing to average. Bounded as intervals are: a client that flushes nonsense must not break the views.
create function leasehold_internal._mean(summed_ms float8, times numeric) returns interval
language sql immutable
return case when times > 0 then least(summed_ms / times::float8, 1e15) * interval '1 millisecond' end;

comment on function leasehold_internal._mean(float8, numeric) is 'How long something took, on average.';
