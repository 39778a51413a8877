-- As in leases.sql. Rows come and go with each grant, so it is vacuumed like the waiters.
alter table leasehold.shares set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.shares is
  'One row per read lock and per part of a semaphore that is held, beside the row of its key in leases (decision 27).';
comment on column leasehold.shares.key is 'What is locked: the full text, prefix included.';
comment on column leasehold.shares.token is 'The secret of the grant: whoever knows it can renew and release.';
comment on column leasehold.shares.fence is
  'The fencing token of the grant. No other grant of the key has the same; a later exclusive one has a larger one.';
comment on column leasehold.shares.weight is 'What it takes of the capacity; of a read lock 1.';
comment on column leasehold.shares.capacity is
  'The capacity that it was granted under: while it is held, the weights of the key''s shares are not more. Null: a read lock.';
comment on column leasehold.shares.owner is 'Who holds it, as the client named itself (by default host:pid).';
comment on column leasehold.shares.session_id is
  'The session whose death ends it before its TTL. Null: only the TTL does.';
comment on column leasehold.shares.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.shares.takeover_ms is
  'How long the holder''s session must have been silent, in milliseconds, before the share of a dead holder ends. Chosen by the '
  'holder.';
comment on column leasehold.shares.min_hold_ms is
  'A release earlier than this many milliseconds after the grant keeps its room until then. Chosen by the holder.';
comment on column leasehold.shares.max_hold_until is 'No renewal goes beyond this time. Null: no bound. Chosen by the holder.';
comment on column leasehold.shares.acquired_at is 'When it was granted.';
comment on column leasehold.shares.renewed_at is 'When it was last renewed; the time of the grant if not since.';
comment on column leasehold.shares.expires_at is
  'It expires here unless it is renewed. From then on it is removed for the next who asks.';
comment on column leasehold.shares.hold_until is
  'Set by a release before min_hold_ms had passed: its room is not given away before that.';
comment on column leasehold.shares.revoked_at is 'When it was taken away by force. It can no longer be renewed.';
comment on column leasehold.shares.released_at is
  'When it was released, while a minimum hold or an open transaction keeps the row. Null while it is held.';
comment on column leasehold.shares.metadata is 'Metadata from the holder.';
