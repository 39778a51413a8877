create function leasehold_internal.check_fence_column(target regclass, column_name name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  col pg_attribute;
begin
  select a.* into col from pg_attribute a
   where a.attrelid = target and a.attname = column_name and a.attnum > 0 and not a.attisdropped;
  if not found then
    raise exception using errcode = 'LH003',
      message = format('%s has no column %s', quoted, coalesce(quote_ident(column_name), 'without a name')),
      hint = format('Add it: alter table %s add column %I bigint;', quoted, coalesce(column_name, 'fence'));
  end if;
  if col.atttypid <> 'bigint'::regtype then
    raise exception using errcode = 'LH003',
      message = format('the column %I of %s is of type %s, a fence is a bigint',
                       column_name, quoted, format_type(col.atttypid, col.atttypmod)),
      detail = 'A fence is a position in the write-ahead log, and soon larger than any integer.',
      hint = format('alter table %s alter column %I type bigint;', quoted, column_name);
  end if;
  if col.attgenerated <> '' then
    raise exception using errcode = 'LH003',
      message = format('the column %I of %s is generated: nobody can write a fence into it', column_name, quoted),
      hint = format('Take an ordinary column: alter table %s add column fence bigint;', quoted);
  end if;
end
$$;
