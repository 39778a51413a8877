create function leasehold_internal.schema_info()
returns table (version integer, min_client integer)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
  -- A schema restored without its data lacks the rows that every function needs. It counts as missing.
  select applied.version, applied.min_client
    from leasehold.schema_version as applied
   where exists (select from leasehold.fence_epoch) and exists (select from leasehold.sweeper)
   order by applied.version desc
   limit 1;
$$;

comment on function leasehold_internal.schema_info() is
  'The version of the schema, and the oldest client that can work with it. No row: the rows that every function needs are '
  'missing, and migrate() restores them.';
