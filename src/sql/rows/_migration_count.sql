-- The number of migrations that made this schema: as many as there are in migrations/. If the schema was restored without its
-- data, migrate() records that many as applied.
create function leasehold_internal._migration_count() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
return 2;
