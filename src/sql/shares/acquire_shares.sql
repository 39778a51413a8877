-- The first attempts of a batch of claims that ask for shares on the same terms, answered as by acquire_first. One key as a rule: then
-- all are decided under one lock of its root.
create function leasehold_internal.acquire_shares(
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
  p_weight integer,
  p_capacity integer,
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
  has_grant boolean;
begin
  perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
  if p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive then
    others := (
      select '[' || string_agg('[' || i || ',"unproven",null,null,null,null,null,null,null,null,null,null,null,null]', ',' order by i)
               || ']'
        from generate_subscripts(p_keys, 1) i);
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;

  with asked as (
    select w.key, array_agg(w.item::integer order by w.item) as items, array_agg(w.token order by w.item) as tokens,
           array[count(*)::integer] as size
      from unnest(p_keys, p_tokens) with ordinality w (key, token, item)
     group by w.key
  ),
  answer as materialized (
    select a.*, a.outcome = 'granted' and a.takeover is null and a.nextlook is null as is_plain
      from (select * from asked order by key) k -- rule 5
     cross join lateral leasehold_internal._acquire_shares(
       p_session, p_takeover_ms, false, cardinality(p_keys) = 1, k.key, k.items, k.tokens,
       array_fill(p_owner, k.size), array_fill(p_ttl_ms, k.size), array_fill(p_min_hold_ms, k.size),
       array_fill(p_max_hold_ms, k.size), array_fill(p_metadata, k.size), array_fill(p_not_after, k.size),
       array_fill(p_waits, k.size), array_fill(null::bigint, k.size), array_fill(null::bigint, k.size),
       array_fill(p_weight, k.size), array_fill(p_capacity, k.size), p_former) a
  )
  -- Of grants of several keys, the earliest end.
  select string_agg(case when a.is_plain then a.fence::text else '' end, ',' order by w.item),
         min(a.acquired) filter (where a.is_plain),
         min(a.expires) filter (where a.is_plain),
         '[' || string_agg(json_build_array(a.item, :answer_columns)::text, ',' order by w.item)
                  filter (where a.is_plain is not true) || ']',
         bool_or(a.outcome = 'granted')
    into fences, acquired, expires, others, has_grant
    from generate_subscripts(p_keys, 1) w (item)
    left join answer a on a.item = w.item;

  -- Rule 9.
  if not has_grant then
    perform set_config('synchronous_commit', 'off', true);
  elsif :is_commit_relaxed then
    perform leasehold_internal._commit_durably();
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
