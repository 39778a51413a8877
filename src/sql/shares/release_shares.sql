-- Frees shares. others: as release answers; the session of who is next may be 0, see _whom_to_tell.
create function leasehold_internal.release_shares(
  p_relaxed boolean,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
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
as $$
declare
  freed integer[];
  waited text;
  missed text;
  ignored text;
begin
  perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
  with locked as materialized (
    select w.item::integer, s.version
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join lateral (
        select k.key, k.ctid as version
          from leasehold.shares k
         where k.key = w.key and k.token >= w.token and k.token <= w.token and k.fence = w.fence
           and k.released_at is null and k.revoked_at is null and k.expires_at > clock_timestamp()
           and (k.min_hold_ms = 0 or k.acquired_at + k.min_hold_ms * interval '1 millisecond' <= clock_timestamp())
         order by k.token
         limit 1
           for update skip locked) s on s.key = w.key
  ),
  gone as (
    delete from leasehold.shares s using locked k where s.ctid = k.version
    returning k.item
  )
  select array_agg(g.item order by g.item) into freed from gone g;

  -- Once per key: whoever waits for it.
  waited := (
    select string_agg(json_build_array(f.item, 'released', null, f.next)::text, ',')
      from (
        select k.item, leasehold_internal._whom_to_tell(k.key, null) as next
          from (select p_keys[i] as key, min(i) as item from unnest(freed) i group by p_keys[i]) k
        offset 0) f
     where f.next is not null);
  if coalesce(cardinality(freed), 0) < cardinality(p_keys) then
    missed := (
      with left_over as (
        select array_agg(w.item::integer) as items, array_agg(w.key) as keys, array_agg(w.token) as tokens,
               array_agg(w.fence) as fences
          from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
         where w.item <> all (coalesce(freed, '{}'))
      )
      select string_agg(json_build_array(m.items[f.item], f.outcome, f.reason, f.next)::text, ',')
        from left_over m
       cross join lateral leasehold_internal._free_leases(
         m.keys, m.tokens, m.fences, array_fill(true, array[cardinality(m.keys)])) f
       where f.outcome <> 'released' or f.next is not null);
  end if;
  others := '[' || nullif(concat_ws(',', waited, missed), '') || ']';

  if p_relaxed then
    ignored := set_config('synchronous_commit', 'off', true);
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
