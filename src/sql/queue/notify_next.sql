-- Notifies the session of whoever is next in the queue of each key, with the commit (rule 10). Not the session that asks,
-- whose process wakes its own waiters.
--
-- A transaction of its own. Commits that notify wait for each other over the whole server, also for one that waits for a
-- standby which is away. So it waits for 100 ms at most, and nothing but a hint is lost with it.
create function leasehold_internal.notify_next(p_session integer, p_keys text[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  next_session integer;
begin
  perform leasehold_internal._check_batch_size(cardinality(p_keys)),
          set_config('synchronous_commit', 'off', true),
          set_config('lock_timeout', '100', true); -- also while it commits: so no SET clause
  for next_session in
    select distinct leasehold_internal._session_of_next_waiter(k.key, null) from unnest(p_keys) as k (key)
  loop
    if next_session is distinct from p_session then
      perform leasehold_internal._wake(next_session);
    end if;
  end loop;
end
$$;
