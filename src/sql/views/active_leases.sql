create view leasehold.active_leases as
select l.key, l.fence, l.owner, l.session_id, l.is_session_alive, l.acquired_at, l.renewed_at, l.expires_at,
       l.expires_at - l.now as remaining,
       l.now - l.acquired_at as held_for,
       l.ttl_ms * interval '1 millisecond' as ttl,
       l.max_hold_until, l.revoked_at,
       case when not l.is_standby then coalesce(queue.waiters, 0) end as waiters,
       l.pid, l.host, l.client_address, l.application_name, l.metadata, l.acquisitions
  from leasehold_internal._leases l
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = l.key
 where l.state = 'held';

comment on view leasehold.active_leases is 'Who holds what: leases whose key cannot be granted to anybody else.';
comment on column leasehold.active_leases.key is 'What is locked, prefix included.';
comment on column leasehold.active_leases.fence is 'The fencing token of the grant. A later grant of the key has a larger one.';
comment on column leasehold.active_leases.owner is 'Who holds it, as the client named itself (by default host:pid).';
comment on column leasehold.active_leases.session_id is
  'Its session, see live_sessions. Null: without presence; if its process dies, the key is free at expires_at.';
comment on column leasehold.active_leases.is_session_alive is
  'Whether its session is connected. False: the process has died or is reconnecting; the lease is kept for takeover_ms after '
  'its last heartbeat. Null without presence, and on a standby.';
comment on column leasehold.active_leases.acquired_at is 'When it was granted.';
comment on column leasehold.active_leases.renewed_at is 'When it was last renewed; the time of the grant if not since.';
comment on column leasehold.active_leases.expires_at is 'When it expires unless it is renewed.';
comment on column leasehold.active_leases.remaining is 'Time until expires_at.';
comment on column leasehold.active_leases.held_for is 'Time since acquired_at.';
comment on column leasehold.active_leases.ttl is 'Time to live, as last granted or renewed.';
comment on column leasehold.active_leases.max_hold_until is 'No renewal goes beyond this time. Null: no bound.';
comment on column leasehold.active_leases.revoked_at is
  'When an operator took it away: it can no longer be renewed, and is free when its holder releases it or at expires_at. Null: '
  'not revoked.';
comment on column leasehold.active_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.active_leases.pid is
  'Server process of the session, as in pg_stat_activity. It is not the one that writes under the lock. Null without presence.';
comment on column leasehold.active_leases.host is 'Name of the client''s machine. Null without presence.';
comment on column leasehold.active_leases.client_address is
  'Address that the session comes from. Null without presence, or over a Unix socket.';
comment on column leasehold.active_leases.application_name is 'application_name of the session. Null without presence.';
comment on column leasehold.active_leases.metadata is 'Metadata from the holder.';
comment on column leasehold.active_leases.acquisitions is 'How many times the key was granted since its row was created.';
