-- Sessions as the server sees them: their rows without the nonce, and whether the presence lock is held. A lock without a row
-- is included: that session is coming back after a crash of the server, and is not dead. In plpgsql, because a standby cannot
-- read unlogged tables and must not try.
create function leasehold_internal._presence()
returns table (
  id integer, owner text, pid integer, host text, client_address inet, application_name text, version text,
  started_at timestamptz, seen_at timestamptz, is_connected boolean)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  if pg_is_in_recovery() then
    return;
  end if;
  return query
    select coalesce(s.id, k.id), s.owner, s.pid, s.host, s.client_address, s.application_name, s.version,
           s.started_at, s.seen_at, k.id is not null
      from leasehold.sessions s
      full join (
        select l.objid::bigint::integer as id
          from pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 2 and l.mode = 'ExclusiveLock' and l.granted
           and l.classid = :presence_class
           and l.objid::bigint < 2147483648 -- any role can take such a lock, also with a negative number
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
      ) k on k.id = s.id;
end
$$;

comment on function leasehold_internal._presence() is 'Sessions, and whether each holds its presence lock. Nothing on a standby.';
