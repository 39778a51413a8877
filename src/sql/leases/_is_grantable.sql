-- Whether a key can be granted: the only predicate for that. It decides only on a row that the caller has locked (rule 3). On
-- any other it is a hint.
create function leasehold_internal._is_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if lease.token is null then
    return lease.hold_until is null or lease.hold_until <= clock_timestamp();
  end if;
  return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);
end
$$;
