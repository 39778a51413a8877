-- Takes a lease from its holder. Not immediate: renewals are answered with `forced`, and the key is free when the holder
-- releases it or it expires. Immediate: the key is free now, while the holder may still believe that it has the lock.
--
-- A minimum hold is ended by either: its holder has let go, so nobody believes to have the lock.
--
-- Of a key that is shared it takes the share with the fence, or all of them.
--
-- freeat: when what was taken is free at the latest; null: now. blocked, blocker, gid: an open transaction keeps the key beyond
-- that, or has its row locked (busy, detail). holders: JSON of whom it was taken from; null for the end of a minimum hold.
-- p_notifies: not for a client, which notifies in a statement of its own (rule 10).
create function leasehold_internal.admin_force_release(p_key text, p_fence bigint, p_immediate boolean, p_notifies boolean)
returns table (
  outcome text, freeat float8, holders text, next integer, blocked boolean, blocker integer, gid text, detail text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set extra_float_digits = 1
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  has_ended boolean;
  is_meant boolean := true; -- whether there is a grant with that fence
  forced record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(p_key);
  if p_fence < 1 then
    raise exception using errcode = 'LH003', message = format('a fence is 1 or more, not %s', p_fence),
      hint = 'Give the fence of the grant that is meant, as leasehold.active_leases shows it, or leave it out.';
  end if;
  if p_immediate is null then
    raise exception using errcode = 'LH003',
      message = 'immediate is null', hint = 'Give true or false, or leave it out for false.';
  end if;

  -- This lock passes a guard's key share. A renewal that is about to commit is waited for, half a second in all.
  for attempt in 1..100 loop
    select l.* into lease from leasehold.leases l where l.key = p_key for no key update skip locked;
    exit when found or attempt = 100 or not exists (select from leasehold.leases l where l.key = p_key);
    perform leasehold_internal._wait_for_lease(p_key, false);
  end loop;
  if lease.key is null then
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    -- Without a row: somebody is about to be granted it, or it is as free as it can be.
    if blocked or exists (select from leasehold.leases l where l.key = p_key) then
      outcome := 'busy';
      detail := leasehold_internal._where_open(blocked, blocker, gid);
    else
      outcome := 'gone';
    end if;
  elsif exists (select from leasehold.shares s where s.key = p_key and (p_fence is null or s.fence = p_fence)) then
    begin
      forced := leasehold_internal._force_shares(p_key, p_fence, p_immediate);
      outcome := case when forced.free_at is not null then 'revoked' when forced.is_released then 'released' else 'gone' end;
      holders := forced.holders;
      freeat := leasehold_internal._ms(forced.free_at);
      if forced.is_released then
        next := leasehold_internal._whom_to_tell(p_key, null);
        if p_notifies then
          perform leasehold_internal._wake_next(p_key, next);
        end if;
      end if;
    exception when lock_not_available or deadlock_detected then
      outcome := 'busy';
    end;
  elsif p_fence is not null and lease.fence <> p_fence then
    outcome := 'gone';
    is_meant := false;
  else
    if lease.token is null and not coalesce(lease.hold_until > clock_timestamp(), false) then
      outcome := 'gone';
    else
      -- Released, expired, or of a dead holder: there is nobody to wait for.
      has_ended := lease.token is null or leasehold_internal._is_grantable(lease);
      outcome := case when p_immediate or has_ended then 'released' else 'revoked' end;
      update leasehold.leases l
         set revoked_at = coalesce(l.revoked_at, clock_timestamp()),
             token = case when outcome = 'revoked' then l.token end,
             session_id = case when outcome = 'revoked' then l.session_id end,
             released_at = case when outcome = 'released' then clock_timestamp() end,
             hold_until = null
       where l.key = p_key;
      if outcome = 'revoked' then
        freeat := leasehold_internal._ms(lease.expires_at);
      else
        next := leasehold_internal._session_of_next_waiter(p_key, null);
      end if;
      if lease.token is not null then
        holders := json_build_array(json_build_object(
          'owner', lease.owner, 'fence', lease.fence::text, 'weight', null, 'session', lease.session_id,
          'expires', leasehold_internal._ms(lease.expires_at)))::text;
      end if;
      if p_notifies then
        perform leasehold_internal._wake(next);
      end if;
    end if;
  end if;
  if lease.key is not null and is_meant then
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    if blocker = pg_backend_pid() then
      blocked := false;
      blocker := null;
    end if;
    if outcome = 'busy' then
      detail := leasehold_internal._where_open(blocked, blocker, gid);
    end if;
  end if;
  return next;
end
$$;
