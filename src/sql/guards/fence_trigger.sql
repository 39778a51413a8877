-- The trigger that fences a column, found by its dependency and not by its name: a column can be renamed, and a restore changes
-- column numbers. The trigger of a partition comes from that of its table, and only the latter has the dependency.
create function leasehold_internal.fence_trigger(target regclass, fence_column name) returns pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with recursive fencing as (
    select t.oid as id, t.oid, t.tgrelid, t.tgparentid
      from pg_trigger t
     where t.tgrelid = target and t.tgfoid = 'leasehold.refuse_old_fence()'::regprocedure
    union all
    select f.id, p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select t
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid
                     and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attname = fence_column
    join pg_trigger t on t.oid = f.id
   order by t.tgname
   limit 1;
end;
