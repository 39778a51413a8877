-- The epoch as _epoch tells it: a part, for the function costs who joins a queue 10 us.
coalesce(
  (select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time()),
  leasehold_internal._epoch())
