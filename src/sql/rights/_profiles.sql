-- The rights that grant_usage, grant_monitoring and grant_admin give. Each has a mark among them, so that what they gave can
-- be told from what default privileges, a restore or a wholesale grant gave: the right to read one column of a view, which
-- none of those give. It is the role's whatever the role is called later, and goes with the other rights where a restore
-- drops them; a table with the names of roles would do neither.
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
  -- A leading underscore marks what only other functions call. Taking a lock from its holder is for administrators.
  select 'usage', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold_internal' and left(p.proname, 1) <> '_' and p.proname <> 'force_release'
      or n.nspname = 'leasehold' and p.proname in (
           'try_acquire', 'renew', 'release', 'check', 'attach', 'detach',
           'guard', 'is_guarded', 'check_fence', 'fence_table', 'unfence_table', 'guard_table', 'unguard_table',
           'refuse_old_fence', 'require_guard') -- create trigger asks for the right to its function
  union all
  select 'monitoring', 'schema', n.oid, 0::smallint, 'USAGE' from space n where n.nspname = 'leasehold'
  union all
  select 'monitoring', 'table', c.oid, 0::smallint, 'SELECT'
    from pg_class c join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold' and c.relkind = 'v'
  union all
  -- Whoever reads a view must be allowed to execute the functions in it. By name they cannot be called: that takes usage on
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
   where n.nspname = 'leasehold' and p.proname in ('force_release', 'sweep', 'bump_epoch', 'reset_fence')
      or n.nspname = 'leasehold_internal' and p.proname = 'force_release';
$$;
