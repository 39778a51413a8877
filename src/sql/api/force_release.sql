-- Runs with the rights of its caller, so that it can tell a role without the right which one that is. What it calls is an
-- administrator's alone.
create function leasehold.force_release(key text, fence bigint default null, immediate boolean default false)
returns table (
  outcome text, free_at timestamptz, holder text, holder_fence bigint, blocking_pid integer, blocking_transaction text)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal.require_admin('leasehold_internal.admin_force_release(text,bigint,boolean,boolean)');
  select a.* into answer
    from leasehold_internal.admin_force_release(
           force_release.key collate "C", force_release.fence, force_release.immediate, true) a;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released by force now: a transaction keeps its row locked', force_release.key),
      detail = answer.detail,
      hint = 'End that transaction, then try again: select pg_terminate_backend(<process>); or rollback prepared <name>;';
  end if;
  outcome := answer.outcome;
  free_at := to_timestamp(answer.freeat / 1000);
  holder := answer.owner;
  holder_fence := answer.fence;
  blocking_pid := answer.blocker;
  blocking_transaction := answer.gid;
  return next;
end
$$;

comment on function leasehold.force_release(text, bigint, boolean) is
  'Takes a lock from its holder: select * from leasehold.force_release(''report:daily''); outcome: revoked (its renewals fail '
  'from now on; the key is free when its holder notices, at free_at at the latest); released (free now: immediate, although its '
  'holder may still believe that it has the lock, and only fences protect what it writes; or a lease that had ended, or a '
  'minimum hold); gone (nobody held it). An open transaction that guards the key keeps it beyond that: blocking_pid, or the '
  'prepared transaction blocking_transaction. "fence": only that grant, and no later one. '
  'For administrators: leasehold.grant_admin().';
