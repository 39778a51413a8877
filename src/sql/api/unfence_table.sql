create function leasehold.unfence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger := leasehold_internal.fence_trigger(target, column_name);
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  if present.tgparentid <> 0 then
    raise exception using errcode = 'LH003',
      message = format('%s is a partition, and fenced through the table that it is a part of', quoted),
      hint = format('Unfence that table: select leasehold.unfence_table(%L, %L);',
                    (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid), column_name);
  end if;
  if present.oid is not null then
    execute format('drop trigger %I on %s', present.tgname, quoted);
  end if;
end
$$;

comment on function leasehold.unfence_table(regclass, name) is
  'Undoes fence_table: select leasehold.unfence_table(''public.accounts'', ''fence''); The column stays.';
