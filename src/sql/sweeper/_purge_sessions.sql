-- Deletes dead sessions that no lease names. Without its session's row a lease would end by its TTL alone. In the order of
-- _is_dead (decision 15): while we have the presence lock, the session cannot come back or be granted a lease. At most 100,
-- because all advisory locks share one small table.
create function leasehold_internal._purge_sessions(before timestamptz) returns integer
language plpgsql volatile
as $$
declare
  silent integer[];
  named integer[];
  purged integer;
begin
  -- is_connected also excludes sessions of this backend, which always gets a lock that it holds itself.
  silent := array(
    select p.id from leasehold_internal._presence() p
     where not p.is_connected and p.seen_at < before order by p.seen_at limit 100);
  if cardinality(silent) = 0 then
    return 0;
  end if;
  silent := array(select s from unnest(silent) s where pg_try_advisory_xact_lock_shared(:presence_class, s));
  named := array(
    select l.session_id from leasehold.leases l where l.session_id = any (silent) and l.token is not null
    union
    select s.session_id from leasehold.shares s where s.session_id = any (silent));
  delete from leasehold.sessions s
   where s.id = any (array(
     select d.id from leasehold.sessions d
      where d.id = any (silent) and d.id <> all (named) and d.seen_at < before for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
