-- Whether the connection for commands reaches the server and the database of the session.
create function leasehold_internal.sees_session(p_session integer, p_nonce uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  return :session_is_alive;
end
$$;
