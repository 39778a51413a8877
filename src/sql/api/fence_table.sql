create function leasehold.fence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger;
  -- Triggers fire in the order of their names. This one comes late, because a later one could still change the row.
  trigger_name name := 'zz_leasehold_fence_' || column_name;
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  perform leasehold_internal.warn_of_children(target);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return;
  end if;
  execute format('lock table only %s in share row exclusive mode', quoted);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return; -- another transaction has created it in the meantime
  end if;
  if present.oid is not null then
    perform leasehold.unfence_table(target, column_name); -- it was disabled
  end if;
  -- The name would be truncated to 63 bytes, or is taken by the trigger of a column that was renamed.
  if octet_length('zz_leasehold_fence_' || column_name) > 63
     or exists (select from pg_trigger t where t.tgrelid = target and t.tgname = trigger_name) then
    trigger_name := 'zz_leasehold_fence_' || md5(clock_timestamp()::text);
  end if;
  -- In the trigger's condition it costs no function call for a row that passes.
  execute format(
    'create trigger %I before update on %s for each row
     when (new.%3$I < old.%3$I or (new.%3$I is null and old.%3$I is not null))
     execute function leasehold.refuse_old_fence()', trigger_name, quoted, column_name);
end
$$;

comment on function leasehold.fence_table(regclass, name) is
  'Makes a column keep the largest fence that its row was written with: select leasehold.fence_table(''public.accounts'', '
  '''fence''); An update that would lower it, or set it to null, fails with LH006. Each write must set the column to its fence.';
