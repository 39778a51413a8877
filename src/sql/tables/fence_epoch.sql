comment on table leasehold.fence_epoch is
  'The upper part of fences, in one row. It keeps fences rising over a failover, a recovery to an earlier point, a restore into '
  'another cluster, and pg_upgrade.';
comment on column leasehold.fence_epoch.id is 'Always true: there is one row.';
comment on column leasehold.fence_epoch.system_identifier is
  'The cluster in which the last fences were issued (pg_control_system). Null: the service hides it.';
comment on column leasehold.fence_epoch.database_id is
  'Random identity of this database, made with the tables. It stands in for system_identifier if the service hides that.';
comment on column leasehold.fence_epoch.base is
  'Added to the timeline (less one) to give the epoch. Source manual: the epoch itself.';
comment on column leasehold.fence_epoch.top is
  'The largest epoch that was used. Another cluster or another source starts above it.';
comment on column leasehold.fence_epoch.source is
  'auto: a fence is a position in the write-ahead log, under an epoch that follows the timeline of the server. manual: this '
  'service hides those; fences come from a sequence, and an operator raises the epoch after each failover or restore.';
comment on column leasehold.fence_epoch.epoch is
  'The epoch that was last verified. Valid for as long as the server that verified it runs.';
comment on column leasehold.fence_epoch.server_start is
  'When the server that verified the epoch was started (pg_postmaster_start_time). After another start it is verified again.';
