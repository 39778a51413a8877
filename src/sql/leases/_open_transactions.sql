-- The transactions that have locked rows of leases or of shares and are still open, as arrays with a place for each number
-- that such a transaction has (its subtransactions have their own): the number, the server process, or the name of a prepared
-- transaction (which has no process), and the virtual number. The lowest process comes first, our own transaction last. All
-- null when there is none, as on a standby.
--
-- lone: the place of the only transaction but our own; 0 if there are several, null if there is none. oldest: the age of the
-- oldest transaction that is open at all. oldest_multixact: the tables have none before that one. Not its age, which grows with
-- each multixact that is made meanwhile: the first one would be taken for one that the tables cannot have. One row, and one
-- look at the locks, for a view over all keys as for one key.
create function leasehold_internal._open_transactions(
  out xids xid[], out pids integer[], out gids text[], out transactions text[], out lone integer, out oldest integer,
  out oldest_multixact xid)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  with lock as materialized (
    select k.locktype, k.transactionid as xid, k.virtualtransaction, k.pid
      from pg_locks k
     where k.granted
       and (k.locktype = 'transactionid'
            -- A transaction that has locked a row has also locked the table.
            or k.locktype = 'relation' and k.relation in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)
               and k.mode in ('RowShareLock', 'RowExclusiveLock')
               and k.database = (select d.oid from pg_database d where d.datname = current_database()))
  ),
  open as (
    select t.xid, t.pid, p.gid, t.virtualtransaction,
           row_number() over (order by t.pid is not distinct from pg_backend_pid(), t.pid, p.gid, t.xid::text) as place
      from lock t
      left join pg_prepared_xacts p on t.pid is null and p.transaction = t.xid
     where t.locktype = 'transactionid'
       and t.virtualtransaction in (select r.virtualtransaction from lock r where r.locktype = 'relation')
  ),
  other as (
    select min(o.place) as place, count(distinct o.virtualtransaction) as count
      from open o
     where o.pid is distinct from pg_backend_pid()
  )
  select array_agg(o.xid order by o.place), array_agg(o.pid order by o.place), array_agg(o.gid order by o.place),
         array_agg(o.virtualtransaction order by o.place),
         (select case when r.count > 1 then 0 else r.place end from other r)
    into xids, pids, gids, transactions, lone
    from open o;
  if xids is not null then
    oldest := age(pg_snapshot_xmin(pg_current_snapshot())::xid);
    oldest_multixact := (
      select c.relminmxid
        from pg_class c
       where c.oid in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)
       order by mxid_age(c.relminmxid) desc
       limit 1);
  end if;
end
$$;

comment on function leasehold_internal._open_transactions() is
  'Open transactions that have locked rows of leases or of shares, prepared ones too. All null on a standby.';
