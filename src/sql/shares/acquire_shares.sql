-- Looks of a batch of claims that ask for shares on the same terms, answered as by acquire_first. One key as a rule: then all
-- are decided under one lock of its root. p_not_after: one for all, or one for each. p_tickets, p_proofs: null for those that
-- have none yet.
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
  p_not_after float8[],
  p_keys text[],
  p_tokens uuid[],
  p_former integer[],
  p_weight integer,
  p_capacity integer,
  p_tickets bigint[],
  p_proofs bigint[],
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
  size integer := cardinality(p_keys);
  is_one_key boolean := p_keys = array_fill(p_keys[1], array[size]);
  not_after float8[] := p_not_after;
  tickets bigint[] := coalesce(p_tickets, array_fill(null::bigint, array[size]));
  proofs bigint[] := coalesce(p_proofs, array_fill(null::bigint, array[size]));
  asked record;
  plain integer[];
  drawn bigint[];
  more text;
  answers text;
  given text[] := array_fill(null::text, array[size]);
  is_granted boolean;
  has_grant boolean := false;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or size > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(size);
  end if;
  if p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive then
    others := (
      select '['
             || string_agg('[' || i || ',"unproven",null,null,null,null,null,null,null,null,null,null,null,null]', ',' order by i)
             || ']'
        from generate_subscripts(p_keys, 1) i);
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;
  if cardinality(not_after) < size then
    not_after := array_fill(not_after[1], array[size]);
  end if;

  -- Rule 5. Of grants of several keys, the earliest end.
  for asked in
    select p_keys[1] as key, null::integer[] as items, size as count where is_one_key
    union all
    select k.* from (
      select w.key, array_agg(w.item::integer order by w.item), count(*)::integer
        from unnest(p_keys) with ordinality w (key, item)
       where not is_one_key
       group by w.key
       order by w.key) k
  loop
    select array_agg(a.item) filter (where a.is_plain), array_agg(a.fence) filter (where a.is_plain),
           least(acquire_shares.acquired, min(a.acquired) filter (where a.is_plain)),
           least(acquire_shares.expires, min(a.expires) filter (where a.is_plain)),
           string_agg(case when not a.is_plain then json_build_array(a.item, :answer_columns)::text end, ','),
           bool_or(a.outcome = 'granted')
      into plain, drawn, acquired, expires, more, is_granted
      from (
        select l.*, l.outcome = 'granted' and l.takeover is null and l.nextlook is null and l.blocker is null as is_plain
          from leasehold_internal._acquire_shares(
                 p_session, p_takeover_ms, false, is_one_key, asked.key,
                 case when is_one_key then array(select generate_series(1, size)) else asked.items end,
                 case when is_one_key then p_tokens else array(select p_tokens[i] from unnest(asked.items) i) end,
                 array_fill(p_owner, array[asked.count]), array_fill(p_ttl_ms, array[asked.count]),
                 array_fill(p_min_hold_ms, array[asked.count]), array_fill(p_max_hold_ms, array[asked.count]),
                 array_fill(p_metadata, array[asked.count]),
                 case when is_one_key then not_after else array(select not_after[i] from unnest(asked.items) i) end,
                 array_fill(p_waits, array[asked.count]),
                 case when is_one_key then tickets else array(select tickets[i] from unnest(asked.items) i) end,
                 case when is_one_key then proofs else array(select proofs[i] from unnest(asked.items) i) end,
                 array_fill(p_weight, array[asked.count]), array_fill(p_capacity, array[asked.count]), p_former) l
        offset 0) a;
    answers := nullif(concat_ws(',', answers, more), '');
    has_grant := has_grant or is_granted;
    for i in 1 .. coalesce(cardinality(plain), 0) loop
      given[plain[i]] := drawn[i];
    end loop;
  end loop;
  others := '[' || answers || ']';
  fences := array_to_string(given, ',', '');

  -- Rule 9.
  if not has_grant then
    perform set_config('synchronous_commit', 'off', true);
  elsif :is_commit_relaxed then
    perform leasehold_internal._commit_durably();
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
