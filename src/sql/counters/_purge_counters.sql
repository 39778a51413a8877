-- Adds rows that nobody writes any more to the one row that stays. A client that could not flush for three hours writes a new
-- row.
create function leasehold_internal._purge_counters(most integer) returns integer
language plpgsql volatile
as $$
declare
  rest constant uuid := uuid '00000000-0000-0000-0000-000000000000';
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
    id, sequence, started_at, flushed_at, acquired, refused, timed_out, cancelled, failed, contended, released, renewed, checked,
    lost_expired, lost_taken, lost_max_hold, lost_forced, taken_over_expired, taken_over_orphaned, swept, errors, wait_ms,
    hold_ms, waits, holds, prefixes, hot_keys)
  select rest, 0, min(g.started_at), max(g.flushed_at),
         leasehold_internal._total(sum(g.acquired)), leasehold_internal._total(sum(g.refused)),
         leasehold_internal._total(sum(g.timed_out)), leasehold_internal._total(sum(g.cancelled)),
         leasehold_internal._total(sum(g.failed)), leasehold_internal._total(sum(g.contended)),
         leasehold_internal._total(sum(g.released)), leasehold_internal._total(sum(g.renewed)),
         leasehold_internal._total(sum(g.checked)),
         leasehold_internal._total(sum(g.lost_expired)), leasehold_internal._total(sum(g.lost_taken)),
         leasehold_internal._total(sum(g.lost_max_hold)), leasehold_internal._total(sum(g.lost_forced)),
         leasehold_internal._total(sum(g.taken_over_expired)), leasehold_internal._total(sum(g.taken_over_orphaned)),
         leasehold_internal._total(sum(g.swept)), leasehold_internal._total(sum(g.errors)), sum(g.wait_ms), sum(g.hold_ms),
         (select array_agg(b.n order by b.place)
            from (select u.place, leasehold_internal._total(sum(u.n)) as n
                    from gone o cross join unnest(o.waits) with ordinality u (n, place) group by u.place) b),
         (select array_agg(b.n order by b.place)
            from (select u.place, leasehold_internal._total(sum(u.n)) as n
                    from gone o cross join unnest(o.holds) with ordinality u (n, place) group by u.place) b),
         -- A thousand prefixes keep their names, those that matter most.
         (select coalesce(jsonb_agg(to_jsonb(s)), '[]')
            from (
              select case when p.place <= 1000 then p.prefix end as prefix,
                     leasehold_internal._total(sum(p.acquired)) as acquired, leasehold_internal._total(sum(p.refused)) as refused,
                     leasehold_internal._total(sum(p.timed_out)) as timed_out,
                     leasehold_internal._total(sum(p.contended)) as contended,
                     leasehold_internal._total(sum(p.taken_over)) as taken_over, sum(p.wait_ms) as wait_ms
                from prefix p
               group by 1
            ) s),
         '[]'
    from gone g;
  return cardinality(old);
end
$$;
