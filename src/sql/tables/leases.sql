-- fillfactor: room for the next version of a row on its own page, so that renewals and releases are HOT updates.
-- autovacuum: HOT pruning clears most old versions; what is left is small, and a vacuum of it is cheap (no cost delay),
-- while waiting for the default 20 % would let a hot table grow to many times its size. Threshold 500: not for every handful
-- of rows. vacuum_truncate: giving empty pages back takes an access exclusive lock, behind which every acquire would wait.
alter table leasehold.leases set (
  fillfactor = 45,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.leases is
  'One row per key: who holds it, until when, and with which fence. A released key keeps its row.';
comment on column leasehold.leases.key is 'What is locked. The full text is the identity, prefix included.';
comment on column leasehold.leases.token is
  'The secret of the grant: who knows it may renew and release. Null when nobody holds the key.';
comment on column leasehold.leases.fence is
  'The fencing token of the last grant. Each grant of a key has a larger one than all before; a renewal keeps it.';
comment on column leasehold.leases.owner is
  'Who holds the key, or held it last, as the client named itself (by default host:pid).';
comment on column leasehold.leases.session_id is 'The session whose death frees the key before its TTL. Null: by TTL alone.';
comment on column leasehold.leases.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.leases.takeover_ms is
  'How long the session of the holder must have been silent, in milliseconds, before a dead holder''s key is granted to the '
  'next. Chosen by the holder.';
comment on column leasehold.leases.min_hold_ms is
  'A release earlier than this many milliseconds after the grant keeps the key ungrantable until then. Chosen by the holder.';
comment on column leasehold.leases.max_hold_until is
  'No renewal goes beyond this instant. Null: no such bound. Chosen by the holder.';
comment on column leasehold.leases.acquired_at is 'When the key was last granted.';
comment on column leasehold.leases.renewed_at is 'When the lease was last renewed; null if not since the grant.';
comment on column leasehold.leases.expires_at is
  'The lease ends here unless it is renewed before. From then on the key is free for the next one.';
comment on column leasehold.leases.hold_until is
  'Set by a release before min_hold_ms was over: the key is not granted again until then.';
comment on column leasehold.leases.revoked_at is 'When the lease was taken away by force: it is not renewed any more.';
comment on column leasehold.leases.queued is 'There may be waiters. False implies that there are none; true may be out of date.';
comment on column leasehold.leases.metadata is 'What the holder chose to tell about the lease.';
comment on column leasehold.leases.released_at is 'Since when nobody holds the key: when it was released. Null while it is held.';
comment on column leasehold.leases.acquisitions is 'How many times the key was granted since its row was made.';
