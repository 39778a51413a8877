create view leasehold.expired_leases as
select l.key, l.fence, l.owner, l.session_id,
       l.state as reason,
       l.expires_at,
       l.now - case when l.state = 'expired' then l.expires_at else l.takeover_at end as expired_for,
       case when not l.is_standby then coalesce(queue.waiters, 0) end as waiters,
       b.pid as blocking_pid,
       b.gid as blocking_transaction
  from leasehold_internal._leases l
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = l.key
  left join leasehold_internal._blockers(
         array(select e.key from leasehold_internal._leases e where e.state in ('expired', 'orphaned'))) b
    on b.key = l.key
 where l.state in ('expired', 'orphaned');

comment on view leasehold.expired_leases is
  'Leases that have ended without a release: expired, or their holder has died. Their keys are granted to the next who asks, '
  'once no open transaction guards them.';
comment on column leasehold.expired_leases.key is 'What was locked, prefix included.';
comment on column leasehold.expired_leases.fence is 'The fencing token of that grant.';
comment on column leasehold.expired_leases.owner is 'Who held it.';
comment on column leasehold.expired_leases.session_id is 'Its session. Null without presence.';
comment on column leasehold.expired_leases.reason is
  'expired: it was not renewed in time. orphaned: its process is confirmed dead. A standby only knows the first.';
comment on column leasehold.expired_leases.expires_at is 'When it expired, or would have expired had its process lived.';
comment on column leasehold.expired_leases.expired_for is 'Time since it ended.';
comment on column leasehold.expired_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.expired_leases.blocking_pid is
  'Server process whose open transaction (a guarded one) keeps the key from the next. Null: none, or not known.';
comment on column leasehold.expired_leases.blocking_transaction is
  'The same for a prepared transaction, which has no process: its name. End it with COMMIT PREPARED or ROLLBACK PREPARED.';
