-- Whether a key can be granted to who asks for it alone: the only predicate for that. It decides only on a row that the caller
-- has locked (rule 3), and then counts every share that is still there (decision 27).
create function leasehold_internal._is_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  return leasehold_internal._is_root_free(lease)
     -- No shares outlive an exclusive grant, so a key that nobody shares costs no look at them.
     and not (:last_was_shared and exists (select from leasehold.shares s where s.key = lease.key));
end
$$;
