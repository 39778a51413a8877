-- The part of renew that is about shares: answers for those of these items that have one, and for no others. Strict, as renew
-- is. Takes no lock of the root.
create function leasehold_internal._renew_shares(
  p_session integer, p_takeover_ms integer, p_ttl_ms integer, p_keys text[], p_tokens uuid[], p_fences bigint[],
  p_former integer[])
returns table (item integer, outcome text, expires float8, reason text)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  renewed integer[];
begin
  for item, expires in
    with locked as materialized (
      select w.item::integer, s.version, s.session_id, s.takeover_ms
        from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
        join lateral (
          select k.key, k.ctid as version, k.session_id, k.takeover_ms
            from leasehold.shares k
           where k.key = w.key and k.token >= w.token and k.token <= w.token and k.fence = w.fence
           order by k.token
           limit 1
             for no key update skip locked) s on s.key = w.key
    ),
    drawn as materialized (
      select clock_timestamp() as at, count(*) from locked
    )
    update leasehold.shares s
       set expires_at = case
             when p_ttl_ms is null then s.expires_at
             else greatest(s.expires_at, least(d.at + p_ttl_ms * interval '1 millisecond', s.max_hold_until))
           end,
           renewed_at = d.at,
           ttl_ms = coalesce(p_ttl_ms, s.ttl_ms),
           session_id = x.successor,
           takeover_ms = case when x.successor = p_session then p_takeover_ms when x.successor is not null then s.takeover_ms end
      from drawn d
     cross join (
        select k.item, k.version,
               case
                 when k.session_id is null or k.session_id = p_session then k.session_id
                 else leasehold_internal._session_after_renewal(k.session_id, k.takeover_ms, p_session, p_former)
               end as successor
          from locked k
         offset 0) x
     where s.ctid = x.version and s.expires_at > d.at and s.revoked_at is null and s.released_at is null
    returning x.item, leasehold_internal._ms(s.expires_at)
  loop
    outcome := 'renewed';
    renewed := renewed || item;
    return next;
  end loop;
  return query
    select w.item::integer, case when l.reason is null then 'busy' else 'lost' end, null::float8, l.reason
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join leasehold.shares s on s.key = w.key and s.token = w.token and s.fence = w.fence
     cross join lateral (select leasehold_internal._share_loss(s, null, w.fence) as reason) l
     where w.item <> all (coalesce(renewed, '{}'));
end
$$;
