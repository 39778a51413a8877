-- The fence of a grant, see _fence, which is asked where the server was started anew. It is a part, for a function costs a
-- lone acquire 15 us. As a subquery it is run when its value is first wanted: once the row is locked.
coalesce(
  (select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
     from leasehold.fence_epoch e
    where e.id and e.server_start = pg_postmaster_start_time()
      and (e.source = 'manual' or leasehold_internal._may_read_wal_position())),
  leasehold_internal._fence())
