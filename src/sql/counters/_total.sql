-- A sum that fits: who flushes nonsense must not be able to stop the sweeper.
create function leasehold_internal._total(summed numeric) returns bigint
language sql immutable
return least(summed, 1000000000000000000)::bigint;
