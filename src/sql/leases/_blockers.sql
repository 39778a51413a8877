-- The server process that keeps the rows of these keys locked or has not committed their first grant, or the prepared
-- transaction (which has no process). Not all can be found. For more than 100 keys it reads the whole table and reports other
-- keys, too. One plan for all calls: planning takes longer than looking at one key (0.6 ms became 0.2).
create function leasehold_internal._blockers(keys text[])
returns table (key text, pid integer, gid text)
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  suspects text[];
  others integer;
  missing text[];
  next_xid numeric := pg_snapshot_xmax(pg_current_snapshot())::text;
  oldest_xid numeric := pg_snapshot_xmin(pg_current_snapshot())::text;
begin
  -- A transaction that has locked a row has also locked the table. On a standby there is none.
  select array_agg(k.virtualtransaction), count(*) filter (where k.pid is distinct from pg_backend_pid())
    into suspects, others
    from (
      select distinct k.virtualtransaction, k.pid
        from pg_locks k
       where k.locktype = 'relation' and k.relation = 'leasehold.leases'::regclass
         and k.mode in ('RowShareLock', 'RowExclusiveLock') and k.granted
         and k.database = (select d.oid from pg_database d where d.datname = current_database())) k;
  if suspects is null then
    return;
  end if;
  missing := array(select u.key from unnest(keys) u (key) where not exists (select from leasehold.leases l where l.key = u.key));
  return query
    with open as materialized (
      select k.transactionid as xid, k.virtualtransaction, k.pid
        from pg_locks k
       where k.locktype = 'transactionid' and k.granted and k.virtualtransaction = any (suspects)
    ),
    -- xmax is a transaction, or a multixact of several (guards) of which some may have finished. Nothing says which. Take it
    -- for a transaction if one with that number is running, else for a multixact if the table can have one with that number.
    marked as materialized (
      select l.key, l.xmax as xid
        from unnest(keys) k (key) join leasehold.leases l on l.key = k.key
       where cardinality(keys) <= 100 and l.xmax <> '0'::xid
      union all
      select l.key, l.xmax from leasehold.leases l where cardinality(keys) > 100 and l.xmax <> '0'::xid
    ),
    lockers as materialized (
      select m.key, m.xid from marked m
      union all
      select m.key, member.xid
        from marked m
       cross join lateral pg_get_multixact_members(
         case
           when not exists (select from open o where o.xid = m.xid)
            and mxid_age(m.xid) between 1 and mxid_age(
              (select c.relminmxid from pg_class c where c.oid = 'leasehold.leases'::regclass))
             then m.xid
         end) member
    ),
    holders as (
      select l.key, o.virtualtransaction from lockers l join open o on o.xid = l.xid
      union
      -- A released subtransaction no longer has a lock of its own, and nothing leads from it to its transaction. But if only
      -- one other transaction has locked rows, it is that one.
      select l.key, o.virtualtransaction
        from lockers l
       cross join lateral (select next_xid - mod(next_xid - l.xid::text::numeric + 4294967296, 4294967296) as full_xid) x
       cross join open o
       where others = 1 and o.pid is distinct from pg_backend_pid()
         and not exists (select from open known where known.xid = l.xid)
         and x.full_xid >= oldest_xid and pg_xact_status(x.full_xid::text::xid8) = 'in progress'
      union
      -- A key without a visible row: a transaction that inserts it holds the key's advisory lock until it ends (decision 20).
      select m.key, k.virtualtransaction
        from unnest(missing) m (key)
        join pg_locks k on k.objid = (leasehold_internal._key_lock(m.key) & 4294967295)::oid
                       and k.classid = (leasehold_internal._key_lock(m.key) >> 32 & 4294967295)::oid
       where k.locktype = 'advisory' and k.objsubid = 1 and k.mode = 'ExclusiveLock' and k.granted
         and k.database = (select d.oid from pg_database d where d.datname = current_database())
    )
    select distinct on (h.key) h.key, o.pid, p.gid
      from holders h
      join open o on o.virtualtransaction = h.virtualtransaction
      left join pg_prepared_xacts p on o.pid is null and p.transaction = o.xid
     where o.pid is not null or p.gid is not null
     order by h.key, o.pid;
end
$$;
