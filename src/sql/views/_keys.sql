-- Every lease with its state, and the open transaction that keeps its row locked. A free key whose row is locked is blocked.
--
-- A row costs some comparisons of numbers here: only one that may be locked asks _locker. The version of a row was written by
-- a transaction that has ended, and often its lock is still noted in it; 100,000 leases that were renewed once took 1 s
-- without that. "offset 0": or what follows is worked out once for each column that names it.
create view leasehold_internal._keys as
select l.key, l.fence, l.owner, l.session_id, l.ttl_ms, l.acquired_at, l.renewed_at, l.expires_at, l.max_hold_until,
       l.hold_until, l.revoked_at, l.metadata, l.acquisitions,
       s.state,
       b.place is not null as is_blocked,
       open.pids[b.place] as blocking_pid,
       open.gids[b.place] as blocking_transaction,
       l.is_session_alive, l.pid, l.host, l.client_address, l.application_name, l.takeover_at, l.now, l.is_standby
  from leasehold_internal._leases l
 cross join leasehold_internal._open_transactions() open
 cross join lateral (
   select case
            when open.xids is not null and l.locked <> '0'::xid and l.locked <> l.version
             and (age(l.locked) <= open.oldest or mxid_age(l.locked) between 1 and open.multixacts)
              then leasehold_internal._locker(l.locked, open.xids, open.lone, open.multixacts)
          end as place
   offset 0) b
 cross join lateral (
   select case when l.state = 'free' and b.place is not null then 'blocked' else l.state end as state offset 0) s;

comment on view leasehold_internal._keys is
  'Every row of leases with its state, and the open transaction that keeps it from being granted.';
