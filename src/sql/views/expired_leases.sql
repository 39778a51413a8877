create view leasehold.expired_leases as
select k.key, k.mode, k.weight, k.capacity, k.fence, k.owner, k.session_id,
       k.state as reason,
       k.expires_at,
       k.now - case when k.state = 'expired' then k.expires_at else k.takeover_at end as expired_for,
       case when not k.is_standby then coalesce(queue.waiters, 0) end as waiters
  from leasehold_internal._keys k
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = k.key
 where k.state in ('expired', 'orphaned') and not k.is_blocked;

comment on view leasehold.expired_leases is
  'Leases that have ended without a release: expired, or their holder has died. Their keys are granted to the next who '
  'asks. A key that was shared has a row for each share that has ended, while others may still hold theirs. While an open '
  'transaction keeps such a key, it is in active_leases.';
comment on column leasehold.expired_leases.key is 'What was locked, prefix included.';
comment on column leasehold.expired_leases.mode is 'exclusive, shared (a read lock) or semaphore.';
comment on column leasehold.expired_leases.weight is 'What it took of the capacity. Null: exclusive.';
comment on column leasehold.expired_leases.capacity is 'The capacity that it was acquired with. Null: not a semaphore.';
comment on column leasehold.expired_leases.fence is 'The fencing token of that grant.';
comment on column leasehold.expired_leases.owner is 'Who held it.';
comment on column leasehold.expired_leases.session_id is 'Its session. Null without presence.';
comment on column leasehold.expired_leases.reason is
  'expired: it was not renewed in time. orphaned: its process is confirmed dead. A standby only knows the first.';
comment on column leasehold.expired_leases.expires_at is 'When it expired, or would have expired had its process lived.';
comment on column leasehold.expired_leases.expired_for is 'Time since it ended.';
comment on column leasehold.expired_leases.waiters is 'How many wait for the key. Null on a standby.';
