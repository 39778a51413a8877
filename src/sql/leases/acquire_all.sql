-- Grants several keys at once: all or none, or, p_takes_prefix, the longest run of them from the first on that can be granted
-- (decision 26). The keys are distinct, and come in the order of their bytes, each with a token of its own. One answer for each
-- grant, and one for the first key that was not granted: busy, if its row is locked, else held. outcome "more": so many keys had
-- no row that only some were inserted, and nothing was granted; ask again. p_careful: as in acquire_one.
--
-- A key that somebody waits for is not granted: to ask for several is to try. Waits for nothing.
create function leasehold_internal.acquire_all(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_takes_prefix boolean,
  p_careful boolean,
  p_not_after float8,
  p_keys text[],
  p_tokens uuid[],
  p_former integer[]
) returns table (
  item integer,
  outcome text,
  fence bigint,
  acquired float8,
  expires float8,
  holder text,
  holderfence bigint,
  holdersession integer,
  takeover text,
  since float8,
  now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  size integer := cardinality(p_keys); -- how many are still to be granted: a prefix becomes shorter
  absent integer; -- how many have no row
  new_keys text[]; -- some of these
  inserted integer;
  items integer[]; -- those that were locked
  doubtful record;
  refused integer; -- the first that is not granted
  is_busy boolean := false;
  ours integer[]; -- what these tokens hold already
  is_next boolean;
  lapsed leasehold.shares;
  taken integer[]; -- what is taken over, with from whom, how and since when
  holders text[];
  fences bigint[];
  sessions integer[];
  reasons text[];
  sinces float8[];
  queued integer[]; -- those that had a queue
  lease leasehold.leases;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or size > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(size);
  end if;
  if p_takeover_ms < 0 or array_position(p_tokens, null) is not null or cardinality(p_tokens) <> size
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive or leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := case when :session_is_alive then 'late' else 'unproven' end;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  -- A plain read first: a try that is sure to fail leaves no trace, and what cannot be granted is not locked (rule 6).
  absent := 0;
  for doubtful in
    select w.item::integer as item, w.token, l.lease, l.queued is null as is_absent
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      left join lateral (
        select k as lease, k.token, k.queued, k.hold_until
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1) l on true
     where l.queued is null or l.queued or l.token is not null or l.hold_until > clock_timestamp()
     order by w.item
  loop
    if doubtful.is_absent then
      absent := absent + 1;
      continue;
    end if;
    lease := doubtful.lease;
    if lease.token = doubtful.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
      continue;
    end if;
    if not (leasehold_internal._is_next(lease, doubtful.token) and leasehold_internal._may_be_grantable(lease)) then
      refused := doubtful.item;
      exit;
    end if;
  end loop;
  if refused is not null then
    size := case when p_takes_prefix then refused - 1 else 0 end;
  end if;

  if size > 0 and absent > 0 then
    -- At most 100 of them, for all advisory locks of a server share one small table (decision 20).
    select array_agg(m.key order by m.item)
      into new_keys
      from (
        select w.key, w.item
          from unnest(p_keys[1:size]) with ordinality as w (key, item)
         where not exists (
           select from leasehold.leases k where k.key >= w.key and k.key <= w.key order by k.key desc limit 1)
         order by w.item
         limit 100) m;
    if p_careful then
      perform leasehold_internal._create_free_lease(n.key) from unnest(new_keys) as n (key);
      inserted := (select count(*) from leasehold.leases l where l.key = any (new_keys));
    else
      -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
      insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select n.key, 0, 0, clock_timestamp()
        from unnest(new_keys) as n (key)
       where pg_try_advisory_xact_lock(leasehold_internal._key_lock(n.key))
      on conflict do nothing;
      get diagnostics inserted = row_count;
    end if;
    if absent > 100 and inserted > 0 then
      outcome := 'more';
      now := leasehold_internal._ms(clock_timestamp());
      perform set_config('synchronous_commit', 'off', true);
      return next;
      return;
    end if;
  end if;

  if size > 0 then
    -- Rule 1. The newest version of a row is found as newest_lease.sql says.
    select array_agg(w.item::integer order by w.item)
      into items
      from unnest(p_keys[1:size]) with ordinality as w (key, item)
      join lateral (
        select k.key
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1
           for update skip locked) l on l.key = w.key;
    if coalesce(cardinality(items), 0) < size then
      refused := (select min(i) from generate_series(1, size) as i where i <> all (coalesce(items, '{}')));
      is_busy := true;
      size := case when p_takes_prefix then refused - 1 else 0 end;
    end if;
  end if;

  if size > 0 then
    -- With the locks it is a decision, in statements that begin after them (rule 3).
    for doubtful in
      select w.item::integer as item, w.token, l.lease
        from unnest(p_keys[1:size], p_tokens[1:size]) with ordinality as w (key, token, item)
        join lateral (
          select k as lease, k.token, k.queued, k.hold_until
            from leasehold.leases k
           where k.key >= w.key and k.key <= w.key
           order by k.key desc
           limit 1) l on true
       where l.queued or l.token is not null or l.hold_until > clock_timestamp()
       order by w.item
    loop
      lease := doubtful.lease;
      if lease.token = doubtful.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
        ours := ours || doubtful.item;
        continue;
      end if;
      is_next := leasehold_internal._is_next(lease, doubtful.token);
      lapsed := null;
      if is_next and :last_was_shared then
        lapsed := leasehold_internal._clear_shares(lease.key);
      end if;
      if not (is_next and leasehold_internal._is_grantable(lease)) then
        refused := doubtful.item;
        is_busy := is_next and :only_ended_shares;
        size := case when p_takes_prefix then refused - 1 else 0 end;
        exit;
      end if;
      takeover := null;
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
      if takeover is not null then
        taken := taken || doubtful.item;
        holders := holders || holder;
        fences := fences || holderfence;
        sessions := sessions || holdersession;
        reasons := reasons || takeover;
        sinces := sinces || since;
      end if;
      if lease.queued then
        queued := queued || doubtful.item;
      end if;
    end loop;
    holder := null; holderfence := null; holdersession := null; takeover := null; since := null;
  end if;

  if size > 0 and leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
    now := leasehold_internal._ms(clock_timestamp());
    perform set_config('synchronous_commit', 'off', true);
    return next;
    return;
  end if;

  if size > 0 then
    perform leasehold_internal._leave_queue(p_keys[i], p_tokens[i]) from unnest(queued) as i where i <= size;
    -- The same grant, asked for again: written once, so that this commit too waits until it is durable.
    if ours is not null then
      update leasehold.leases l
         set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
             takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
       where l.key = any (array(select p_keys[i] from unnest(ours) as i where i <= size));
    end if;
    return query
      with before as materialized (
        select w.item::integer as item, w.key, w.token, l.version
          from unnest(p_keys[1:size], p_tokens[1:size]) with ordinality as w (key, token, item)
          join lateral (
            select k.ctid as version
              from leasehold.leases k
             where k.key >= w.key and k.key <= w.key
             order by k.key desc
             limit 1) l on true
         where ours is null or w.item <> all (ours)
      ),
      -- Rule 4: drawn once all are locked, one for all.
      stamp as materialized (
        select c.moment, :fence as drawn
          from (select count(*) as size, clock_timestamp() as moment from before) c
      ),
      granted as (
        update leasehold.leases l
           set :grant
          from (
            select b.item, b.version, b.token, s.moment, s.drawn,
                   queued is not null and b.item = any (queued)
                     and exists (select from leasehold.waiters q where q.key = b.key) as queued
              from stamp s cross join before b) x
         where l.ctid = x.version
        returning x.item, l.fence, l.acquired_at, l.expires_at
      )
      select g.item, 'granted', g.fence, leasehold_internal._ms(g.acquired_at), leasehold_internal._ms(g.expires_at),
             t.holder, t.fence, t.session, t.reason, t.since, leasehold_internal._ms(clock_timestamp())
        from granted g
        left join unnest(taken, holders, fences, sessions, reasons, sinces) as t (item, holder, fence, session, reason, since)
          on t.item = g.item
      union all
      select w.item::integer, 'granted', l.fence, leasehold_internal._ms(l.acquired_at), leasehold_internal._ms(l.expires_at),
             null, null, null, null, null, leasehold_internal._ms(clock_timestamp())
        from unnest(p_keys[1:size]) with ordinality as w (key, item)
        join leasehold.leases l on l.key = w.key
       where w.item = any (ours);
  end if;

  if refused is not null then
    item := refused;
    outcome := case when is_busy then 'busy' else 'held' end;
    lease := null;
    select l.* into lease from leasehold.leases l where l.key = p_keys[refused];
    :in_the_way
    now := leasehold_internal._ms(clock_timestamp());
    return next;
  end if;
  if size = 0 then
    perform set_config('synchronous_commit', 'off', true);
  elsif :is_commit_relaxed then
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
