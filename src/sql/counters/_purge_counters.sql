-- Adds rows that nobody writes any more to the one permanent row. A client that could not flush for three hours begins a new
-- row. Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
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
    select x.prefix,
           sum(x.:prefix_counter) as :prefix_counter,
           sum(x.wait_ms) as wait_ms,
           row_number() over (order by x.prefix is null, sum(x.contended) desc, sum(x.acquired) desc, x.prefix) as number
      from gone g
     cross join lateral jsonb_to_recordset(g.prefixes) as x (
             prefix text,
             :prefix_counter bigint,
             wait_ms float8)
     group by x.prefix
  )
  insert into leasehold.counters (
    id, sequence, started_at, flushed_at,
    :counter,
    wait_ms, hold_ms, waits, holds, prefixes, hot_keys)
  select rest, 0, min(g.started_at), max(g.flushed_at),
         leasehold_internal._capped(sum(g.:counter)),
         sum(g.wait_ms), sum(g.hold_ms),
         (select array_agg(b.n order by b.number)
            from (select u.number, leasehold_internal._capped(sum(u.n)) as n
                    from gone o cross join unnest(o.waits) with ordinality u (n, number) group by u.number) b),
         (select array_agg(b.n order by b.number)
            from (select u.number, leasehold_internal._capped(sum(u.n)) as n
                    from gone o cross join unnest(o.holds) with ordinality u (n, number) group by u.number) b),
         -- The thousand most important prefixes keep their names.
         (select coalesce(jsonb_agg(to_jsonb(s)), '[]')
            from (
              select case when p.number <= 1000 then p.prefix end as prefix,
                     leasehold_internal._capped(sum(p.:prefix_counter)) as :prefix_counter,
                     sum(p.wait_ms) as wait_ms
                from prefix p
               group by 1
            ) s),
         '[]'
    from gone g;
  return cardinality(old);
end
$$;
