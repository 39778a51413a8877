-- Counters, flushed by every locker, and the views over them.

-- Each flush writes its process's own row anew: room for its next version on the same page. The rest as with the other tables.
alter table leasehold.counters set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);
--> statement-breakpoint
comment on table leasehold.counters is 'What lockers have counted. Each writes a row of its own and begins a new one every hour. What nobody has written for six hours is added to one row, so that sums never shrink; it has the id 00000000-0000-0000-0000-000000000000.';
comment on column leasehold.counters.id is 'Known to the process that writes the row, and to nobody else.';
comment on column leasehold.counters.sequence is 'Counts the flushes of the row: an older one that arrives late changes nothing.';
comment on column leasehold.counters.started_at is 'When it was flushed for the first time.';
comment on column leasehold.counters.flushed_at is 'When it was flushed last.';
comment on column leasehold.counters.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.counters.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.counters.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.counters.cancelled is 'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.counters.failed is 'Acquires that ended with another error.';
comment on column leasehold.counters.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.counters.released is 'Leases that their holders have released.';
comment on column leasehold.counters.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.counters.checked is 'Calls that asked who holds a key.';
comment on column leasehold.counters.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.counters.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.counters.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.counters.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.counters.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.counters.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.counters.swept is 'Rows that sweeps have purged.';
comment on column leasehold.counters.errors is 'What failed in the background.';
comment on column leasehold.counters.wait_ms is 'How long all granted acquires waited, in milliseconds.';
comment on column leasehold.counters.waits is 'Granted acquires by how long they waited: no longer than 1, 2, 4, ... 2^26 milliseconds, and longer. 28 numbers.';
comment on column leasehold.counters.hold_ms is 'How long all leases were held that were released or lost, in milliseconds.';
comment on column leasehold.counters.holds is 'The same leases by how long they were held, in the buckets of waits.';
comment on column leasehold.counters.prefixes is 'Acquires by the prefix of their key: an array of objects, at most a hundred and one for all others, whose prefix is null.';
comment on column leasehold.counters.hot_keys is 'The most contended keys, a hundred at most: an array of objects. Each was contended between "contended" and "contended_at_most" times.';
--> statement-breakpoint
-- Writes the whole row anew, so that a flush can be repeated. A role that may lock may write no other row than its own (it knows no
-- other id), nor anything of any size: what is no count of this world is refused, or left out of a list.
create function leasehold_internal.flush_counters(p_id uuid, p_sequence integer, p_counts text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set lock_timeout = '100ms'
as $$
declare
  most constant bigint := 1000000000000;
  most_ms constant float8 := 1e15;
  counts jsonb;
  given leasehold.counters;
begin
  perform leasehold_internal._check_transaction();
  if octet_length(p_counts) > 1048576 then
    raise exception using errcode = 'LH003', message = format('counters take 1 MiB at most, these have %s bytes', octet_length(p_counts));
  end if;
  counts := p_counts;
  given := jsonb_populate_record(null::leasehold.counters, counts - 'prefixes' - 'hot_keys');
  given.id := p_id;
  given.sequence := p_sequence;
  given.started_at := clock_timestamp();
  given.flushed_at := given.started_at;
  given.prefixes := (
    select coalesce(jsonb_agg(to_jsonb(p)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'prefixes') as x (
            prefix text, acquired bigint, refused bigint, timed_out bigint, contended bigint, taken_over bigint, wait_ms float8)
         where coalesce(octet_length(x.prefix), 0) <= 512
           and x.acquired between 0 and most and x.refused between 0 and most and x.timed_out between 0 and most
           and x.contended between 0 and most and x.taken_over between 0 and most and x.wait_ms between 0 and most_ms
         limit 101
      ) p);
  given.hot_keys := (
    select coalesce(jsonb_agg(to_jsonb(k)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'hot_keys') as x (
            key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
         where octet_length(x.key) between 1 and 512
           and x.contended between 0 and x.contended_at_most and x.contended_at_most <= most
           and x.acquired between 0 and most and x.wait_ms between 0 and most_ms
         limit 100
      ) k);
  if p_id = '00000000-0000-0000-0000-000000000000'
     or array_ndims(given.waits) <> 1 or cardinality(given.waits) <> 28 or array_position(given.waits, null) is not null
     or array_ndims(given.holds) <> 1 or cardinality(given.holds) <> 28 or array_position(given.holds, null) is not null
     or given.wait_ms not between 0 and most_ms or given.hold_ms not between 0 and most_ms
     or jsonb_path_exists(
          to_jsonb(given) - 'prefixes' - 'hot_keys' - 'wait_ms' - 'hold_ms', '$.** ? (@.type() == "number" && (@ < 0 || @ > $most))', jsonb_build_object('most', most)) then
    raise exception using errcode = 'LH003', message = 'these are no counters',
      hint = 'This function is for the Leasehold client. Nothing else needs to call it.';
  end if;

  -- What a crash forgets, the next flush brings back.
  perform set_config('synchronous_commit', 'off', true);
  insert into leasehold.counters as c values (given.*)
  on conflict (id) do update
    set (sequence, flushed_at, acquired, refused, timed_out, cancelled, failed, contended, released, renewed, checked,
         lost_expired, lost_taken, lost_max_hold, lost_forced, taken_over_expired, taken_over_orphaned, swept, errors,
         wait_ms, hold_ms, waits, holds, prefixes, hot_keys)
      = row (excluded.sequence, excluded.flushed_at, excluded.acquired, excluded.refused, excluded.timed_out,
             excluded.cancelled, excluded.failed, excluded.contended, excluded.released, excluded.renewed,
             excluded.checked, excluded.lost_expired, excluded.lost_taken, excluded.lost_max_hold, excluded.lost_forced,
             excluded.taken_over_expired, excluded.taken_over_orphaned, excluded.swept, excluded.errors, excluded.wait_ms,
             excluded.hold_ms, excluded.waits, excluded.holds, excluded.prefixes, excluded.hot_keys)
    where c.sequence < excluded.sequence;
end
$$;
--> statement-breakpoint
-- A sum that fits: who flushes nonsense must not be able to stop the sweeper.
create function leasehold_internal._total(summed numeric) returns bigint
language sql immutable
return least(summed, 1000000000000000000)::bigint;
--> statement-breakpoint
-- Adds rows that nobody writes any more to the one row that stays. A client that could not flush for three hours writes a new row.
create function leasehold_internal._purge_counters(most integer) returns integer
language plpgsql volatile
as $$
declare
  rest constant uuid := '00000000-0000-0000-0000-000000000000';
  old uuid[];
begin
  old := array(
    select c.id from leasehold.counters c
     where c.id <> rest and c.flushed_at < clock_timestamp() - interval '6 hours'
     limit most
       for update skip locked);
  if cardinality(old) = 0 then
    return 0;
  end if;
  with gone as materialized (
    delete from leasehold.counters c where c.id = any (old || rest) returning c.*
  ),
  prefix as materialized (
    select x.prefix, sum(x.acquired) as acquired, sum(x.refused) as refused, sum(x.timed_out) as timed_out,
           sum(x.contended) as contended, sum(x.taken_over) as taken_over, sum(x.wait_ms) as wait_ms,
           row_number() over (order by x.prefix is null, sum(x.contended) desc, sum(x.acquired) desc, x.prefix) as place
      from gone g
     cross join lateral jsonb_to_recordset(g.prefixes) as x (
             prefix text, acquired bigint, refused bigint, timed_out bigint, contended bigint, taken_over bigint, wait_ms float8)
     group by x.prefix
  )
  insert into leasehold.counters (
    id, sequence, started_at, flushed_at, acquired, refused, timed_out, cancelled, failed, contended, released, renewed, checked, lost_expired,
    lost_taken, lost_max_hold, lost_forced, taken_over_expired, taken_over_orphaned, swept, errors, wait_ms,
    hold_ms,
    waits, holds, prefixes, hot_keys)
  select rest, 0, min(g.started_at), max(g.flushed_at),
         leasehold_internal._total(sum(g.acquired)), leasehold_internal._total(sum(g.refused)),
         leasehold_internal._total(sum(g.timed_out)), leasehold_internal._total(sum(g.cancelled)),
         leasehold_internal._total(sum(g.failed)), leasehold_internal._total(sum(g.contended)), leasehold_internal._total(sum(g.released)),
         leasehold_internal._total(sum(g.renewed)), leasehold_internal._total(sum(g.checked)),
         leasehold_internal._total(sum(g.lost_expired)), leasehold_internal._total(sum(g.lost_taken)),
         leasehold_internal._total(sum(g.lost_max_hold)), leasehold_internal._total(sum(g.lost_forced)),
         leasehold_internal._total(sum(g.taken_over_expired)), leasehold_internal._total(sum(g.taken_over_orphaned)),
         leasehold_internal._total(sum(g.swept)), leasehold_internal._total(sum(g.errors)), sum(g.wait_ms), sum(g.hold_ms),
         (select array_agg(b.n order by b.place)
            from (select u.place, leasehold_internal._total(sum(u.n)) as n from gone o cross join unnest(o.waits) with ordinality u (n, place) group by u.place) b),
         (select array_agg(b.n order by b.place)
            from (select u.place, leasehold_internal._total(sum(u.n)) as n from gone o cross join unnest(o.holds) with ordinality u (n, place) group by u.place) b),
         -- A thousand prefixes keep their names, those that matter most.
         (select coalesce(jsonb_agg(to_jsonb(s)), '[]')
            from (
              select case when p.place <= 1000 then p.prefix end as prefix,
                     leasehold_internal._total(sum(p.acquired)) as acquired, leasehold_internal._total(sum(p.refused)) as refused,
                     leasehold_internal._total(sum(p.timed_out)) as timed_out, leasehold_internal._total(sum(p.contended)) as contended,
                     leasehold_internal._total(sum(p.taken_over)) as taken_over, sum(p.wait_ms) as wait_ms
                from prefix p
               group by 1
            ) s),
         '[]'
    from gone g;
  return cardinality(old);
end
$$;
--> statement-breakpoint
-- Null where there was none. An interval has its bound: who flushes nonsense must not be able to stop the views.
create function leasehold_internal._mean(summed_ms float8, times numeric) returns interval
language sql immutable
return case when times > 0 then least(summed_ms / times::float8, 1e15) * interval '1 millisecond' end;
--> statement-breakpoint
comment on function leasehold_internal._mean(float8, numeric) is 'How long something took on average.';
--> statement-breakpoint
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
       case when not pg_is_in_recovery() then (select count(*) from leasehold_internal._line() w where w.is_alive) end::integer as waiters,
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
--> statement-breakpoint
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
--> statement-breakpoint
create view leasehold.hot_keys as
with recent as materialized (
  select c.id, c.hot_keys,
         -- What a key may have had that has no place in a full list.
         case when jsonb_array_length(c.hot_keys) = 100
           then (select min((k ->> 'contended_at_most')::bigint) from jsonb_array_elements(c.hot_keys) k) else 0
         end as unseen
    from leasehold.counters c
   where c.flushed_at > clock_timestamp() - interval '1 hour'
)
select k.key,
       sum(k.contended)::bigint as contended,
       (sum(k.contended_at_most - r.unseen) + (select sum(u.unseen) from recent u))::bigint as contended_at_most,
       sum(k.acquired)::bigint as acquired,
       leasehold_internal._mean(sum(k.wait_ms), sum(k.acquired)) as wait_mean
  from recent r
 cross join lateral jsonb_to_recordset(r.hot_keys) as k (
         key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
 group by k.key
 order by contended desc, k.key
 limit 100;
--> statement-breakpoint
comment on view leasehold.stats is 'What all lockers have counted since the schema was made, some seconds ago (statsFlushMs), and what there is now. One row. Calls of the SQL functions are not counted.';
comment on column leasehold.stats.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats.cancelled is 'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.stats.failed is 'Acquires that ended with another error.';
comment on column leasehold.stats.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats.released is 'Leases that their holders have released.';
comment on column leasehold.stats.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.stats.checked is 'Calls that asked who holds a key.';
comment on column leasehold.stats.lost is 'Leases that their holders have lost, and know it: the sum of the next four.';
comment on column leasehold.stats.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.stats.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.stats.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.stats.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.stats.taken_over is 'Grants that took the key from somebody who had not released it: the sum of the next two.';
comment on column leasehold.stats.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.stats.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.stats.swept is 'Rows that sweeps have purged.';
comment on column leasehold.stats.errors is 'What failed in the background.';
comment on column leasehold.stats.active_leases is 'Leases that are held now, as in active_leases.';
comment on column leasehold.stats.waiters is 'Acquires that wait in line now. Null on a standby.';
comment on column leasehold.stats.sessions is 'Sessions that live now. Null on a standby.';
comment on column leasehold.stats.wait_mean is 'How long granted acquires took from the call to the grant, on average. Null: there was none.';
comment on column leasehold.stats.wait_p50 is 'Half of them took no longer. The upper bound of a bucket: at most twice the exact time. Null: none, or longer than 18 hours.';
comment on column leasehold.stats.wait_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.wait_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.wait_histogram is 'How many took no longer than 1, 2, 4, ... 2^26 milliseconds, and how many longer: 28 numbers. Histograms add up. Null: nothing was counted yet.';
comment on column leasehold.stats.hold_mean is 'How long leases were held that were released or lost, on average.';
comment on column leasehold.stats.hold_p50 is 'Half of them were held no longer, as with wait_p50.';
comment on column leasehold.stats.hold_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.hold_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.hold_histogram is 'How many were held for how long, in the buckets of wait_histogram.';
comment on column leasehold.stats.since is 'When the first counters were flushed. Null: none were.';
comment on column leasehold.stats.flushed_at is 'When the last counters were flushed.';
--> statement-breakpoint
comment on view leasehold.stats_by_prefix is 'Acquires by the first part of their key (up to the first ":" after the locker''s own prefix, unless statsPrefix says otherwise), over all lockers since the schema was made.';
comment on column leasehold.stats_by_prefix.prefix is 'What the keys begin with. Null: all prefixes together that were too many to be told apart, more than a hundred in a process.';
comment on column leasehold.stats_by_prefix.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats_by_prefix.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats_by_prefix.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats_by_prefix.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats_by_prefix.taken_over is 'Grants that took the key from somebody who had not released it.';
comment on column leasehold.stats_by_prefix.wait_mean is 'How long granted acquires took from the call to the grant, on average.';
--> statement-breakpoint
comment on view leasehold.hot_keys is 'The hundred most contended keys of the last hour or two, over all lockers, the hottest first. Each process knows its hundred most contended keys: what had less than a hundredth of all its contention may be missing.';
comment on column leasehold.hot_keys.key is 'The key, prefix included.';
comment on column leasehold.hot_keys.contended is 'Acquires and tries that did not get it at their first look: at least so many.';
comment on column leasehold.hot_keys.contended_at_most is 'At most so many. The same, unless more than a hundred keys of a process were contended.';
comment on column leasehold.hot_keys.acquired is 'Grants since it is among the hottest of its process.';
comment on column leasehold.hot_keys.wait_mean is 'How long those took from the call to the grant, on average.';
