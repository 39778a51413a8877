create view leasehold.stats_by_prefix as
select p.prefix,
       sum(p.acquired)::bigint as acquired,
       sum(p.refused)::bigint as refused,
       sum(p.timed_out)::bigint as timed_out,
       sum(p.contended)::bigint as contended,
       sum(p.taken_over)::bigint as taken_over,
       leasehold_internal._mean(sum(p.wait_ms), sum(p.acquired)) as wait_mean
  from leasehold.counters c
 cross join lateral jsonb_to_recordset(c.prefixes) as p (
         prefix text, acquired bigint, refused bigint, timed_out bigint, contended bigint, taken_over bigint, wait_ms float8)
 group by p.prefix;

comment on view leasehold.stats_by_prefix is
  'Acquires by the first part of their key (up to the first ":" after the locker''s own prefix, unless statsPrefix says '
  'otherwise), over all lockers since the schema was made.';
comment on column leasehold.stats_by_prefix.prefix is
  'What the keys begin with. Null: all prefixes together that were too many to be told apart, more than a hundred in a process.';
comment on column leasehold.stats_by_prefix.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats_by_prefix.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats_by_prefix.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats_by_prefix.contended is
  'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats_by_prefix.taken_over is 'Grants that took the key from somebody who had not released it.';
comment on column leasehold.stats_by_prefix.wait_mean is 'How long granted acquires took from the call to the grant, on average.';
