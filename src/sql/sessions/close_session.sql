create function leasehold_internal.close_session(p_id integer, p_nonce uuid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  delete from leasehold.sessions s where s.id = p_id and s.nonce = p_nonce;
end;
