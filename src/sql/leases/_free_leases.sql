-- Frees what these tokens hold, also an expired lease. A null fence matches any: the last word of an acquire (abandon).
-- The key of a lease that was held (p_held) cannot be granted until its minimum hold has ended; that of a grant that nobody
-- heard of can.
create function leasehold_internal._free_leases(p_keys text[], p_tokens uuid[], p_fences bigint[], p_held boolean[])
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  freed record;
  asked record;
  lease leasehold.leases;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
begin
  for freed in
    with locked as materialized (
      select w.item, w.held, l.version
        from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as w (key, token, fence, held, item)
        join lateral (
          select k.key, k.ctid as version from leasehold.leases k
           where k.key >= w.key and k.key <= w.key and k.token = w.token and (w.fence is null or k.fence = w.fence)
           order by k.key desc
           limit 1
             for no key update skip locked) l on l.key = w.key
    )
    update leasehold.leases l
       set token = null,
           session_id = null,
           released_at = x.at,
           hold_until = case when x.held and l.expires_at > x.at and l.min_hold_ms > 0
             then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end
      from (select k.*, clock_timestamp() as at from locked k) x
     where l.ctid = x.version
    returning x.item, l.key, l.queued,
      case
        when l.expires_at > x.at then null
        when l.revoked_at is not null then 'forced'
        when l.max_hold_until <= x.at then 'max-hold'
        else 'expired'
      end as loss
  loop
    item := freed.item;
    outcome := case when freed.loss is null then 'released' else 'expired' end;
    reason := freed.loss;
    next := null;
    if freed.queued then
      next := leasehold_internal._session_of_next_waiter(freed.key, p_tokens[item]);
    end if;
    now := leasehold_internal._ms(clock_timestamp());
    is_done[item] := true;
    return next;
  end loop;

  if not (true = all (is_done)) then
    -- What is not in leases may be a share.
    for item, outcome, reason, next, now in
      with other as (
        select array_agg(u.item::integer) as items, array_agg(u.key) as keys, array_agg(u.token) as tokens,
               array_agg(u.fence) as fences, array_agg(u.held) as held
          from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as u (key, token, fence, held, item)
         where not is_done[u.item]
      )
      select o.items[s.item], s.outcome, s.reason, s.next, s.now
        from other o
       cross join lateral leasehold_internal._free_shares(o.keys, o.tokens, o.fences, o.held) s
    loop
      is_done[item] := true;
      return next;
    end loop;
    for asked in
      select u.* from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
    loop
      continue when is_done[asked.item];
      lease := null;
      select l.* into lease from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;
      item := asked.item;
      next := null;
      reason := leasehold_internal._loss_reason(lease, asked.token, asked.fence);
      -- Still there, so its row is locked. Also one that was revoked or has expired: a renewal may be on its way to its commit.
      outcome := case when reason is null or lease.token = asked.token and reason <> 'taken' then 'busy' else 'gone' end;
      now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
end
$$;
