-- The first attempts of a batch of claims that ask for the same terms. One answer: for those that were granted at once, one
-- moment (acquired, expires) and their fences, separated by commas, empty where it was not granted. others: for each of the
-- others what acquire answers, as JSON: [[item, outcome, fence, acquired, expires, ticket, holder, holderfence,
-- holdersession, nextlook, blocker, takeover, since, proof], ...].
--
-- Rules 1, 3 and 4: first all rows are locked, each only if nobody else has it, then moment and fence are drawn, one for
-- all. The newest version of a row is found as newest_lease.sql says. Only in a batch the old versions of a held key are gone
-- through: to read first costs 0.9 us of 6.7 per row.
--
-- One key has statements of its own, and what they leave goes to acquire_one; of several, what is left goes to acquire.
create function leasehold_internal.acquire_first(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_waits boolean,
  p_not_after float8,
  p_keys text[],
  p_tokens uuid[],
  p_former integer[],
  out fences text,
  out acquired float8,
  out expires float8,
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set extra_float_digits = 1
set lock_timeout = '100ms'
as $$
declare
  items integer[]; -- what was granted
  missing integer[];
  held integer[];
  answers text;
  more text;
  new_keys text[]; -- what has no row yet, with its tokens and items
  new_tokens uuid[];
  new_items integer[];
  durability text;
begin
  -- In one condition: each costs a lone acquire 4 us.
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or cardinality(p_keys) > 1000
    or p_takeover_ms < 0 or array_position(p_tokens, null) is not null
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
    perform leasehold_internal._refuse_terms();
  end if;

  if cardinality(p_keys) = 1 then
    if not p_waits then
      -- A try of a key that is surely held: a plain read that leaves no trace, and is all that is done. The answer is put
      -- together by hand: json_build_array() takes 12 us longer.
      select '[[1,"held",null,null,' || leasehold_internal._ms(l.expires_at) || ',null,' || to_json(l.owner)
               || ',"' || l.fence || '",' || coalesce(l.session_id::text, 'null') || ',null,null,null,null,null]]',
             '', leasehold_internal._ms(clock_timestamp())
        into others, fences, now
        from (
          select k.token, k.expires_at, k.owner, k.fence, k.session_id
            from leasehold.leases k
           where k.key >= p_keys[1] and k.key <= p_keys[1]
           order by k.key desc
           limit 1) l
       where l.token <> p_tokens[1] and l.expires_at > clock_timestamp()
         and leasehold_internal._ms(clock_timestamp()) < p_not_after
         and (l.session_id is null or not pg_try_advisory_xact_lock_shared(:presence_class, l.session_id))
         and :session_is_alive;
      if found then
        return;
      end if;
    end if;
    -- One statement of its own, and nothing else for a key that is free: 90 us of 570 less for the server.
    with locked as materialized (
      select k.ctid as version
        from leasehold.leases k
       where k.ctid = (
               select n.ctid from leasehold.leases n where n.key >= p_keys[1] and n.key <= p_keys[1] order by n.key desc limit 1)
         and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())
         and :session_is_alive
         for update skip locked
    )
    update leasehold.leases l
       set :grant
      from (
        select k.version, p_tokens[1] as token, clock_timestamp() as moment, :fence as drawn,
               false as queued
          from locked k) x
     where l.ctid = x.version and leasehold_internal._ms(x.moment) < p_not_after
    returning l.fence, leasehold_internal._ms(l.acquired_at), leasehold_internal._ms(l.expires_at),
              leasehold_internal._ms(clock_timestamp())
      into fences, acquired, expires, now;
    if found then
      if :is_commit_relaxed then
        perform leasehold_internal._commit_durably();
      end if;
      return;
    end if;
    select case
             when not a.is_plain then json_build_array(json_build_array(1, :answer_columns))::text
           end,
           case when a.is_plain then a.fence::text else '' end, a.acquired, a.expires, a.now
      into others, fences, acquired, expires, now
      from (
        select l.*, l.outcome = 'granted' and l.takeover is null as is_plain
          from leasehold_internal.acquire_one(
                 p_session, p_nonce, p_takeover_ms, false, p_keys[1], p_tokens[1], p_owner, p_ttl_ms, p_min_hold_ms,
                 p_max_hold_ms, p_metadata, p_not_after, p_waits, null, null, p_former) l) a;
    return;
  end if;

  with locked as materialized (
    select w.token, w.item, l.version
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      join lateral (
        select k.key, k.ctid as version
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
           and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())
         order by k.key desc
         limit 1
           for update skip locked) l on l.key = w.key
     where :session_is_alive
  ),
  -- Counted first: so all are locked when this is drawn.
  stamp as materialized (
    select c.moment, :fence as drawn
      from (select count(*) as size, clock_timestamp() as moment from locked) c
     where c.size > 0 and leasehold_internal._ms(c.moment) < p_not_after
  ),
  granted as (
    update leasehold.leases l
       set :grant
      from (select k.version, k.token, k.item, s.moment, s.drawn, false as queued from stamp s cross join locked k) x
     where l.ctid = x.version
    returning x.item, l.fence
  )
  select array_agg(g.item::integer order by g.item), string_agg(g.fence::text, ',' order by g.item),
         (select leasehold_internal._ms(s.moment) from stamp s),
         (select leasehold_internal._ms(s.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond') from stamp s),
         leasehold_internal._ms(clock_timestamp())
    into items, fences, acquired, expires, now
    from granted g;
  if cardinality(items) = cardinality(p_keys) then
    if :is_commit_relaxed then
      perform leasehold_internal._commit_durably();
    end if;
    return;
  end if;

  if leasehold_internal._ms(clock_timestamp()) < p_not_after then
    -- What has no row yet; and, for those who do not wait, what is surely held: a plain read that leaves no trace.
    select array_agg(w.item::integer) filter (where l.key is null),
           array_agg(w.item::integer) filter (where l.key is not null),
           string_agg(json_build_array(w.item, 'held', null, null, leasehold_internal._ms(l.expires_at), null, l.owner,
             l.fence::text, l.session_id, null, null, null, null, null)::text, ',') filter (where l.key is not null)
      into missing, held, answers
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      left join lateral (
        select k.key, k.token, k.expires_at, k.owner, k.fence, k.session_id
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1) l on true
     where not exists (select from unnest(items) as i (item) where i.item = w.item)
       and (l.key is null
            or not p_waits and l.token <> w.token and l.expires_at > clock_timestamp()
               and (l.session_id is null or not pg_try_advisory_xact_lock_shared(:presence_class, l.session_id)))
       and :session_is_alive;

    if missing is not null then
      -- A twin that another transaction has inserted and not yet committed would be waited for: whoever inserts holds this
      -- advisory lock until then (decision 20). At most 100 of them, for all advisory locks of a server share one small table.
      select array_agg(m.key), array_agg(p_tokens[m.item]), array_agg(m.item)
        into new_keys, new_tokens, new_items
        from (
          select w.key, w.item, row_number() over (order by w.key) as number
            from (select distinct on (p_keys[i]) p_keys[i] as key, i as item from unnest(missing) as i order by p_keys[i], i) w
        ) m
       where m.number > 100 or pg_try_advisory_xact_lock(leasehold_internal._key_lock(m.key));
    end if;
    if new_keys is not null and leasehold_internal._ms(clock_timestamp()) < p_not_after then
      -- In the order of the items.
      select array_agg(a.item order by a.item), string_agg(a.fence, ',' order by a.item),
             coalesce(acquired, leasehold_internal._ms(min(a.moment))), coalesce(expires, leasehold_internal._ms(min(a.until)))
        into items, fences, acquired, expires
        from (
          select o.item, o.fence, null::timestamptz as moment, null::timestamptz as until
            from unnest(items, string_to_array(fences, ',')) as o (item, fence)
          union all
          select n.item, n.fence, g.moment, g.until
            from leasehold_internal._insert_grant(
                   new_keys, new_tokens, new_items, p_session, p_takeover_ms,
                   p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) g
           cross join unnest(g.items, string_to_array(g.fences, ',')) as n (item, fence)) a;
    end if;
  end if;

  -- The rest one by one: held or expired, orphaned, cooling, waited for, locked by somebody, or asked for twice.
  if items is null or cardinality(items) < cardinality(p_keys) then
    if coalesce(cardinality(items), 0) + coalesce(cardinality(held), 0) < cardinality(p_keys) then
      durability := current_setting('synchronous_commit');
      select string_agg(json_build_array(x.items[a.item], :answer_columns)::text, ',')
        into more
        from (
          select array_agg(w.item::integer order by w.item) as items,
                 array_agg(w.key order by w.item) as keys,
                 array_agg(w.token order by w.item) as tokens,
                 array[count(*)::integer] as size
            from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
           where not exists (select from unnest(items) as i (item) where i.item = w.item)
             and not exists (select from unnest(held) as h (item) where h.item = w.item)
        ) x
       cross join lateral leasehold_internal.acquire(
         p_session, p_nonce, p_takeover_ms, false, x.keys, x.tokens, array_fill(p_owner, x.size), array_fill(p_ttl_ms, x.size),
         array_fill(p_min_hold_ms, x.size), array_fill(p_max_hold_ms, x.size), array_fill(p_metadata, x.size),
         array_fill(p_not_after, x.size), array_fill(p_waits, x.size), array_fill(null::bigint, x.size), null, p_former) a;
      answers := concat_ws(',', answers, more);
      if items is not null then
        perform set_config('synchronous_commit', durability, true);
      end if;
    end if;
    others := '[' || answers || ']';
    if items is null then
      fences := repeat(',', cardinality(p_keys) - 1);
    else
      fences := (
        select string_agg(coalesce(g.fence, ''), ',' order by w.item)
          from generate_subscripts(p_keys, 1) as w (item)
          left join unnest(items, string_to_array(fences, ',')) as g (item, fence) on g.item = w.item);
    end if;
  end if;

  if items is not null and :is_commit_relaxed then
    perform leasehold_internal._commit_durably();
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
