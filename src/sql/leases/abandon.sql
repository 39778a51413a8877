-- Ends an acquire by its token alone (rule 8): removes its entry from the queue, and frees what it was granted.
--
-- p_doubted: an attempt had no answer. It may have passed its not_after check and be about to commit (a slow disk, a
-- synchronous standby that is away). Then it holds the row or the lock for inserting the key, and the answer is busy. So the row
-- is locked before anything is freed: a share has one of its own, and one attempt could insert it anew once that of another was
-- freed (model C, H_DOUBTFOUND).
create function leasehold_internal.abandon(
  p_relaxed boolean, p_keys text[], p_tokens uuid[], p_held boolean[], p_doubted boolean[]
)
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  freed record;
  lease leasehold.leases;
  has_left boolean := false;
  stuck integer[] := array[]::integer[];
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_batch_size(cardinality(p_keys));
  if true = any (p_doubted) then
    with locked as materialized (
      select l.key
        from leasehold.leases l
       where l.key = any (array(select p_keys[i] from generate_subscripts(p_keys, 1) i where p_doubted[i]))
       order by l.key
         for no key update skip locked
    )
    select coalesce(array_agg(i), stuck)
      into stuck
      from generate_subscripts(p_keys, 1) i
     where p_doubted[i]
       and p_keys[i] not in (select k.key from locked k)
       and exists (select from leasehold.leases l where l.key = p_keys[i]);
    foreach item in array stuck loop
      outcome := 'busy'; reason := null; next := null; now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
  for freed in
    select f.*, lead(p_keys[f.item]) over (order by p_keys[f.item], f.item) is not distinct from p_keys[f.item] as has_next
      from leasehold_internal._free_leases(
             p_keys,
             case
               when cardinality(stuck) = 0 then p_tokens
               else array(select case when i <> all (stuck) then p_tokens[i] end from generate_subscripts(p_tokens, 1) i)
             end,
             array_fill(null::bigint, array[cardinality(p_keys)]),
             p_held) f
     where f.item <> all (stuck)
     order by p_keys[f.item], f.item
  loop
    item := freed.item; outcome := freed.outcome; next := freed.next; reason := freed.reason; now := freed.now;
    if outcome = 'gone' and p_doubted[item] then
      -- An attempt that is about to commit has locked the row, or holds the lock for inserting the key, or has inserted the key
      -- that _create_free_lease runs into.
      if not exists (select from leasehold.leases l where l.key = p_keys[item])
        and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_keys[item])) then
        perform leasehold_internal._create_free_lease(p_keys[item]);
      end if;
      lease := null;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item] for no key update skip locked;
      if lease.key is null or lease.token = p_tokens[item] and lease.expires_at > clock_timestamp()
        or exists (
          select from leasehold.shares s
           where s.key = p_keys[item] and s.token = p_tokens[item] and s.released_at is null) then
        outcome := 'busy';
        reason := null;
      end if;
    end if;
    if not leasehold_internal._remove_entry(p_keys[item], p_tokens[item]) then
      if outcome = 'gone' and leasehold_internal._ticket_of(p_keys[item], p_tokens[item]) is not null then
        outcome := 'busy';
        reason := null;
      end if;
    else
      has_left := true;
    end if;
    -- The next waiter may have been waiting for this entry alone. Ask once per key: thousands may leave one queue together.
    if has_left and not freed.has_next then
      has_left := false;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item];
      if leasehold_internal._is_root_free(lease) then
        next := leasehold_internal._whom_to_tell(p_keys[item], null);
      end if;
    end if;
    return next;
  end loop;
  if p_relaxed then
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
