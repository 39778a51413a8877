-- Which open transaction keeps the row of a key locked, or that of one of its shares, or has not committed its first grant:
-- its server process, or the name of a prepared transaction. Both null: it is not known which, or is_blocked is false.
-- p_fence: of a share; then it is asked about that share alone.
create function leasehold_internal._blocker(
  p_key text, p_fence bigint default null, out is_blocked boolean, out pid integer, out gid text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  newest record;
  open record;
  place integer;
  places integer[];
begin
  is_blocked := false;
  if p_fence is not null then
    select s.xmin as version, s.xmax as locked into newest from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  else
    select l.xmin as version, l.xmax as locked into newest :newest_lease;
  end if;
  -- Who has written the version that everybody sees has ended, or is this transaction.
  if newest.locked in ('0'::xid, newest.version)
    and (p_fence is not null
         or not exists (select from leasehold.shares s where s.key = p_key and s.xmax <> '0'::xid and s.xmax <> s.xmin)) then
    return;
  end if;
  select o.* into open from leasehold_internal._open_transactions() o;
  if open.xids is null then
    return;
  end if;
  if newest.version is null and p_fence is null then
    -- A transaction that inserts a key holds its advisory lock until it ends (decision 20).
    place := (
      select min(array_position(open.transactions, k.virtualtransaction))
        from pg_locks k
       where k.locktype = 'advisory' and k.objsubid = 1 and k.mode = 'ExclusiveLock' and k.granted
         and k.objid = (leasehold_internal._key_lock(p_key) & 4294967295)::oid
         and k.classid = (leasehold_internal._key_lock(p_key) >> 32 & 4294967295)::oid
         and k.database = (select d.oid from pg_database d where d.datname = current_database()));
  elsif newest.locked <> '0'::xid and newest.locked <> newest.version then
    place := leasehold_internal._locker(newest.locked, open.xids, open.lone, open.oldest_multixact);
  end if;
  places := place || case when p_fence is null then array(
    select leasehold_internal._locker(s.xmax, open.xids, open.lone, open.oldest_multixact)
      from leasehold.shares s
     where s.key = p_key and s.xmax <> '0'::xid and s.xmax <> s.xmin) end;
  -- One that can be told, and our own transaction only if there is no other.
  place := (
    select p from unnest(places) p
     where p is not null
     order by open.pids[p] is not distinct from pg_backend_pid(), p = 0, p
     limit 1);
  is_blocked := place is not null;
  pid := open.pids[place];
  gid := open.gids[place];
end
$$;
