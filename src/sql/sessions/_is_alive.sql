-- Seen from this very connection: a session in another database, an old one or a forged one is not alive.
create function leasehold_internal._is_alive(session integer, session_nonce uuid) returns boolean
language plpgsql volatile
as $$
begin
  if not exists (select from leasehold.sessions s where s.id = session and s.nonce = session_nonce) then
    return false;
  end if;
  -- A backend is always given the lock that it has itself. A setting would not tell: on a pooled connection the next one inherits it.
  return not pg_try_advisory_xact_lock_shared(:presence_class, session)
      or leasehold_internal._holds_presence(session);
end
$$;
