-- Whether a key can be granted to who asks for it alone: the only predicate for that. It decides only on a row that the caller
-- has locked (rule 3), and then counts every share that is still there (decision 27).
create function leasehold_internal._is_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  -- No share outlives an exclusive grant, so a key that nobody shares costs no look at them. Not in one expression: one with a
  -- subquery costs a run of the executor, even if that is not reached.
  if :last_was_shared then
    return not exists (select from leasehold.shares s where s.key = lease.key);
  end if;
  if lease.token is null then
    return lease.hold_until is null or lease.hold_until <= clock_timestamp();
  end if;
  return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);
end
$$;
