create function leasehold_internal.new_session_id() returns integer
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  select nextval('leasehold.session_ids')::integer;
end;
