create view leasehold.live_sessions as
select p.id, p.owner, p.pid, p.host, p.client_address, p.application_name, p.version, p.started_at, p.seen_at,
       clock.now - p.seen_at as silent_for,
       p.is_connected as is_alive,
       coalesce(held.leases, 0) as leases,
       coalesce(queue.waits, 0) as waits
  from leasehold_internal._presence() p
 cross join (select clock_timestamp() as now) clock
  left join (select l.session_id, count(*)::integer as leases
               from leasehold_internal._leases l where l.state in ('held', 'revoked') group by l.session_id) held
    on held.session_id = p.id
  left join (select w.session_id, count(*)::integer as waits
               from leasehold_internal._queue() w where w.is_alive group by w.session_id) queue
    on queue.session_id = p.id
 where p.seen_at is not null;

comment on view leasehold.live_sessions is
  'Processes that take locks with presence, including those that ended without closing and were not swept yet. Empty on a '
  'standby.';
comment on column leasehold.live_sessions.id is 'Number of the session, which active_leases and waiting refer to.';
comment on column leasehold.live_sessions.owner is 'Who it is, as the client named itself.';
comment on column leasehold.live_sessions.pid is 'Server process of its connection, as in pg_stat_activity.';
comment on column leasehold.live_sessions.host is 'Name of the client''s machine.';
comment on column leasehold.live_sessions.client_address is 'Address that the connection comes from. Null: a Unix socket.';
comment on column leasehold.live_sessions.application_name is 'application_name of the connection.';
comment on column leasehold.live_sessions.version is 'Version of the Leasehold client.';
comment on column leasehold.live_sessions.started_at is 'When the session was opened.';
comment on column leasehold.live_sessions.seen_at is 'Its last heartbeat.';
comment on column leasehold.live_sessions.silent_for is 'Time since seen_at.';
comment on column leasehold.live_sessions.is_alive is
  'Whether it is connected, that is, holds its presence lock. False: the process has died or is reconnecting.';
comment on column leasehold.live_sessions.leases is 'How many leases it holds: in active_leases as held or revoked.';
comment on column leasehold.live_sessions.waits is 'In how many queues it waits.';
