-- The triggers of guard_table on a table: the one for rows, which partitions inherit, and those for truncate, which they do
-- not.
create function leasehold_internal.guard_triggers(target regclass) returns setof pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select t.*
    from pg_trigger t
   where t.tgfoid = 'leasehold.require_guard()'::regprocedure
     and (t.tgrelid = target
       or t.tgname = 'zz_leasehold_guard_truncate'
         and t.tgrelid in (select s.relid from pg_partition_tree(target) s)
         -- a partition may have a guard of its own
         and not exists (
           select from pg_trigger o where o.tgrelid = t.tgrelid and o.tgname = 'zz_leasehold_guard' and o.tgparentid = 0));
end;
