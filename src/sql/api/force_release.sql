create function leasehold.force_release(key text, fence bigint default null, immediate boolean default false)
returns table (outcome text, holder text, holder_fence bigint, holder_expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(force_release.key);
  if force_release.fence < 1 then
    raise exception using errcode = 'LH003', message = format('a fence is 1 or more, not %s', force_release.fence),
      hint = 'Give the fence of the grant that is meant, as leasehold.active_leases shows it, or leave it out.';
  end if;
  if immediate is null then
    raise exception using errcode = 'LH003',
      message = 'immediate is null', hint = 'Give true or false, or leave it out for false.';
  end if;
  select a.* into answer from leasehold_internal.force_release(force_release.key collate "C", force_release.fence, immediate) a;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released by force now: a transaction keeps its row locked', force_release.key),
      detail = format('It is open in the server process %s.', coalesce(answer.blocker::text, '(unknown)')),
      hint = 'End that transaction, then try again: select pg_terminate_backend(<process>);';
  end if;
  perform leasehold_internal._wake(answer.next);
  outcome := answer.outcome;
  holder := answer.owner;
  holder_fence := answer.fence;
  holder_expires_at := to_timestamp(answer.expires / 1000);
  return next;
end
$$;

comment on function leasehold.force_release(text, bigint, boolean) is
  'Takes a lock from its holder: select * from leasehold.force_release(''report:daily''); outcome: revoked (its renewals fail '
  'from now on; the key is free when its holder releases it, or at holder_expires_at); released (immediate: free now, although '
  'its holder may still believe that it has the lock: only fences protect what it writes); gone (there was nothing to take). '
  '"fence": only that grant, and no later one.';
