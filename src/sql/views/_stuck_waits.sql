-- Which waits cannot end before one of the sessions that are stuck in such a wait gives up something: a deadlock, and who
-- waits for it. Returned as places in the arrays of waits, which are in the order of the queues. Weight null: an exclusive
-- wait or holder. Holders without a session are left out of the arrays: nobody knows that they wait.
--
-- Assume of everybody who waits and holds that he is stuck, then take out whose wait could end if all others let go: until
-- nobody is left to take out. A wait is blocked if what the stuck holders have leaves no room for it: one of them is enough
-- for an exclusive wait, or if it is an exclusive holder. For a part of a semaphore it takes as many as leave too little, so
-- that a holder who is not stuck and could make room ends it. Whoever stands behind a wait that is blocked is blocked with
-- it. What a session has itself counts only beside what others have: who waits for himself may be doing two things at once.
create function leasehold_internal._stuck_waits(
  wait_sessions integer[],
  wait_keys integer[],
  wait_weights integer[],
  wait_capacities integer[],
  hold_sessions integer[],
  hold_keys integer[],
  hold_weights integer[],
  hold_capacities integer[]
) returns table (place integer)
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  sessions integer[];
  places integer[];
  before integer;
  -- Where each holder is enough to block, a cycle is one whoever is left in: a few rounds leave fewer to look at.
  rounds integer := case
    when exists (select from unnest(wait_weights) w (weight) where w.weight is not null) then 1000000 else 3 end;
begin
  sessions := array(select unnest(wait_sessions) intersect select unnest(hold_sessions));
  for round in 1 .. rounds loop
    exit when cardinality(sessions) < 2;
    before := cardinality(sessions);
    with held as materialized (
      select h.key, bool_or(h.weight is null) as is_exclusive, sum(h.weight) as taken, min(h.capacity) as capacity,
             min(h.session) as lowest, max(h.session) as highest
        from unnest(hold_sessions, hold_keys, hold_weights, hold_capacities) h (session, key, weight, capacity)
        join unnest(sessions) s (session) on s.session = h.session
       group by h.key
    ),
    wait as (
      select w.place, w.session,
             bool_or(case
               when h.lowest is not distinct from w.session and h.highest is not distinct from w.session then false
               when w.weight is null or h.is_exclusive then true
               else h.taken + w.weight > least(h.capacity, w.capacity)
             end) over (partition by w.key order by w.place) as is_blocked,
             h.lowest <> w.session or h.highest <> w.session as is_of_others
        from unnest(wait_sessions, wait_keys, wait_weights, wait_capacities) with ordinality
          w (session, key, weight, capacity, place)
        join held h on h.key = w.key
    )
    select array_agg(w.place::integer order by w.place), array_agg(distinct w.session)
      into places, sessions
      from wait w
      join unnest(sessions) s (session) on s.session = w.session
     where w.is_blocked and w.is_of_others;
    exit when cardinality(sessions) = before or sessions is null;
  end loop;
  return query select p from unnest(places) p where cardinality(sessions) >= 2;
end
$$;

comment on function leasehold_internal._stuck_waits(
  integer[], integer[], integer[], integer[], integer[], integer[], integer[], integer[]) is
  'The waits that are part of a deadlock, or wait for one, as places in the arrays of waits.';
