-- Notifies the sessions of those that may be granted each key now, with the commit (rule 10): of who is next, or, where shares
-- are waited for, of all that fit. It begins after the release has committed, so that of two who let go together one sees both
-- (decision 27). Not the session that asks: it is told for which keys it is meant itself (JSON; null: none), and wakes its own
-- waiters.
--
-- A transaction of its own. Commits that notify wait for each other over the whole server, also for one that waits for a
-- standby which is away. So it waits for 100 ms at most, and nothing but a hint is lost with it.
create function leasehold_internal.notify_next(p_session integer, p_keys text[]) returns text
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
  asked text;
  next_session integer;
  told integer[] := array[]::integer[];
  own text[] := array[]::text[];
begin
  perform leasehold_internal._check_batch_size(cardinality(p_keys)),
          set_config('synchronous_commit', 'off', true),
          set_config('lock_timeout', '100', true); -- also while it commits: so no SET clause
  foreach asked in array p_keys loop
    foreach next_session in array leasehold_internal._sessions_to_wake(asked) loop
      if next_session = p_session then
        own := own || asked;
      elsif next_session <> all (told) then
        told := told || next_session;
        perform leasehold_internal._wake(next_session);
      end if;
    end loop;
  end loop;
  return to_json(nullif(own, '{}'))::text;
end
$$;
