-- The keys in the collation of the table: only then a condition on the key is one on the key of who keeps it, too.
create view leasehold.waiting as
select w.key, w."position", w.mode, w.weight, w.capacity, w.ticket, w.owner, w.session_id,
       w.enqueued_at as waiting_since,
       clock.now - w.enqueued_at as waiting_for,
       w.alive_until, w.is_alive,
       blocking.owner as blocked_by,
       blocking.fence as blocked_by_fence,
       case when blocking.key is not null then greatest(blocking.acquired_at, w.enqueued_at) end as blocked_since,
       blocking.blocking_pid, blocking.blocking_transaction,
       p.pid, p.host
  from (select q.key collate "C" as key, q."position", q.mode, q.weight, q.capacity, q.ticket, q.owner, q.session_id,
               q.enqueued_at, q.alive_until, q.is_alive
          from leasehold_internal._queue() q) w
 cross join (select clock_timestamp() as now) clock
  left join (
         select distinct on (k.key) k.key, k.owner, k.fence, k.acquired_at,
                first_value(k.blocking_pid) over any_of_key as blocking_pid,
                first_value(k.blocking_transaction) over any_of_key as blocking_transaction
           from leasehold_internal._keys k
          where (k.state in ('held', 'revoked', 'cooling') or k.is_blocked)
            -- As a list: or each waiter is joined with all sessions, to find that of the holder.
            and k.key = any (array(select distinct q.key from leasehold_internal._queue() q))
         -- Of several who share the key any may be guarded: that keeps it whoever of them goes.
         window any_of_key as (
           partition by k.key order by k.blocking_pid is null and k.blocking_transaction is null, k.rank, k.fence)
          order by k.key, k.rank, k.fence
       ) blocking on blocking.key = w.key
  left join leasehold_internal._presence() p on p.id = w.session_id;

comment on view leasehold.waiting is 'Who waits for what, behind how many others, and who is in the way. Empty on a standby.';
comment on column leasehold.waiting.key is 'What is waited for, prefix included.';
comment on column leasehold.waiting."position" is
  'Position in the queue of the key: 1 is next. Null for a waiter that is not alive: the others pass it.';
comment on column leasehold.waiting.mode is
  'What it waits for. exclusive: the key for itself. shared: a read lock. semaphore: a part of the capacity.';
comment on column leasehold.waiting.weight is 'What it will take of the capacity. Null: exclusive, which takes the whole key.';
comment on column leasehold.waiting.capacity is 'The capacity that it asks with. Null: not a semaphore.';
comment on column leasehold.waiting.ticket is 'The number that orders the queue.';
comment on column leasehold.waiting.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiting.session_id is 'Its session, see live_sessions. Null without presence.';
comment on column leasehold.waiting.waiting_since is
  'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiting.waiting_for is 'Time since waiting_since.';
comment on column leasehold.waiting.alive_until is 'Each look of the waiting client extends this, every second or so.';
comment on column leasehold.waiting.is_alive is 'Whether alive_until is in the future. False: the client is dead or frozen.';
comment on column leasehold.waiting.blocked_by is
  'Who keeps the key: its holder (of several who share it, the oldest), or its last holder while the minimum hold lasts or '
  'an open transaction guards the key. Null: the key is free for the head of the queue.';
comment on column leasehold.waiting.blocked_by_fence is 'The fencing token of that grant.';
comment on column leasehold.waiting.blocked_since is 'Since when that holder has kept this waiter waiting.';
comment on column leasehold.waiting.blocking_pid is
  'Server process whose open transaction (a guarded one) keeps the key, whoever holds it. Null: none, or not known.';
comment on column leasehold.waiting.blocking_transaction is
  'The same for a prepared transaction, which has no process: its name. End it with COMMIT PREPARED or ROLLBACK PREPARED.';
comment on column leasehold.waiting.pid is 'Server process of the waiting session. Null without presence.';
comment on column leasehold.waiting.host is 'Name of the waiting client''s machine. Null without presence.';
