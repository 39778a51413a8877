-- Takes a lease off its session, so that it lives by its TTL alone, a full one from now on: its holder is about to hand it over
-- (decision 25). Whoever has the token may do so: a lease without a session can be granted later than one with, never earlier.
-- Like a renewal it never creates, revives or shortens.
create function leasehold_internal.detach_lock(
  p_session integer, p_nonce uuid, p_key text, p_token uuid, p_fence bigint, p_ttl_ms integer
) returns table (outcome text, expires float8, reason text, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  is_locked boolean;
  moment timestamptz;
begin
  perform leasehold_internal._check_transaction();
  if not :session_is_alive then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  if exists (select from leasehold.shares s where s.key = p_key and s.fence = p_fence) then
    select s.outcome, s.expires, s.reason
      into outcome, expires, reason
      from leasehold_internal._detach_share(p_key, p_token, p_fence, p_ttl_ms) s;
    perform leasehold_internal._commit_durably();
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  for attempt in 1..2 loop
    select l.* into lease
      from leasehold.leases l
     where l.key = p_key and l.token = p_token and l.fence = p_fence
       for no key update skip locked;
    is_locked := found;
    exit when is_locked or attempt = 2;
    perform leasehold_internal._wait_for_lease(p_key, false);
  end loop;
  if not is_locked then
    select l.* into lease from leasehold.leases l where l.key = p_key;
  end if;
  reason := leasehold_internal._loss_reason(lease, p_token, p_fence);

  if reason is not null then
    outcome := 'lost';
  elsif not is_locked then
    outcome := 'busy';
  else
    moment := clock_timestamp();
    update leasehold.leases l
       set session_id = null,
           takeover_ms = null,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           expires_at = greatest(
             l.expires_at, least(moment + p_ttl_ms * interval '1 millisecond', l.max_hold_until))
     where l.key = p_key
    returning leasehold_internal._ms(l.expires_at) into expires;
    outcome := 'renewed';
  end if;
  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
