-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
create view leasehold.stats as
with bucket as materialized (
  select h.kind, u.number, sum(u.n) as n,
         sum(sum(u.n)) over (partition by h.kind order by u.number) as reached,
         sum(sum(u.n)) over (partition by h.kind) as total
    from leasehold.counters c
   cross join lateral (values ('wait', c.waits), ('hold', c.holds)) h (kind, counts)
   cross join lateral unnest(h.counts) with ordinality u (n, number)
   group by h.kind, u.number
),
-- The bucket in which each percentile is reached. The last bucket has no upper bound.
times as materialized (
  select b.kind, max(b.total) as total, array_agg(b.n::bigint order by b.number) as histogram,
         min(b.number) filter (where b.reached >= 0.5 * b.total and b.total > 0) as p50,
         min(b.number) filter (where b.reached >= 0.95 * b.total and b.total > 0) as p95,
         min(b.number) filter (where b.reached >= 0.99 * b.total and b.total > 0) as p99
    from bucket b
   group by b.kind
),
total as (
  select min(c.started_at) as since, max(c.flushed_at) as flushed_at,
         coalesce(sum(c.:counter), 0) as :counter,
         coalesce(sum(c.wait_ms), 0) as wait_ms, coalesce(sum(c.hold_ms), 0) as hold_ms
    from leasehold.counters c
)
select t.acquired::bigint, t.refused::bigint, t.timed_out::bigint, t.cancelled::bigint, t.failed::bigint,
       t.contended::bigint, t.released::bigint, t.renewed::bigint, t.checked::bigint,
       (t.lost_expired + t.lost_taken + t.lost_max_hold + t.lost_forced)::bigint as lost,
       t.lost_expired::bigint, t.lost_taken::bigint, t.lost_max_hold::bigint, t.lost_forced::bigint,
       (t.taken_over_expired + t.taken_over_orphaned)::bigint as taken_over,
       t.taken_over_expired::bigint, t.taken_over_orphaned::bigint, t.swept::bigint, t.errors::bigint,
       (select count(*) from leasehold_internal._leases l where l.state in ('held', 'revoked'))::integer as active_leases,
       case when not pg_is_in_recovery()
         then (select count(*) from leasehold_internal._queue() w where w.is_alive) end::integer as waiters,
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
  'What all lockers have counted since the schema was created, as of some seconds ago (statsFlushMs), and what there is now. '
  'One row. Calls of the SQL functions are not counted.';
comment on column leasehold.stats.:counter is :counter_text;
comment on column leasehold.stats.lost is 'Leases that their holders know to be lost: the sum of the next four.';
comment on column leasehold.stats.taken_over is 'Grants of a key that its last holder had not released: the sum of the next two.';
comment on column leasehold.stats.active_leases is 'Leases that are held now: in active_leases as held or revoked.';
comment on column leasehold.stats.waiters is 'Acquires that are waiting now. Null on a standby.';
comment on column leasehold.stats.sessions is 'Sessions that are alive now. Null on a standby.';
comment on column leasehold.stats.wait_mean is
  'How long granted acquires took from the call to the grant, on average. Null: there were none.';
comment on column leasehold.stats.wait_p50 is
  'Half of them took no longer. The upper bound of a bucket: at most twice the exact time. Null: none, or longer than 18 hours.';
comment on column leasehold.stats.wait_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.wait_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.wait_histogram is
  'How many took up to 1, 2, 4, ... 2^26 milliseconds, and how many longer: 28 numbers. Histograms can be added up. Null: '
  'nothing was counted yet.';
comment on column leasehold.stats.hold_mean is 'How long released and lost leases were held, on average.';
comment on column leasehold.stats.hold_p50 is 'Half of them were held no longer, as with wait_p50.';
comment on column leasehold.stats.hold_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.hold_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.hold_histogram is 'How many were held for how long, in the buckets of wait_histogram.';
comment on column leasehold.stats.since is 'When the first counters were flushed. Null: none were.';
comment on column leasehold.stats.flushed_at is 'When the last counters were flushed.';
