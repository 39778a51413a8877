-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
create view leasehold.stats_by_prefix as
select p.prefix,
       sum(p.:prefix_counter)::bigint as :prefix_counter,
       leasehold_internal._mean(sum(p.wait_ms), sum(p.acquired)) as wait_mean
  from leasehold.counters c
 cross join lateral jsonb_to_recordset(c.prefixes) as p (
         prefix text,
         :prefix_counter bigint,
         wait_ms float8)
 group by p.prefix;

comment on view leasehold.stats_by_prefix is
  'Acquires by the first part of their key (up to the first ":" after the locker''s own prefix, unless statsPrefix says '
  'otherwise), over all lockers since the schema was created.';
comment on column leasehold.stats_by_prefix.prefix is
  'What the keys begin with. Null: the sum of all prefixes beyond the hundred that a process tells apart.';
comment on column leasehold.stats_by_prefix.:prefix_counter is :prefix_counter_text;
comment on column leasehold.stats_by_prefix.wait_mean is 'How long granted acquires took from the call to the grant, on average.';
