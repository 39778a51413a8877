-- The trigger that fences a column. By what it depends on, not by its name: a column can be renamed, and numbers change in a
-- restore. A partition has its trigger from its table, whose trigger has the dependency.
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
