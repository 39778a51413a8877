-- The quoted name of a table that can be fenced and guarded. fence_table and guard_table run with the rights of their caller,
-- and their triggers with those of the writer (rule 11).
create function leasehold_internal.check_table(target regclass) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation record;
begin
  select c.relkind, format('%I.%I', n.nspname, c.relname) as name into relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = target;
  if not found then
    raise exception using errcode = 'LH003',
      message = 'the table is ' || coalesce(format('not there: no relation has the oid %s', target::oid), 'null'),
      hint = 'Give its name, with its schema: ''public.accounts''.';
  end if;
  if relation.relkind not in ('r', 'p') then
    raise exception using errcode = 'LH003',
      message = format('%s is not a table but %s', relation.name, case relation.relkind
        when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table' when 'S' then 'a sequence'
        when 'i' then 'an index' when 'I' then 'an index' when 'c' then 'a composite type' else 'something else' end),
      hint = case relation.relkind
        when 'v' then 'Name the table that the view writes to.'
        when 'f' then 'Protect the table where it is: on its own server.'
        else 'Name a table.' end;
  end if;
  return relation.name;
end
$$;
