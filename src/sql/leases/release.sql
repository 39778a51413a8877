-- Frees leases. others: null when all were released and nobody waits, else JSON of the others: [[item,
-- outcome, reason, session of who is next], ...].
--
-- First a plain update, which waits 5 ms at most for a row that somebody has locked: a renewal of our own that is about
-- to commit, as a rule. Rows locked first, with skip locked, cost 1.3 us of 6.7 more per row, and 55 bytes of WAL. The
-- block for the exception costs nothing that could be measured. What the update leaves goes to _free_leases, which skips what
-- is locked.
create function leasehold_internal.release(
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
set lock_timeout = '5ms'
as $$
declare
  moment timestamptz := clock_timestamp();
  freed integer := 0;
  is_queued boolean;
  next_session integer;
  ignored text;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or cardinality(p_keys) > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
  end if;

  begin
    if cardinality(p_keys) = 1 then
      -- Also one with a queue: the release of a hot key comes alone, and the next holder waits for it.
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = moment,
             hold_until = case when l.min_hold_ms > 0 then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end
       where l.ctid = (
               select k.ctid from leasehold.leases k where k.key >= p_keys[1] and k.key <= p_keys[1] order by k.key desc limit 1)
         and l.token = p_tokens[1] and l.fence = p_fences[1] and l.revoked_at is null and l.expires_at > clock_timestamp()
      returning l.queued into is_queued;
    else
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = moment
        from unnest(p_keys, p_tokens, p_fences) as w (key, token, fence)
       cross join lateral (
          select k.ctid as version
            from leasehold.leases k
           where k.key >= w.key and k.key <= w.key
           order by k.key desc
           limit 1
        ) n
       where l.ctid = n.version and l.token = w.token and l.fence = w.fence
         and not l.queued and l.min_hold_ms = 0 and l.revoked_at is null and l.expires_at > clock_timestamp();
    end if;
    get diagnostics freed = row_count;
  exception when lock_not_available or deadlock_detected then
    freed := 0;
  end;

  if is_queued or freed < cardinality(p_keys) then
    -- What follows waits for no row. But whoever has locked a table is waited for, as ever.
    ignored := set_config('lock_timeout', '0', true);
  end if;
  if is_queued then
    next_session := leasehold_internal._session_of_next_waiter(p_keys[1], p_tokens[1]);
    if next_session is not null then
      others := '[[1,"released",null,' || next_session || ']]';
    end if;
  elsif freed < cardinality(p_keys) then
    others := (
      with missed as (
        select array_agg(w.item::integer) as items, array_agg(w.key) as keys, array_agg(w.token) as tokens,
               array_agg(w.fence) as fences
          from (
            select u.*
              from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
              left join lateral (
                select k.fence, k.released_at
                  from leasehold.leases k
                 where k.key >= u.key and k.key <= u.key
                 order by k.key desc
                 limit 1) l on true
             where (l.fence = u.fence and l.released_at = moment) is not true -- what was freed here
             order by u.item) w
        having count(*) > 0
      )
      select '[' || string_agg(json_build_array(m.items[f.item], f.outcome, f.reason, f.next)::text, ',' order by f.item) || ']'
        from missed m
       cross join lateral leasehold_internal._free_leases(
         m.keys, m.tokens, m.fences, array_fill(true, array[cardinality(m.keys)])) f
       where f.outcome <> 'released' or f.next is not null);
  end if;

  if p_relaxed then
    -- Not by perform, which runs a query: 5 us.
    ignored := set_config('synchronous_commit', 'off', true);
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
