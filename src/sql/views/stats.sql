create view leasehold.stats as
with bucket as materialized (
  select h.kind, u.place, sum(u.n) as n,
         sum(sum(u.n)) over (partition by h.kind order by u.place) as reached,
         sum(sum(u.n)) over (partition by h.kind) as total
    from leasehold.counters c
   cross join lateral (values ('wait', c.waits), ('hold', c.holds)) h (kind, counts)
   cross join lateral unnest(h.counts) with ordinality u (n, place)
   group by h.kind, u.place
),
-- The upper bound of the bucket in which so many are reached. The last bucket has none.
times as materialized (
  select b.kind, max(b.total) as total, array_agg(b.n::bigint order by b.place) as histogram,
         min(b.place) filter (where b.reached >= 0.5 * b.total and b.total > 0) as p50,
         min(b.place) filter (where b.reached >= 0.95 * b.total and b.total > 0) as p95,
         min(b.place) filter (where b.reached >= 0.99 * b.total and b.total > 0) as p99
    from bucket b
   group by b.kind
),
total as (
  select coalesce(sum(c.acquired), 0) as acquired, coalesce(sum(c.refused), 0) as refused, coalesce(sum(c.timed_out),
         0) as timed_out, coalesce(sum(c.cancelled), 0) as cancelled, coalesce(sum(c.failed), 0) as failed,
         coalesce(sum(c.contended), 0) as contended, coalesce(sum(c.released), 0) as released, coalesce(sum(c.renewed),
         0) as renewed, coalesce(sum(c.checked), 0) as checked, coalesce(sum(c.lost_expired), 0) as lost_expired,
         coalesce(sum(c.lost_taken), 0) as lost_taken, coalesce(sum(c.lost_max_hold), 0) as lost_max_hold,
         coalesce(sum(c.lost_forced), 0) as lost_forced, coalesce(sum(c.taken_over_expired), 0) as taken_over_expired,
         coalesce(sum(c.taken_over_orphaned), 0) as taken_over_orphaned, coalesce(sum(c.swept), 0) as swept,
         coalesce(sum(c.errors), 0) as errors, coalesce(sum(c.wait_ms), 0) as wait_ms, coalesce(sum(c.hold_ms), 0) as
         hold_ms,
         min(c.started_at) as since, max(c.flushed_at) as flushed_at
    from leasehold.counters c
)
select t.acquired::bigint, t.refused::bigint, t.timed_out::bigint, t.cancelled::bigint, t.failed::bigint,
       t.contended::bigint, t.released::bigint, t.renewed::bigint, t.checked::bigint,
       (t.lost_expired + t.lost_taken + t.lost_max_hold + t.lost_forced)::bigint as lost,
       t.lost_expired::bigint, t.lost_taken::bigint, t.lost_max_hold::bigint, t.lost_forced::bigint,
       (t.taken_over_expired + t.taken_over_orphaned)::bigint as taken_over,
       t.taken_over_expired::bigint, t.taken_over_orphaned::bigint, t.swept::bigint, t.errors::bigint,
       (select count(*) from leasehold_internal._leases l where l.state = 'held')::integer as active_leases,
       case when not pg_is_in_recovery()
         then (select count(*) from leasehold_internal._line() w where w.is_alive) end::integer as waiters,
       case when not pg_is_in_recovery() then
         (select count(*) from leasehold_internal._presence() p where p.is_connected and p.seen_at is not null)
       end::integer as sessions,
       leasehold_internal._mean(t.wait_ms, w.total) as wait_mean,
       case when w.p50 < 28 then 2 ^ (w.p50 - 1) * interval '1 millisecond' end as wait_p50,
       case when w.p95 < 28 then 2 ^ (w.p95 - 1) * interval '1 millisecond' end as wait_p95,
       case when w.p99 < 28 then 2 ^ (w.p99 - 1) * interval '1 millisecond' end as wait_p99,
       w.histogram as wait_histogram,
       leasehold_internal._mean(t.hold_ms, h.total) as hold_mean,
       case when h.p50 < 28 then 2 ^ (h.p50 - 1) * interval '1 millisecond' end as hold_p50,
       case when h.p95 < 28 then 2 ^ (h.p95 - 1) * interval '1 millisecond' end as hold_p95,
       case when h.p99 < 28 then 2 ^ (h.p99 - 1) * interval '1 millisecond' end as hold_p99,
       h.histogram as hold_histogram,
       t.since, t.flushed_at
  from total t
  left join times w on w.kind = 'wait'
  left join times h on h.kind = 'hold';

comment on view leasehold.stats is
  'What all lockers have counted since the schema was made, some seconds ago (statsFlushMs), and what there is now. One row. '
  'Calls of the SQL functions are not counted.';
comment on column leasehold.stats.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats.cancelled is
  'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.stats.failed is 'Acquires that ended with another error.';
comment on column leasehold.stats.contended is
  'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats.released is 'Leases that their holders have released.';
comment on column leasehold.stats.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.stats.checked is 'Calls that asked who holds a key.';
comment on column leasehold.stats.lost is 'Leases that their holders have lost, and know it: the sum of the next four.';
comment on column leasehold.stats.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.stats.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.stats.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.stats.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.stats.taken_over is
  'Grants that took the key from somebody who had not released it: the sum of the next two.';
comment on column leasehold.stats.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.stats.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.stats.swept is 'Rows that sweeps have purged.';
comment on column leasehold.stats.errors is 'What failed in the background.';
comment on column leasehold.stats.active_leases is 'Leases that are held now, as in active_leases.';
comment on column leasehold.stats.waiters is 'Acquires that wait in line now. Null on a standby.';
comment on column leasehold.stats.sessions is 'Sessions that live now. Null on a standby.';
comment on column leasehold.stats.wait_mean is
  'How long granted acquires took from the call to the grant, on average. Null: there was none.';
comment on column leasehold.stats.wait_p50 is
  'Half of them took no longer. The upper bound of a bucket: at most twice the exact time. Null: none, or longer than 18 hours.';
comment on column leasehold.stats.wait_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.wait_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.wait_histogram is
  'How many took no longer than 1, 2, 4, ... 2^26 milliseconds, and how many longer: 28 numbers. Histograms add up. Null: '
  'nothing was counted yet.';
comment on column leasehold.stats.hold_mean is 'How long leases were held that were released or lost, on average.';
comment on column leasehold.stats.hold_p50 is 'Half of them were held no longer, as with wait_p50.';
comment on column leasehold.stats.hold_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.hold_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.hold_histogram is 'How many were held for how long, in the buckets of wait_histogram.';
comment on column leasehold.stats.since is 'When the first counters were flushed. Null: none were.';
comment on column leasehold.stats.flushed_at is 'When the last counters were flushed.';
