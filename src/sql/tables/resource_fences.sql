-- As in leases.sql.
alter table leasehold.resource_fences set (fillfactor = 70, vacuum_truncate = off);

comment on table leasehold.resource_fences is
  'High-water marks: the largest fence with which each resource was used, see check_fence. A row may be deleted once no stale '
  'writer is left.';
comment on column leasehold.resource_fences.resource is 'What the writers call the resource.';
comment on column leasehold.resource_fences.fence is 'The largest fence that was checked. Smaller ones are refused.';
comment on column leasehold.resource_fences.checked_at is 'When the mark rose last.';
