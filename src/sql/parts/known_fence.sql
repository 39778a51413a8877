-- A fence, or null if the epoch was not verified since the server was started, or the right to read the position was taken
-- away.
(select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
   from leasehold.fence_epoch e
  where e.id and e.server_start = pg_postmaster_start_time()
    and (e.source = 'manual' or leasehold_internal._may_read_wal_position()))
