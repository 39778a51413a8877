-- Called when the trigger's condition has found that the fence of the row would decrease.
create function leasehold.refuse_old_fence() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  fence_column name;
  was bigint;
  comes bigint;
begin
  -- The column may have been renamed. Only the trigger of the whole table depends on it, not those of its partitions.
  with recursive fencing as (
    select t.oid, t.tgrelid, t.tgparentid from pg_trigger t where t.tgrelid = tg_relid and t.tgname = tg_name
    union all
    select p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select a.attname into fence_column
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid
                     and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attnum > 0
   limit 1;
  if fence_column is not null then
    execute format('select ($1).%1$I, ($2).%1$I', fence_column) into was, comes using old, new;
  end if;
  raise exception using
    errcode = 'LH006',
    message = case
      when comes is null then format('a row of %I.%I cannot lose its fence', tg_table_schema, tg_table_name)
      else format('fence %s is too old for a row of %I.%I', comes, tg_table_schema, tg_table_name) end,
    detail = format('The row was written with fence %s. "%s" takes the same fence or a larger one.', was, fence_column),
    hint = 'A later holder of the lock has written this row: acquire the lock again, read again, then write.',
    schema = tg_table_schema, table = tg_table_name, column = coalesce(fence_column, '');
end
$$;

comment on function leasehold.refuse_old_fence() is 'Trigger function of fence_table.';
