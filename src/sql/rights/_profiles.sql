-- The privileges that grant_usage, grant_monitoring and grant_admin give. Each profile includes a mark: the right to read one
-- column of a view, which default privileges, a restore or a wholesale grant never give. It shows that the other privileges
-- were given on purpose. The mark stays with a role that is renamed, and is lost with the other privileges in a restore that
-- drops them. A table with the names of roles would do neither.
create function leasehold_internal._profiles()
returns table (profile text, kind text, id oid, part smallint, privilege text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with space as (select n.* from pg_namespace n where n.nspname in ('leasehold', 'leasehold_internal'))
  select a.attname::text, 'column', a.attrelid, a.attnum, 'SELECT'
    from pg_attribute a join pg_class c on c.oid = a.attrelid join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold_internal' and c.relname = '_granted' and a.attnum > 0
  union all
  select 'usage', 'schema', n.oid, 0::smallint, 'USAGE' from space n
  union all
  -- A leading underscore marks functions that only other functions call; "admin_" those for administrators. force_release and
  -- sweep tell anybody which right they need.
  select 'usage', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold_internal' and left(p.proname, 1) <> '_' and left(p.proname, 6) <> 'admin_'
      or n.nspname = 'leasehold' and p.proname in (
           'try_acquire', 'acquire', 'renew', 'release', 'check', 'attach', 'detach', 'detach_lock', 'adopt', 'force_release',
           'sweep',
           'guard', 'is_guarded', 'check_fence', 'fence_table', 'unfence_table', 'guard_table', 'unguard_table',
           'refuse_old_fence', 'require_guard') -- create trigger needs the right to execute its function
  union all
  select 'monitoring', 'schema', n.oid, 0::smallint, 'USAGE' from space n where n.nspname = 'leasehold'
  union all
  select 'monitoring', 'table', c.oid, 0::smallint, 'SELECT'
    from pg_class c join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold' and c.relkind = 'v'
  union all
  -- Tells of a key without a row, which no view can.
  select 'monitoring', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold' and p.proname = 'check'
  union all
  -- A role that reads a view must be able to execute the functions in it. It cannot call them by name: that needs usage on
  -- their schema.
  select distinct 'monitoring', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_depend d
    join pg_rewrite r on r.oid = d.objid
    join pg_class v on v.oid = r.ev_class
    join space on space.oid = v.relnamespace
    join pg_proc p on p.oid = d.refobjid
    join space n on n.oid = p.pronamespace
   where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_proc'::regclass and n.nspname = 'leasehold_internal'
  union all
  select 'admin', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold' and p.proname in ('bump_epoch', 'reset_fence')
      or n.nspname = 'leasehold_internal' and left(p.proname, 6) = 'admin_';
$$;
