-- Whose presence a lease has after a renewal in the name of p_session. It changes hands only when its session cannot come back: that is
-- the caller's own former one, or a connection that was attached in SQL and has ended. A session that is confirmed dead may be a
-- process that was cut off for long and comes back under its number; then the lease goes on by its TTL alone. A helper that renews a
-- lease would otherwise take its presence along, and its end would free the key while the holder, whose heartbeats go on, believes (4.9 s).
create function leasehold_internal._successor(lease leasehold.leases, p_session integer, p_former integer[]) returns integer
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
