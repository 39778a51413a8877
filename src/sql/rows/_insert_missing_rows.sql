-- Inserts the rows that every function needs where they are missing: in new tables, and in a schema that was restored without
-- its data.
create function leasehold_internal._insert_missing_rows() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  server record;
  epoch bigint;
  next bigint;
  largest bigint;
begin
  insert into leasehold.schema_version (version, min_client) values (2, 2) on conflict do nothing;
  insert into leasehold.sweeper default values on conflict do nothing;
  insert into leasehold_internal.ticket_secret (secret)
  values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
  on conflict do nothing;
  if not exists (select from leasehold.fence_epoch) then
    server := leasehold_internal._server_identity();
    epoch := coalesce(server.timeline - 1, 0);
    -- If leases were kept, their fences show the least epoch it had reached.
    largest := (
      select max(seen.fence)
        from (select l.fence from leasehold.leases l union all select r.fence from leasehold.resource_fences r) seen);
    next := epoch << 48;
    if server.timeline is not null then -- an "if", because an expression needs the right even if it does not make the call
      next := next + (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
    end if;
    if largest > next then
      epoch := (largest >> 48) + 1;
    end if;
    insert into leasehold.fence_epoch (system_identifier, base, top, source, epoch, server_start)
    values (server.identifier, epoch - coalesce(server.timeline - 1, 0), epoch,
            case when server.timeline is null then 'manual' else 'auto' end, epoch, pg_postmaster_start_time())
    on conflict do nothing;
  end if;
end
$$;
