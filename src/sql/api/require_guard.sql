-- Runs after the row is written, when it has its final values: other triggers have changed it, generated columns are computed.
create function leasehold.require_guard() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- For every writer the expression must mean the same and give the same text, of a date or a float8 for example.
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  -- The expression may name columns with or without the table's name. It has a line of its own, since it may end in a comment.
  key_of text := '(select (' || tg_argv[0] || E'\n)::text from (select ($';
  row_named text := ').*) as ' || quote_ident(tg_argv[1]) || ')';
  keys text[];
  key text;
  is_guarded boolean;
  guards_share boolean;
begin
  if tg_op = 'TRUNCATE' then
    raise exception using errcode = 'LH005',
      message = format('%I.%I is a guarded table: it cannot be truncated', tg_table_schema, tg_table_name),
      detail = 'That would write the rows of every key, and no guard covers them all.',
      hint = format('Delete row by row under guards, or take the protection off first: select leasehold.unguard_table(%L);',
                    format('%I.%I', tg_table_schema, tg_table_name)),
      schema = tg_table_schema, table = tg_table_name;
  elsif tg_op = 'INSERT' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using new;
  elsif tg_op = 'DELETE' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using old;
  else
    -- An update that changes the key needs a guard for both keys.
    execute 'select array[' || key_of || '1' || row_named || ',' || key_of || '2' || row_named || ']' into keys using old, new;
    if keys[1] = keys[2] then
      keys := keys[1:1];
    end if;
  end if;

  foreach key in array keys loop
    if key is null then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: it has no key', tg_table_schema, tg_table_name),
        detail = format('The table is guarded, and %s is null for this row.', tg_argv[0]),
        hint = 'Give every row a key, or guard the table with an expression that is never null.',
        schema = tg_table_schema, table = tg_table_name;
    end if;
    -- A writer without guards may lack the right to call is_guarded. Then its name must not even be resolved.
    is_guarded := false;
    guards_share := false;
    if coalesce(current_setting('leasehold.guards', true), '') <> '' then
      is_guarded := leasehold.is_guarded(key, tg_nargs > 2);
      if not is_guarded then
        guards_share := leasehold.is_guarded(key, true);
      end if;
    end if;
    if not is_guarded then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: this transaction does not guard the key %L',
                         tg_table_schema, tg_table_name, key),
        hint = case
          when guards_share then format(
            'It guards a share of the key, and others who share it may write this row, too: acquire the key alone. Where '
            'each of them '
            'writes rows of its own: select leasehold.guard_table(%L, %L, shared => true);',
            format('%I.%I', tg_table_schema, tg_table_name), tg_argv[0])
          else format('Run this first, in the same transaction: select leasehold.guard(%L, <fence>);', key)
        end,
        schema = tg_table_schema, table = tg_table_name;
    end if;
  end loop;
  return null;
end
$$;

comment on function leasehold.require_guard() is 'Trigger function of guard_table.';
