-- Renews leases. Strict (decision 22): a lease that has expired is lost, even if nobody took it. Never creates, steals or
-- shortens.
--
-- p_ttl_ms: null only proves the lease. p_former: ids that the caller's session had before. expires: the earliest expiry of the
-- leases that were renewed plainly, all at one moment. others: null if that was all of them, else JSON of the others: [[item,
-- outcome, expires, reason], ...].
create function leasehold_internal.renew(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_ttl_ms integer,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
  p_former integer[],
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
as $$
declare
  moment timestamptz;
  renewed integer;
  special text;
  missed text;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() then
    perform leasehold_internal._check_transaction();
  end if;
  if cardinality(p_keys) > 1000 then
    perform leasehold_internal._check_batch_size(cardinality(p_keys));
  end if;
  if not :session_is_alive then
    others := (
      select '[' || string_agg('[' || i || ',"unproven",null,null]', ',' order by i) || ']'
        from generate_subscripts(p_keys, 1) i);
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;

  with locked as materialized (
    select w.item::integer, l.version, l.session_id, l.takeover_ms
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join lateral (
        select k.key, k.ctid as version, k.session_id, k.takeover_ms
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key and k.token = w.token and k.fence = w.fence
         order by k.key desc
         limit 1
           for no key update skip locked
      ) l on l.key = w.key
  ),
  drawn as materialized (
    select clock_timestamp() as at, count(*) from locked
  ),
  renewed as (
    update leasehold.leases l
       set expires_at = case
             when p_ttl_ms is null then l.expires_at
             else greatest(l.expires_at, least(d.at + p_ttl_ms * interval '1 millisecond', l.max_hold_until))
           end,
           renewed_at = d.at,
           ttl_ms = coalesce(p_ttl_ms, l.ttl_ms),
           session_id = x.successor,
           takeover_ms = case when x.successor = p_session then p_takeover_ms when x.successor is not null then l.takeover_ms end
      from drawn d
     cross join (
        select k.item, k.version, k.session_id,
               case
                 when k.session_id is null or k.session_id = p_session then k.session_id
                 else leasehold_internal._session_after_renewal(k.session_id, k.takeover_ms, p_session, p_former)
               end as successor
          from locked k
         offset 0
      ) x
     where l.ctid = x.version and l.expires_at > d.at and l.revoked_at is null
    returning x.item, l.expires_at,
              l.expires_at = d.at + p_ttl_ms * interval '1 millisecond'
                and x.session_id is not distinct from x.successor as is_plain
  )
  select (select d.at from drawn d),
         count(*),
         leasehold_internal._ms(min(r.expires_at) filter (where r.is_plain)),
         string_agg(json_build_array(r.item, 'renewed', leasehold_internal._ms(r.expires_at), null)::text, ',')
           filter (where r.is_plain is not true)
    into moment, renewed, expires, special
    from renewed r;

  if renewed < cardinality(p_keys) then
    missed := (
      with missed as materialized (
        select w.item::integer, w.key, w.token, w.fence, l.lease
          from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
          left join lateral (
            select k as lease, k.renewed_at = moment and k.token = w.token and k.fence = w.fence as is_renewed
              from leasehold.leases k
             where k.key >= w.key and k.key <= w.key
             order by k.key desc
             limit 1) l on true
         where l.is_renewed is not true
      ),
      -- What is not in leases may be a share.
      other as materialized (
        select array_agg(m.item order by m.item) as items, array_agg(m.key order by m.item) as keys,
               array_agg(m.token order by m.item) as tokens, array_agg(m.fence order by m.item) as fences
          from missed m
         where m.lease is null or (m.lease).token is distinct from m.token
      ),
      shared as materialized (
        select o.items[s.item] as item, s.outcome, s.expires, s.reason
          from other o
         cross join lateral leasehold_internal._renew_shares(
           p_session, p_takeover_ms, p_ttl_ms, o.keys, o.tokens, o.fences, p_former) s
         where o.items is not null
      )
      select string_agg(
               json_build_array(m.item, coalesce(s.outcome, case when r.reason is null then 'busy' else 'lost' end), s.expires,
                                case when s.item is null then r.reason else s.reason end)::text, ',' order by m.item)
        from missed m
        left join shared s on s.item = m.item
       cross join lateral (select leasehold_internal._loss_reason(m.lease, m.token, m.fence) as reason) r);
  end if;
  others := '[' || nullif(concat_ws(',', special, missed), '') || ']';

  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
