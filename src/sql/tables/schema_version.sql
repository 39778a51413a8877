comment on table leasehold.schema_version is 'The versions of this schema that were applied. The largest one counts.';
comment on column leasehold.schema_version.version is 'Version of the schema.';
comment on column leasehold.schema_version.min_client is 'The oldest client version that can work with it.';
comment on column leasehold.schema_version.applied_at is 'When it was applied.';
