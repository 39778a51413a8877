-- Writes only after it has checked the backend, the presence lock, and that this server is a primary.
create function leasehold_internal.heartbeat(p_id integer, p_nonce uuid)
returns table (alive boolean, pid integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
begin
  perform leasehold_internal._check_transaction();
  perform set_config('synchronous_commit', 'off', true);
  alive := false;
  if current_setting('leasehold.session', true) = p_nonce::text and leasehold_internal._holds_presence(p_id) then
    update leasehold.sessions s
       set seen_at = clock_timestamp()
     where s.id = p_id and s.nonce = p_nonce and s.pid = pg_backend_pid();
    alive := found;
  end if;
  pid := pg_backend_pid();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
