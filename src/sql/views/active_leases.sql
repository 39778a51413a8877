create view leasehold.active_leases as
select k.key, k.state, k.mode, k.weight, k.capacity,
       nullif(k.fence, 0) as fence,
       k.owner, k.session_id, k.is_session_alive, k.acquired_at,
       case when k.is_taken then k.renewed_at end as renewed_at,
       case when k.is_taken then k.expires_at end as expires_at,
       f.free_at,
       f.free_at - k.now as remaining,
       case when k.is_taken then k.now - k.acquired_at end as held_for,
       case when k.is_taken then k.ttl_ms * interval '1 millisecond' end as ttl,
       case when k.is_taken then k.max_hold_until end as max_hold_until,
       case when k.is_taken then k.revoked_at end as revoked_at,
       case when not k.is_standby then coalesce(queue.waiters, 0) end as waiters,
       k.blocking_pid, k.blocking_transaction,
       k.pid, k.host, k.client_address, k.application_name, k.metadata, k.acquisitions
  from leasehold_internal._keys k
 cross join lateral (
   select case when k.state in ('held', 'revoked') then k.expires_at when k.state = 'cooling' then k.hold_until end as free_at
 ) f
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = k.key
 where k.state in ('held', 'revoked', 'cooling') or k.is_blocked;

comment on view leasehold.active_leases is
  'Every key that cannot be granted now, whatever keeps it: who holds what, and what else is not free. A key that is shared '
  'has a row for each of its holders, and may be granted to others who share it. A lease that has ended is here while an '
  'open transaction keeps its key, else in expired_leases. A key whose very first grant is not committed is not here, for '
  'nobody can see its name: ask leasehold.check(key).';
comment on column leasehold.active_leases.key is 'What is locked, prefix included.';
comment on column leasehold.active_leases.state is
  'held. revoked: an operator took it away, and its holder has not let go yet. cooling: released, and kept until its minimum '
  'hold ends. blocked: released, and kept by an open transaction (blocking_pid, blocking_transaction), which guards it or is '
  'about to be granted it. expired, orphaned: not renewed in time, or its holder is dead; only an open transaction still keeps '
  'it.';
comment on column leasehold.active_leases.mode is
  'exclusive: alone. shared: a read lock, beside any number of others. semaphore: beside others as long as their weights '
  'fit into the capacity. Null: not known, for the grant is in an open transaction.';
comment on column leasehold.active_leases.weight is
  'What it takes of the capacity. Null: exclusive, which takes the whole key.';
comment on column leasehold.active_leases.capacity is
  'The capacity that it was acquired with. While several differ, the smallest counts. Null: not a semaphore.';
comment on column leasehold.active_leases.fence is
  'The fencing token of this grant. A later grant of the key has a larger one. Null: there was none yet.';
comment on column leasehold.active_leases.owner is
  'Who holds it, as the client named itself (by default host:pid); while cooling or blocked, who held it last.';
comment on column leasehold.active_leases.session_id is
  'Its session, see live_sessions. Null: without presence; if its process dies, the key is free at expires_at.';
comment on column leasehold.active_leases.is_session_alive is
  'Whether its session is connected. False: the process has died or is reconnecting; the lease is kept for takeover_ms after '
  'its last heartbeat. Null without presence, when it was released, and on a standby.';
comment on column leasehold.active_leases.acquired_at is 'When it was last granted.';
comment on column leasehold.active_leases.renewed_at is
  'When it was last renewed; the time of the grant if not since. Null: it was released.';
comment on column leasehold.active_leases.expires_at is 'When it expires unless it is renewed. Null: it was released.';
comment on column leasehold.active_leases.free_at is
  'When this ends at the latest: a lease that is held unless it is renewed, one that is revoked for sure, and the end of a '
  'minimum hold. Null: when the open transaction ends. One that is named keeps the key beyond this time, too.';
comment on column leasehold.active_leases.remaining is 'Time until free_at.';
comment on column leasehold.active_leases.held_for is 'Time since acquired_at. Null: it was released.';
comment on column leasehold.active_leases.ttl is 'Time to live, as last granted or renewed. Null: it was released.';
comment on column leasehold.active_leases.max_hold_until is 'No renewal goes beyond this time. Null: no bound.';
comment on column leasehold.active_leases.revoked_at is
  'When an operator took it away: it can no longer be renewed, and is free when its holder releases it or at expires_at. Null: '
  'not revoked.';
comment on column leasehold.active_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.active_leases.blocking_pid is
  'Server process whose open transaction (mostly a guarded one) keeps the key, whatever becomes of the lease. Null: none, or not '
  'known.';
comment on column leasehold.active_leases.blocking_transaction is
  'The same for a prepared transaction, which has no process: its name. End it with COMMIT PREPARED or ROLLBACK PREPARED.';
comment on column leasehold.active_leases.pid is
  'Server process of the session, as in pg_stat_activity. It is not the one that writes under the lock. Null without presence.';
comment on column leasehold.active_leases.host is 'Name of the client''s machine. Null without presence.';
comment on column leasehold.active_leases.client_address is
  'Address that the session comes from. Null without presence, or over a Unix socket.';
comment on column leasehold.active_leases.application_name is 'application_name of the session. Null without presence.';
comment on column leasehold.active_leases.metadata is 'Metadata from the holder, or the last one.';
comment on column leasehold.active_leases.acquisitions is 'How many times the key was granted since its row was created.';
