-- Partitions get the triggers of their table. Tables that inherit from it do not.
create function leasehold_internal.warn_of_children(target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  children text := (
    select string_agg(i.inhrelid::regclass::text, ', ' order by i.inhrelid)
      from pg_inherits i join pg_class c on c.oid = i.inhparent
     where i.inhparent = target and c.relkind = 'r');
begin
  if children is not null then
    raise warning using message = format('tables that inherit from %s are not protected with it: %s', target, children),
      hint = 'Protect each of them by itself.';
  end if;
end
$$;
