-- Whether a session is alive as seen from this connection (decision 17). One of another database, an old one, or a forged one
-- is not.
create function leasehold_internal._is_alive(session integer, session_nonce uuid) returns boolean
language plpgsql volatile
as $$
begin
  if not exists (select from leasehold.sessions s where s.id = session and s.nonce = session_nonce) then
    return false;
  end if;
  -- A backend always gets a lock that it holds itself. A setting would prove nothing: the next user of a pooled connection
  -- inherits it.
  return not pg_try_advisory_xact_lock_shared(:presence_class, session)
      or leasehold_internal._holds_presence(session);
end
$$;
