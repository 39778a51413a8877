-- Hands a lease to who asks: the grant gets a token that only the new holder knows, and its session; the fence stays (decision
-- 25). So it can be handed over once, and nothing that was sent under the old token reaches it any more. Asked again with the
-- same new token it is the same adoption, and never shortens: it may come late. attached: its session is another's and not dead,
-- so its holder has not let go.
--
-- As before a grant, whoever guards the key in an open transaction is waited for (rule 1): what the old holder writes there
-- must be done. A maximum hold counts from now on, and never beyond the one that the lease has.
--
-- weight: of a share; null: the lock is exclusive.
create function leasehold_internal.adopt(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_key text,
  p_token uuid,
  p_fence bigint,
  p_new_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_max_hold_ms bigint,
  p_not_after float8,
  p_former integer[] default null
) returns table (
  outcome text,
  reason text,
  holder text,
  blocker integer,
  acquired float8,
  expires float8,
  maxhold float8,
  metadata text,
  now float8,
  weight integer,
  capacity integer
)
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
  successor integer;
  moment timestamptz;
begin
  perform leasehold_internal._check_transaction();
  if p_token is null or p_new_token is null or p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, 0, p_max_hold_ms, null) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not :session_is_alive then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  if exists (select from leasehold.shares s where s.key = p_key and s.fence = p_fence) then
    select s.outcome, s.reason, s.holder, s.acquired, s.expires, s.maxhold, s.metadata, s.weight, s.capacity
      into outcome, reason, holder, acquired, expires, maxhold, metadata, weight, capacity
      from leasehold_internal._adopt_share(
             p_session, p_takeover_ms, p_key, p_token, p_fence, p_new_token, p_owner, p_ttl_ms, p_max_hold_ms, p_not_after,
             p_former) s;
    if outcome = 'busy' then
      blocker := (select b.pid from leasehold_internal._blocker(p_key, p_fence) b);
    end if;
    perform leasehold_internal._commit_durably();
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  for attempt in 1..2 loop
    select l.* into lease
      from leasehold.leases l
     where l.key = p_key and l.token in (p_token, p_new_token) and l.fence = p_fence
       for update skip locked;
    is_locked := found;
    exit when is_locked or attempt = 2;
    perform leasehold_internal._wait_for_lease(p_key, true);
  end loop;
  if not is_locked then
    select l.* into lease from leasehold.leases l where l.key = p_key;
  end if;

  -- Each decision in a statement that begins after the lock (rule 3).
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
  else
    reason := leasehold_internal._loss_reason(
      lease, case when lease.token = p_new_token then p_new_token else p_token end, p_fence);
    successor := case
      when reason is null and is_locked then leasehold_internal._session_after_renewal(
        lease.session_id, lease.takeover_ms, p_session, p_former) end;
    if reason is not null then
      outcome := 'lost';
    elsif not is_locked then
      outcome := 'busy';
      blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
    elsif successor <> p_session or successor is not null and p_session is null then
      outcome := 'attached';
      holder := lease.owner;
    else
      outcome := 'adopted';
      moment := clock_timestamp();
      update leasehold.leases l
         set token = p_new_token,
             owner = p_owner,
             session_id = p_session,
             takeover_ms = case when p_session is not null then p_takeover_ms end,
             ttl_ms = p_ttl_ms,
             renewed_at = moment,
             max_hold_until = least(l.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'),
             expires_at = greatest(
               case when l.token = p_new_token then l.expires_at end, -- its new holder believes in what it was answered
               least(
                 moment + p_ttl_ms * interval '1 millisecond', l.max_hold_until,
                 moment + p_max_hold_ms * interval '1 millisecond'))
       where l.key = p_key
      returning l.* into lease;
      acquired := leasehold_internal._ms(lease.acquired_at);
      expires := leasehold_internal._ms(lease.expires_at);
      maxhold := leasehold_internal._ms(lease.max_hold_until);
      metadata := lease.metadata::text;
    end if;
  end if;
  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
