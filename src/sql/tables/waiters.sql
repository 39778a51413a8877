-- Unlogged: a crash of the server ends every wait anyway.
alter table leasehold.waiters set unlogged;

-- As in leases.sql.
alter table leasehold.waiters set (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off
);

comment on table leasehold.waiters is
  'The queues: one row per acquire that waits for a key. Unlogged: empty after a crash of the server, and waiting clients queue '
  'again by themselves.';
comment on column leasehold.waiters.key is 'The key waited for.';
comment on column leasehold.waiters.ticket is 'The position in the queue: the live entry with the lowest ticket is next.';
comment on column leasehold.waiters.token is 'The token that the grant will have: a secret.';
comment on column leasehold.waiters.session_id is
  'The session of the waiting client, which is notified when the key becomes free. Null: it only polls.';
comment on column leasehold.waiters.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiters.weight is
  'What the share takes that is waited for: 1 of a read lock. Null: the whole key is waited for.';
comment on column leasehold.waiters.capacity is
  'The capacity that the share is waited for under. Null: a read lock, or the whole key.';
comment on column leasehold.waiters.enqueued_at is
  'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiters.alive_until is
  'Each look of the waiting client extends this. After it the entry is skipped: the client is dead or frozen.';
