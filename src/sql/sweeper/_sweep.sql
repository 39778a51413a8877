-- Sweeps one batch. p_quiet_ms: does nothing if the last batch was done less than this long ago.
create function leasehold_internal._sweep(p_retention interval, p_most integer, p_quiet_ms integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  state leasehold.sweeper;
  before timestamptz;
  shares_purged integer;
begin
  perform leasehold_internal._check_transaction();
  woken := 0; leases_purged := 0; waiters_purged := 0; sessions_purged := 0; counters_purged := 0;
  has_more := false;
  is_busy := not pg_try_advisory_xact_lock(:maintenance_class, 1);
  if is_busy then
    return next;
    return;
  end if;
  select * into state from leasehold.sweeper s where s.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  if state.swept_at > clock_timestamp() - p_quiet_ms * interval '1 millisecond' then
    return next;
    return;
  end if;
  -- Nobody continued that pass: start a new one.
  if state.swept_at < clock_timestamp() - interval '10 minutes' then
    state.after_key := null;
  end if;

  before := clock_timestamp() - p_retention;
  if state.after_key is null then
    woken := leasehold_internal._wake_heads(p_most);
  end if;
  waiters_purged := leasehold_internal._purge_waiters(p_most);
  counters_purged := leasehold_internal._purge_counters(p_most);
  shares_purged := leasehold_internal._purge_shares(before, p_most);
  -- Last, because others can run into its locks.
  select p.purged, p.reached into leases_purged, state.after_key
    from leasehold_internal._purge_leases(state.after_key, before, p_most) p;
  leases_purged := leases_purged + shares_purged;
  -- Once per pass, because it reads every lease. At the end, when leases that nobody will renew are gone.
  if state.after_key is null then
    sessions_purged := leasehold_internal._purge_sessions(before);
  end if;
  has_more := state.after_key is not null or waiters_purged = p_most or counters_purged = p_most or sessions_purged = 100
    or shares_purged = p_most;
  update leasehold.sweeper s set after_key = state.after_key, swept_at = clock_timestamp() where s.id;
  return next;
end
$$;
