-- A statement of its own after the release: notifying commits stand in one line over the whole server.
create function leasehold_internal.notify(p_sessions integer[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  perform leasehold_internal._check_count(cardinality(p_sessions));
  perform pg_notify('leasehold_' || s, '') from unnest(p_sessions) s;
end
$$;
