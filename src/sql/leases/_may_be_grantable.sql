-- The same on a row that is not locked, as a hint: shares that have ended do not count, for who locks the row removes them
-- first.
create function leasehold_internal._may_be_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if :last_was_shared then
    return not exists (
      select from leasehold.shares s where s.key = lease.key and not :share_has_ended and not (:share_may_be_dead));
  end if;
  return leasehold_internal._is_grantable(lease);
end
$$;
