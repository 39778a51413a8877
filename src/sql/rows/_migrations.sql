-- How many migrations made this schema: as many as there are in migrations/. Where it was restored without its data,
-- migrate() notes so many as done.
create function leasehold_internal._migrations() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
return 2;
