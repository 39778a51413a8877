-- Called whenever a client connects. Notices when the database has moved to a service that hides the WAL position.
create function leasehold_internal.fence_source() returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  known leasehold.fence_epoch;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if known.server_start = pg_postmaster_start_time()
     and (known.source = 'manual' or leasehold_internal._may_read_wal_position())
     or pg_is_in_recovery()
  then
    return known.source;
  end if;
  return (select v.source from leasehold_internal._verify_epoch() v);
end
$$;
