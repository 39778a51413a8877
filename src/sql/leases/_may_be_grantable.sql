-- The same on a row that is not locked, as a hint: shares that have ended do not count, for who locks the row removes them
-- first.
create function leasehold_internal._may_be_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  return leasehold_internal._is_root_free(lease)
     and not (lease.queued and (select c.counted > 0 from leasehold_internal._count_shares(lease.key, false) c));
end
$$;
