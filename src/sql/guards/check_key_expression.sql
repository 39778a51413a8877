-- Checks that the expression of guard_table gives a text. The expression is parsed but never run, because it may fail for a row
-- of nulls. The table is not read either: the planner would run immutable functions of its row policies with the caller's
-- rights (rule 11).
create function leasehold_internal.check_key_expression(target regclass, key text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- as in require_guard
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  columns text := (
    select string_agg(format('(whole."row").%I', a.attname), ', ')
      from pg_attribute a
     where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v');
  key_type regtype;
begin
  if coalesce(key, '') !~ '[^[:space:]]' then
    raise exception using errcode = 'LH003', message = format('the key of %s is empty: there is nothing to guard it by', quoted),
      hint = 'Give an SQL expression over the columns of the table, such as: ''account:'' || id';
  end if;
  begin
    execute format(
      'select pg_typeof(k.key) from (values (true)) as one (row) left join (select (%s
       ) as key from (select %s from (select null::%s as "row" offset 0) as whole) as %I where false) as k on true',
      key, columns, quoted, (select c.relname from pg_class c where c.oid = target))
      into strict key_type;
  exception
    when insufficient_privilege then
      raise;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception
      or cardinality_violation or no_data_found or too_many_rows then
      raise exception using errcode = 'LH003',
        message = format('the key of %s is no expression over its columns: %s', quoted, key),
        detail = sqlerrm,
        hint =
          'Give an SQL expression such as: ''account:'' || id. Virtual generated columns have no value in a trigger; your own '
          'functions need their schema.';
  end;
  if (select t.typcategory from pg_type t where t.oid = key_type) <> 'S' then
    raise exception using errcode = 'LH003',
      message = format('the key of %s is of type %s, a key is a text: %s', quoted, key_type, key),
      hint = format('Write it as the lock''s full key: ''account:'' || (%s)', key);
  end if;
end
$$;
