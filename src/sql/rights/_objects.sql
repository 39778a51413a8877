-- Everything in the two schemas that has privileges of its own, with its ACL. The row types of tables and views count as types.
create function leasehold_internal._objects()
returns table (kind text, id oid, part smallint, name text, owner oid, acl aclitem[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with space as (select n.* from pg_namespace n where n.nspname in ('leasehold', 'leasehold_internal'))
  select 'schema', n.oid, 0::smallint, quote_ident(n.nspname), n.nspowner,
         coalesce(n.nspacl, acldefault('n', n.nspowner)) from space n
  union all
  select case when c.relkind = 'S' then 'sequence' else 'table' end, c.oid, 0::smallint,
         format('%I.%I', n.nspname, c.relname), c.relowner,
         coalesce(c.relacl, acldefault(case when c.relkind = 'S' then 's'::"char" else 'r' end, c.relowner))
    from pg_class c join space n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select 'column', c.oid, a.attnum, format('%I.%I.%I', n.nspname, c.relname, a.attname), c.relowner, a.attacl
    from pg_attribute a join pg_class c on c.oid = a.attrelid join space n on n.oid = c.relnamespace
   where a.attacl is not null and not a.attisdropped
  union all
  select 'routine', p.oid, 0::smallint, p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p join space n on n.oid = p.pronamespace
  union all
  -- array types follow their element types
  select 'type', t.oid, 0::smallint, format('%I.%I', n.nspname, t.typname), t.typowner,
         coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type t join space n on n.oid = t.typnamespace
   where not exists (select from pg_type e where e.typarray = t.oid);
$$;
