-- Unlogged: a crash of the server ends every session anyway. Safety needs it, too (decision 15): the rows must not survive a
-- crash, nor appear on a promoted standby.
alter table leasehold.sessions set unlogged;

-- As in leases.sql.
alter table leasehold.sessions set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off
);

comment on table leasehold.sessions is
  'One row per process that holds locks with presence. Unlogged: sessions do not survive a crash of the server.';
comment on column leasehold.sessions.id is
  'The number of the session. It holds the advisory lock (:presence_class, id) for as long as it lives.';
comment on column leasehold.sessions.nonce is 'Random identity of the session, by which it recognises its own connection.';
comment on column leasehold.sessions.owner is 'Who it is, as the client named itself.';
comment on column leasehold.sessions.pid is 'The server process of the session''s connection, as in pg_stat_activity.';
comment on column leasehold.sessions.host is 'The name of the client''s machine, as the client gave it.';
comment on column leasehold.sessions.client_address is 'The address that the connection came from. Null: a Unix socket.';
comment on column leasehold.sessions.application_name is 'application_name of the connection.';
comment on column leasehold.sessions.version is 'The version of the Leasehold client.';
comment on column leasehold.sessions.started_at is 'When the session was opened.';
comment on column leasehold.sessions.seen_at is
  'The last heartbeat. A session whose lock is free and that was silent for takeover_ms is dead.';
