-- A sum that fits a bigint: a client that flushes nonsense must not be able to stop the sweeper.
create function leasehold_internal._capped(summed numeric) returns bigint
language sql immutable
return least(summed, 1000000000000000000)::bigint;
