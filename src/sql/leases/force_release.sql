-- Takes a lease from its holder. Not immediate: renewals are answered with `forced`, and the key is free when the holder
-- releases it or it expires. Immediate: the key is free now, while the holder may still believe that it has the lock.
create function leasehold_internal.force_release(p_key text, p_fence bigint, p_immediate boolean)
returns table (outcome text, fence bigint, owner text, expires float8, next integer, blocker integer)
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
begin
  perform leasehold_internal._check_transaction();
  select l.* into lease from leasehold.leases l where l.key = p_key for no key update skip locked;
  if not found and exists (select from leasehold.leases l where l.key = p_key) then
    outcome := 'busy';
    blocker := (select b.pid from leasehold_internal._blockers(array[p_key]) b);
  elsif lease.token is null and not coalesce(p_immediate and lease.hold_until > clock_timestamp(), false)
     or p_fence is not null and lease.fence <> p_fence then
    outcome := 'gone';
  else
    outcome := case when p_immediate then 'released' else 'revoked' end;
    update leasehold.leases l
       set revoked_at = clock_timestamp(),
           token = case when not p_immediate then l.token end,
           session_id = case when not p_immediate then l.session_id end,
           released_at = case when p_immediate then clock_timestamp() end,
           hold_until = null
     where l.key = p_key;
    fence := lease.fence;
    owner := lease.owner;
    expires := leasehold_internal._ms(lease.expires_at);
    if p_immediate then
      next := leasehold_internal._session_of_next_waiter(p_key, null);
    end if;
  end if;
  return next;
end
$$;
