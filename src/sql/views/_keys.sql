-- Every lease and share with its state, and the open transaction that keeps its row locked. What is free and has its row
-- locked is blocked. rank: of the rows of one key, which says most about who keeps it: 1, a holder; 2, one that is cooling;
-- 3, an open transaction; 4, what has ended; 5, what is free.
--
-- A row costs some comparisons of numbers: only one that may be locked asks _locker, which takes 8 us (0.8 s for 100,000
-- leases). In most, the lock that is still noted is that of the transaction which wrote the version, and that has ended.
-- "offset 0": or an expression is worked out anew for each column that needs it.
create view leasehold_internal._keys as
select l.key, l.mode, l.weight, l.capacity, l.fence, l.owner, l.session_id, l.ttl_ms, l.acquired_at, l.renewed_at,
       l.expires_at, l.max_hold_until, l.hold_until, l.revoked_at, l.metadata, l.acquisitions, l.is_taken,
       s.state,
       case when s.state in ('held', 'revoked') then 1 when s.state = 'cooling' then 2 when b.place is not null then 3
            when s.state = 'free' then 5 else 4 end as rank,
       b.place is not null as is_blocked,
       open.pids[b.place] as blocking_pid,
       open.gids[b.place] as blocking_transaction,
       l.is_session_alive, l.pid, l.host, l.client_address, l.application_name, l.takeover_at, l.now, l.is_standby
  from leasehold_internal._leases l
 cross join leasehold_internal._open_transactions() open
 cross join lateral (
   select case
            when open.xids is not null and l.locked <> '0'::xid and l.locked <> l.version
             and (age(l.locked) <= open.oldest or mxid_age(l.locked) between 1 and mxid_age(open.oldest_multixact))
              then leasehold_internal._locker(l.locked, open.xids, open.lone, open.oldest_multixact)
          end as place
   offset 0) b
 cross join lateral (
   select case when l.state = 'free' and b.place is not null then 'blocked' else l.state end as state offset 0) s;

comment on view leasehold_internal._keys is
  'Every row of leases and of shares with its state, and the open transaction that keeps it from being granted.';
