-- fillfactor: leaves room for the next version of a row on its page, so that renewals and releases are HOT updates (rule 2).
--
-- autovacuum: HOT pruning clears most old versions. Vacuuming the rest is cheap, so it has no cost delay. Waiting for the
-- default 20 % would let a hot table grow to many times its size. The threshold of 500 avoids a vacuum for a handful of rows.
--
-- vacuum_truncate: returning empty pages takes an access exclusive lock, and every acquire would wait for it.
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
comment on column leasehold.leases.key is 'What is locked: the full text, prefix included.';
comment on column leasehold.leases.token is
  'The secret of the grant: whoever knows it can renew and release. Null if nobody holds the key.';
comment on column leasehold.leases.fence is
  'The fencing token of the last grant. Each grant of a key has a larger one than all before; a renewal keeps it.';
comment on column leasehold.leases.owner is
  'Who holds the key, or held it last, as the client named itself (by default host:pid).';
comment on column leasehold.leases.session_id is 'The session whose death frees the key before its TTL. Null: only the TTL does.';
comment on column leasehold.leases.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.leases.takeover_ms is
  'How long the holder''s session must have been silent, in milliseconds, before the key of a dead holder is granted to the '
  'next. Chosen by the holder.';
comment on column leasehold.leases.min_hold_ms is
  'A release earlier than this many milliseconds after the grant keeps the key ungrantable until then. Chosen by the holder.';
comment on column leasehold.leases.max_hold_until is 'No renewal goes beyond this time. Null: no bound. Chosen by the holder.';
comment on column leasehold.leases.acquired_at is 'When the key was last granted.';
comment on column leasehold.leases.renewed_at is 'When the lease was last renewed; null if not since the grant.';
comment on column leasehold.leases.expires_at is
  'The lease expires here unless it is renewed. From then on the key can be granted to the next.';
comment on column leasehold.leases.hold_until is
  'Set by a release before min_hold_ms had passed: the key is not granted again until then.';
comment on column leasehold.leases.revoked_at is 'When the lease was taken away by force. It can no longer be renewed.';
comment on column leasehold.leases.queued is
  'Whether there may be waiters or shares. False: there are none. True may be out of date.';
comment on column leasehold.leases.metadata is 'Metadata from the holder.';
comment on column leasehold.leases.released_at is 'When the key was released. Null while it is held.';
comment on column leasehold.leases.acquisitions is 'How many times the key was granted since its row was created.';
