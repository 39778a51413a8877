-- Runs with the rights of its caller, so that it can tell a role without the right which one that is. What it calls is an
-- administrator's alone.
create function leasehold.force_release(key text, fence bigint default null, immediate boolean default false)
returns table (
  outcome text, free_at timestamptz, holder text, holder_fence bigint, blocking_pid integer, blocking_transaction text,
  holders jsonb)
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
  holder := answer.holders::json #>> '{0,owner}';
  holder_fence := (answer.holders::json #>> '{0,fence}')::bigint;
  holders := (
    select jsonb_agg(jsonb_build_object(
             'owner', h.owner, 'fence', h.fence, 'weight', h.weight, 'session_id', h.session,
             'expires_at', to_timestamp(h.expires / 1000)) order by h.number)
      from rows from (
             json_to_recordset(answer.holders::json) as (
               owner text, fence text, weight integer, session integer, expires float8)) with ordinality
        h (owner, fence, weight, session, expires, number));
  blocking_pid := answer.blocker;
  blocking_transaction := answer.gid;
  return next;
end
$$;

comment on function leasehold.force_release(text, bigint, boolean) is
  'Takes a lock from its holders: select * from leasehold.force_release(''report:daily''); outcome: revoked (its renewals fail '
  'from now on; the key is free when its holder notices, at free_at at the latest); released (free now: immediate, although its '
  'holder may still believe that it has the lock, and only fences protect what it writes; or a lease that had ended, or a '
  'minimum hold); gone (nobody held it). An open transaction that guards the key keeps it beyond that: blocking_pid, or the '
  'prepared transaction blocking_transaction. "fence": only that grant, and no later one. Of a key that is shared it takes that '
  'share, or all: "holders" lists whom it was taken from, the oldest first, and holder is the first of them. '
  'For administrators: leasehold.grant_admin().';
