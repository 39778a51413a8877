create function leasehold.unguard_table(target regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger;
begin
  for present in select * from leasehold_internal.guard_triggers(target) loop
    if present.tgparentid <> 0 then
      raise exception using errcode = 'LH003',
        message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Take it off that table: select leasehold.unguard_table(%L);',
                      (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid));
    end if;
    execute format('drop trigger %I on %s', present.tgname, leasehold_internal.check_table(present.tgrelid));
  end loop;
end
$$;

comment on function leasehold.unguard_table(regclass) is
  'Undoes guard_table: select leasehold.unguard_table(''public.accounts'');';
