-- Dead sessions that no lease names: without its session's row a lease ends by its TTL alone. The order is that of _is_dead:
-- with the presence lock in hand the session cannot come back, nor be granted a lease. At most 100, for these locks share one
-- small table.
create function leasehold_internal._purge_sessions(before timestamptz) returns integer
language plpgsql volatile
as $$
declare
  silent integer[];
  named integer[];
  purged integer;
begin
  -- Not its own either: a backend is always given the lock that it has.
  silent := array(
    select p.id from leasehold_internal._presence() p
     where not p.is_connected and p.seen_at < before order by p.seen_at limit 100);
  if cardinality(silent) = 0 then
    return 0;
  end if;
  silent := array(select s from unnest(silent) s where pg_try_advisory_xact_lock_shared(:presence_class, s));
  named := array(select distinct l.session_id from leasehold.leases l where l.session_id = any (silent) and l.token is not null);
  delete from leasehold.sessions s
   where s.id = any (array(
     select d.id from leasehold.sessions d
      where d.id = any (silent) and d.id <> all (named) and d.seen_at < before for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
