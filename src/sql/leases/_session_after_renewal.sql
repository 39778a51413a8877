-- The session that a lease has after p_session renews it (decision 17). It changes only when the old session cannot come back:
-- it is a former one of the caller, or an attached SQL connection that has ended. A session that is confirmed dead may be a
-- process that was cut off for long and returns under its number, so that lease goes on by its TTL alone. If any renewal took
-- the lease over, the end of a helper that renews would free the key while the holder, whose heartbeats go on, still believes
-- in it (4.9 s).
create function leasehold_internal._session_after_renewal(
  session integer, takeover integer, p_session integer, p_former integer[]
) returns integer
language plpgsql volatile
as $$
begin
  if session = p_session or session = any (p_former) then
    return p_session;
  elsif session is null then
    return null;
  elsif pg_try_advisory_xact_lock_shared(:presence_class, session)
    and not leasehold_internal._holds_presence(session)
    and exists (select from leasehold.sessions s where s.id = session and s.version = 'sql') then
    return p_session;
  elsif leasehold_internal._is_dead(session, takeover) then
    return null;
  end if;
  return session;
end
$$;
