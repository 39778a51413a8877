-- Looks of several claims that want shares of one key, each with its own terms (decision 27): all are decided under one lock of
-- its root. Answers for each what acquire_one does. Of one that was granted, nextlook says that others of the queue may be
-- granted now (1: of this session; 0: of others, too), and blocker, which capacity those who share the key have, if another.
create function leasehold_internal._acquire_shares(
  p_session integer,
  p_takeover_ms integer,
  p_careful boolean,
  p_is_alone boolean,
  p_key text,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[],
  p_capacities integer[],
  p_former integer[]
) returns table (
  item integer,
  outcome text,
  fence bigint,
  acquired float8,
  expires float8,
  ticket bigint,
  holder text,
  holderfence bigint,
  holdersession integer,
  nextlook float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  size integer := cardinality(p_tokens);
  outcomes text[] := array_fill(null::text, array[size]); -- null: not decided yet
  lease leasehold.leases;
  locked record;
  is_locked boolean := false;
  counted record;
  unended record;
  fitting record;
  line record;
  lapsed leasehold.shares;
  again record;
  stands boolean[] := array[]::boolean[]; -- in the part of the queue that fits, by their place in the arrays
  chosen integer[] := array[]::integer[]; -- those that are granted one now
  moment timestamptz;
  first_fence bigint;
  may_fit boolean := false;
  has_more float8;
  has_twins boolean; -- whether a token is asked for more than once
begin
  if exists (
    select from unnest(p_weights, p_capacities, p_tokens) t (weight, capacity, token)
     where t.token is null or (t.weight >= 1 and t.weight <= coalesce(t.capacity, 1)) is not true) then
    perform leasehold_internal._refuse_terms();
  end if;
  if size > 1 then
    has_twins := (select count(distinct t.token) < size from unnest(p_tokens) t (token));
  end if;

  if p_careful then
    perform leasehold_internal._create_free_lease(p_key);
  end if;
  select l.* into lease :newest_lease;
  if lease.key is null and not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_key)) then
    -- A free root, in the same transaction as the grant. Whoever inserts a key holds this lock (decision 20).
    insert into leasehold.leases (key, fence, ttl_ms, released_at) values (p_key, 0, 0, clock_timestamp()) on conflict do nothing;
    select l.* into lease :newest_lease;
  end if;

  -- A hint: who cannot be granted leaves the root alone, so that looks never make others find it busy. Who joins the queue if
  -- it is not granted has to lock it anyway.
  if lease.key is null then
    outcomes := array_fill('busy'::text, array[size]);
  elsif leasehold_internal._is_root_free(lease) then
    may_fit := not lease.queued or p_waits[1] and p_tickets[1] is null
      or coalesce(leasehold_internal._queue_head(p_key) = any (p_tokens), false); -- woken, as a rule
    if not may_fit then
      counted := leasehold_internal._count_shares(p_key, false);
      line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
      may_fit := line.is_open or line.tokens && p_tokens;
    end if;
  end if;
  if may_fit or :last_was_shared and exists (select from leasehold_internal._places_of_shares(p_key, p_tokens)) then
    select l.ctid as version, l as lease into locked :newest_lease for update skip locked;
    is_locked := found;
    if not is_locked and p_is_alone then
      perform leasehold_internal._wait_for_lease(p_key, true);
      select l.ctid as version, l as lease into locked :newest_lease for update skip locked;
      is_locked := found;
    end if;
    if not is_locked then
      outcomes := array_fill('busy'::text, array[size]);
    end if;
  end if;

  -- With the lock it is a decision, each part in a statement that begins after the lock (rule 3).
  if is_locked then
    lease := locked.lease;
    if leasehold_internal._is_root_free(lease) then
      counted := leasehold_internal._count_shares(p_key, true);
      -- The same token again.
      if counted.counted > 0 then
        for again in
          select t.place, r.outcome, r.fence, r.acquired, r.expires
            from leasehold_internal._places_of_shares(p_key, p_tokens) t
           cross join lateral leasehold_internal._repeat_share(p_key, p_tokens[t.place], p_session, p_takeover_ms, p_former) r
        loop
          outcomes[again.place] := again.outcome;
          if again.outcome = 'granted' then
            item := p_items[again.place]; outcome := 'granted'; fence := again.fence;
            acquired := again.acquired; expires := again.expires; now := leasehold_internal._ms(clock_timestamp());
            return next;
          elsif again.outcome is null then
            counted := leasehold_internal._count_shares(p_key, true); -- it had ended, and is gone
          end if;
        end loop;
      end if;
      if counted.ended > 0 then
        lapsed := leasehold_internal._remove_shares(p_key, greatest(10, size), false);
        counted := leasehold_internal._count_shares(p_key, true);
      end if;
      line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
      -- None of them fits: once all that has ended is gone, perhaps.
      if counted.counted > 0 and not line.tokens && p_tokens and not (line.is_open and exists (
        select from unnest(p_weights, p_capacities) t (weight, capacity)
         where line.taken + t.weight <= coalesce(least(line.capacity, t.capacity), 2147483647))) then
        if counted.ended > 0 then
          lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, false), lapsed);
        end if;
        lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);
        if counted.ended > 0 or lapsed.key is not null then
          counted := leasehold_internal._count_shares(p_key, true);
          line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
        end if;
      end if;
      -- Those that stand in the part of the queue that fits. An entry of the same token on other terms stands for what is not
      -- asked for any more: it goes, and is made anew.
      if line.tokens && p_tokens then
        for again in
          select t.place::integer, w.weight = t.weight and w.capacity is not distinct from t.capacity as is_same
            from unnest(p_tokens, p_weights, p_capacities) with ordinality t (token, weight, capacity, place)
            join unnest(line.tokens, line.weights, line.capacities) w (token, weight, capacity) on w.token = t.token
        loop
          if again.is_same then
            stands[again.place] := true;
          else
            perform leasehold_internal._remove_entry(p_key, p_tokens[again.place]);
            outcomes[again.place] := 'busy';
          end if;
        end loop;
      end if;
      now := leasehold_internal._ms(clock_timestamp());
      -- First they; then, if all of the queue fits, those that do not stand in it.
      for place in 1..size loop
        if outcomes[place] is not null then
          continue;
        elsif has_twins and p_tokens[place] = any (p_tokens[1:place - 1]) then
          -- One of them is decided. The others look again, and find what it was granted.
          item := p_items[place]; outcome := 'busy'; fence := null; acquired := null; expires := null;
          return next;
          outcomes[place] := 'granted'; -- answered
        elsif now >= p_not_after[place] then
          outcomes[place] := 'late';
        elsif stands[place] then
          outcomes[place] := 'granted';
          chosen := chosen || place;
        elsif line.is_open then
          if line.taken + p_weights[place] <= coalesce(least(line.capacity, p_capacities[place]), 2147483647) then
            line.taken := line.taken + p_weights[place];
            line.capacity := least(line.capacity, p_capacities[place]);
            outcomes[place] := 'granted';
            chosen := chosen || place;
          elsif p_waits[place] then
            line.is_open := false; -- it stands in the queue from now on, ahead of the rest
          end if;
        end if;
      end loop;
      -- An open transaction keeps one that has ended: it guards it, or is about to commit its end. Who fits without it has not
      -- been refused.
      if counted.ended > 0 and array_position(outcomes, null) is not null then
        unended := leasehold_internal._count_shares(p_key, false);
        fitting := leasehold_internal._line(p_key, unended.counted, unended.taken, unended.capacity, 10000);
        for place in 1..size loop
          if outcomes[place] is null
            and (p_tokens[place] = any (fitting.tokens)
                 or fitting.is_open
                   and fitting.taken + p_weights[place] <= coalesce(least(fitting.capacity, p_capacities[place]), 2147483647))
          then
            outcomes[place] := 'busy';
          end if;
        end loop;
      end if;
    end if;
  end if;

  if cardinality(chosen) > 0 then
    -- Who waits and fits, too, and is not among them.
    if cardinality(line.tokens) > 0 then
      has_more := (
        select min(case when t.session is not distinct from p_session then 1 else 0 end)
          from unnest(line.tokens, line.sessions) t (token, session)
         where t.token <> all (array(select p_tokens[c.place] from unnest(chosen) c (place))));
    end if;
    -- Also entries that have expired: one could come back, and stand for a claim that has its grant.
    if exists (select from leasehold.waiters w where w.key = p_key) then
      delete from leasehold.waiters w
       where w.ctid = any (array(
         select d.version
           from unnest(chosen) c (place)
           join lateral (
             select k.key, k.ctid as version
               from leasehold.waiters k
              where k.key = p_key and k.token >= p_tokens[c.place] and k.token <= p_tokens[c.place]
              order by k.token
              limit 1
                for update skip locked) d on d.key = p_key));
    end if;
    if lease.token is not null then
      holder := lease.owner;
      holderfence := lease.fence;
      holdersession := lease.session_id;
      takeover := case when lease.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
      since := leasehold_internal._ms(case takeover
        when 'expired' then lease.expires_at
        else (select s.seen_at from leasehold.sessions s where s.id = lease.session_id)
      end);
    elsif lapsed.key is not null then
      :taken_over_share
    end if;

    moment := clock_timestamp();
    first_fence := greatest(lease.fence + 1, :fence);
    -- The arrays are read in one pass: to look up each item in each of them takes a time that grows with its place.
    return query
      with asked as materialized (
        select t.*, first_fence + c.number - 1 as fence, c.number,
               moment + least(t.ttl_ms, t.max_hold_ms) * interval '1 millisecond' as until
          from unnest(chosen) with ordinality c (place, number)
          join unnest(p_items, p_tokens, p_weights, p_capacities, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata)
                 with ordinality t (item, token, weight, capacity, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, place)
            on t.place = c.place
      ),
      granted as (
        insert into leasehold.shares as s (
          key, token, fence, weight, capacity, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
          acquired_at, renewed_at, expires_at, metadata)
        select p_key, a.token, a.fence, a.weight, a.capacity, a.owner, p_session, a.ttl_ms, p_takeover_ms, a.min_hold_ms,
               moment + a.max_hold_ms * interval '1 millisecond', moment, moment, a.until, a.metadata::jsonb
          from asked a
      )
      -- The first of them took over; the last one passes the word on.
      select a.item, 'granted', a.fence, leasehold_internal._ms(moment), leasehold_internal._ms(a.until), null::bigint, f.holder,
             f.holderfence, f.holdersession, case when a.number = cardinality(chosen) then has_more end,
             case when counted.capacity <> a.capacity then counted.capacity end, f.takeover, f.since,
             leasehold_internal._ms(clock_timestamp()), null::bigint
        from asked a
        left join (values (1, holder, holderfence, holdersession, takeover, since))
          f (number, holder, holderfence, holdersession, takeover, since) on f.number = a.number;
    update leasehold.leases l
       set token = null,
           fence = first_fence + cardinality(chosen) - 1,
           owner = p_owners[chosen[1]],
           session_id = null,
           takeover_ms = null,
           min_hold_ms = 0,
           max_hold_until = null,
           acquired_at = moment,
           renewed_at = null,
           expires_at = null, -- of no exclusive grant: so none can be guarded in an open transaction
           hold_until = null,
           revoked_at = null,
           queued = true,
           metadata = null,
           released_at = moment,
           acquisitions = l.acquisitions + cardinality(chosen)
     where l.ctid = locked.version;
    holder := null; holderfence := null; holdersession := null; takeover := null; since := null;
  end if;
  -- What is left is told who has the key, and those who wait join the queue.
  if ('granted' = all (outcomes)) is not true then
    return query select a.* from leasehold_internal._refuse_shares(
      p_key, p_session, p_items, p_tokens, p_owners, p_not_after, p_waits, p_tickets, p_proofs, p_weights, p_capacities,
      outcomes, is_locked) a;
  end if;
end
$$;
