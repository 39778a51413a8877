-- Looks of several claims, each with its own terms. p_careful: see acquire_one. p_weights, p_capacities: what is asked for of a
-- key that is shared; null, or a null weight: the whole key.
create function leasehold_internal.acquire(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_keys text[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[] default null,
  p_former integer[] default null,
  p_weights integer[] default null,
  p_capacities integer[] default null
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
  asked record;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
  durability text := current_setting('synchronous_commit');
  has_grant boolean := false;
  head uuid; -- of the queue of the last item's key
  holding uuid; -- the token that has that key
  items integer[]; -- who waits for that key behind the head
  tokens uuid[];
  owners text[];
  not_afters float8[];
  tickets bigint[];
  proofs bigint[];
  shared integer[]; -- who wants a share of that key
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_batch_size(cardinality(p_keys));
  -- One by one, in key order (rule 5).
  for asked in
    select u.*, lead(u.key) over (order by u.key, u.item) is not distinct from u.key as has_next
      from unnest(p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_not_after, p_waits,
                  p_tickets, p_proofs, p_weights) with ordinality
        as u (key, token, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, not_after, waits, ticket, proof, weight, item)
     order by u.key, u.item
  loop
    if asked.weight is not null then
      shared := shared || asked.item::integer;
      is_done[asked.item] := true;
    end if;
    if shared is not null and not asked.has_next then
      for item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since,
          now, proof in
        select a.item, a.outcome, a.fence, a.acquired, a.expires, a.ticket, a.holder, a.holderfence, a.holdersession, a.nextlook,
               a.blocker, a.takeover, a.since, a.now, a.proof
          from leasehold_internal._look_for_shares(
                 p_session, p_nonce, p_takeover_ms, p_careful, asked.key, shared, p_tokens, p_owners, p_ttls, p_min_holds,
                 p_max_holds, p_metadata, p_not_after, p_waits, p_tickets, p_proofs, p_weights, p_capacities, p_former) a
      loop
        has_grant := has_grant or outcome = 'granted';
        return next;
      end loop;
      shared := null;
    end if;
    -- Behind somebody who was told his position just now: with all the others of this key, at its end.
    if head is not null and asked.weight is null and asked.waits and asked.token <> head
      and asked.token is distinct from holding then
      items := items || asked.item::integer;
      tokens := tokens || asked.token;
      owners := owners || asked.owner;
      not_afters := not_afters || asked.not_after;
      tickets := tickets || asked.ticket;
      proofs := proofs || asked.proof;
      is_done[asked.item] := true;
    end if;
    if items is not null and not asked.has_next then
      return query
        select s.item, s.outcome, null::bigint, null::float8, s.expires, s.ticket, s.holder, s.holderfence, s.holdersession,
               s.nextlook, s.blocker, null::text, null::float8, leasehold_internal._ms(clock_timestamp()), s.proof
          from leasehold_internal._enqueue(asked.key, p_session, items, tokens, owners, not_afters, tickets, proofs) s;
      items := null; tokens := null; owners := null; not_afters := null; tickets := null; proofs := null;
    end if;
    if is_done[asked.item] then
      head := case when asked.has_next then head end;
      continue;
    end if;

    item := asked.item;
    select a.*
      into outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since, now,
           proof
      from leasehold_internal.acquire_one(
             p_session, p_nonce, p_takeover_ms, p_careful, asked.key, asked.token, asked.owner, asked.ttl_ms,
             asked.min_hold_ms, asked.max_hold_ms, asked.metadata, asked.not_after, asked.waits, asked.ticket, asked.proof,
             p_former, false) a;
    if not asked.has_next then
      head := null;
    elsif outcome = 'queued' then
      head := leasehold_internal._queue_head(asked.key);
      holding := (
        select l.token from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1);
    end if;
    has_grant := has_grant or outcome = 'granted';
    return next;
  end loop;

  -- The last look had the last word about the commit, not the one that was granted (rule 9).
  if has_grant then
    perform set_config('synchronous_commit', durability, true);
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
