-- The epoch, or null if it was not verified since the server was started.
(select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time())
