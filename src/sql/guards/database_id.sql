-- Identifies this database. Two databases of one cluster differ in their oid, restored copies in their cluster. If the service
-- hides the cluster's identifier, the random id of the tables stands in for it.
create function leasehold_internal.database_id() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  known leasehold.fence_epoch;
  identifier bigint;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  -- Until the first grant on this server the row may be another server's. Find out now what that grant will.
  identifier := case
    when known.server_start = pg_postmaster_start_time() then known.system_identifier
    else (select s.identifier from leasehold_internal._server_identity() s)
  end;
  return coalesce(identifier::text, known.database_id::text) || '/'
    || (select d.oid from pg_database d where d.datname = current_database());
end
$$;
