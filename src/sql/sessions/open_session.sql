-- Called on the session's own connection, after it has taken the presence lock.
create function leasehold_internal.open_session(p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text)
returns table (pid integer, started float8, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  if not leasehold_internal._holds_presence(p_id) then
    raise exception using errcode = 'LH004',
      message = format('this connection does not hold the presence lock of session %s', p_id),
      hint = 'A session needs a connection of its own: not a transaction pooler.';
  end if;
  perform leasehold_internal._register_session(p_id, p_nonce, p_owner, p_host, p_version);
  perform set_config('leasehold.session', p_nonce::text, false);
  return query
    select pg_backend_pid(),
           (select leasehold_internal._ms(a.backend_start) from pg_stat_activity a where a.pid = pg_backend_pid()),
           leasehold_internal._ms(clock_timestamp());
end
$$;
