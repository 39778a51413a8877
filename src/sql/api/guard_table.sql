create function leasehold.guard_table(target regclass, key text, shared boolean default false) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  table_name name := (select c.relname from pg_class c where c.oid = target);
  parent regclass;
  partition regclass;
  arguments text[]; -- of the trigger
begin
  if guard_table.shared is null then
    raise exception using errcode = 'LH003',
      message = 'shared is null', hint = 'Give true to accept the guards of shares, or false, or leave it out for false.';
  end if;
  arguments := array[key, table_name] || case when guard_table.shared then array['shared'] end;
  perform leasehold_internal.check_key_expression(target, key);
  perform leasehold_internal.warn_of_children(target);
  for attempt in 1..2 loop
    select p.tgrelid into parent
      from leasehold_internal.guard_triggers(target) t join pg_trigger p on p.oid = t.tgparentid
     where t.tgrelid = target;
    if found then
      raise exception using errcode = 'LH003',
        message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Guard that table: select leasehold.guard_table(%L, %L);', parent, key);
    end if;
    if exists (
         select from leasehold_internal.guard_triggers(target) t
          where t.tgrelid = target and t.tgname = 'zz_leasehold_guard' and t.tgenabled in ('O', 'A')
            and t.tgargs = (select string_agg(convert_to(a, getdatabaseencoding()) || E'\\000', '' order by n)
                              from unnest(arguments) with ordinality a (a, n)))
       and not exists (
         select from (select s.relid from pg_partition_tree(target) s union select target) s
          where not exists (
            select from pg_trigger t
             where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate' and t.tgenabled in ('O', 'A')))
    then
      return;
    end if;
    exit when attempt = 2;
    -- Then look again: another transaction may have guarded the table in the meantime.
    execute format('lock table only %s in share row exclusive mode', quoted);
  end loop;

  perform leasehold.unguard_table(target);
  execute format(
    'create trigger zz_leasehold_guard after insert or update or delete on %s for each row
     execute function leasehold.require_guard(%s)',
    quoted, (select string_agg(quote_literal(a), ', ' order by n) from unnest(arguments) with ordinality a (a, n)));
  for partition in
    select s.relid from (select s.relid from pg_partition_tree(target) s union select target) s
     where not exists (select from pg_trigger t where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate')
     order by s.relid
  loop
    execute format(
      'create trigger zz_leasehold_guard_truncate before truncate on %s for each statement
       execute function leasehold.require_guard()',
      leasehold_internal.check_table(partition));
  end loop;
end
$$;

comment on function leasehold.guard_table(regclass, text, boolean) is
  'Lets a table be written only in transactions that guard the key of the row: select '
  'leasehold.guard_table(''public.accounts'', $$''account:'' || id$$); "key" is an SQL expression over the columns that '
  'gives the full key of the lock. Other writes fail with LH005, and so does every truncate. Call it again to change the '
  'expression, and after creating a partition, to protect that from truncate. The guard of a share does not count, for two '
  'who share a key would write the same row; with shared => true it does, for tables in which those who share a key write '
  'rows of their own.';
