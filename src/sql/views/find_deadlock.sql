
-- For a wait that has timed out, see WaitTimeoutError. The role that waits may not read the view, and sees only what it is part
-- of: the nonce proves that it asks about a session of its own.
create function leasehold_internal.find_deadlock(p_session integer, p_nonce uuid, p_key text)
returns table (keys text, owners text)
language sql stable security definer rows 1
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  select array_to_json(d.keys)::text, array_to_json(d.owners)::text
    from leasehold.deadlocks d
   where p_session = any (d.session_ids) and p_key = any (d.keys)
     and exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
   limit 1;
end;

comment on function leasehold_internal.find_deadlock(integer, uuid, text) is
  'The deadlock that a session is in because it waits for this key; no row: it is in none. JSON arrays, as in '
  'leasehold.deadlocks.';
