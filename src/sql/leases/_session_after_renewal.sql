-- The session that a lease has after p_session renews it (decision 17). It changes only when the old session cannot come back:
-- it is a former one of the caller, or an attached SQL connection that has ended. A session that is confirmed dead may be a
-- process that was cut off for long and returns under its number, so that lease goes on by its TTL alone. If any renewal took
-- the lease over, the end of a helper that renews would free the key while the holder, whose heartbeats go on, still believes
-- in it (4.9 s).
create function leasehold_internal._session_after_renewal(
  lease leasehold.leases, p_session integer, p_former integer[]
) returns integer
language plpgsql volatile
as $$
begin
  if lease.session_id = p_session or lease.session_id = any (p_former) then
    return p_session;
  elsif lease.session_id is null then
    return null;
  elsif pg_try_advisory_xact_lock_shared(:presence_class, lease.session_id)
    and not leasehold_internal._holds_presence(lease.session_id)
    and exists (select from leasehold.sessions s where s.id = lease.session_id and s.version = 'sql') then
    return p_session;
  elsif leasehold_internal._is_dead(lease.session_id, lease.takeover_ms) then
    return null;
  end if;
  return lease.session_id;
end
$$;
