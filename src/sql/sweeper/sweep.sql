-- What every locker runs. Any role that may lock can call it, so it lets the caller choose only how often.
create function leasehold_internal.sweep(p_quiet_ms integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  -- Rows that a crash brings back are swept again.
  perform set_config('synchronous_commit', 'off', true);
  return query select * from leasehold_internal._sweep(interval '10 minutes', 500, p_quiet_ms);
end
$$;
