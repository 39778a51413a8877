-- Whether this token stands first, or nobody does.
create function leasehold_internal._is_next(lease leasehold.leases, asking uuid) returns boolean
language plpgsql volatile
as $$
declare
  head uuid;
begin
  if not lease.queued then
    return true;
  end if;
  head := leasehold_internal._head(lease.key);
  return head is null or head = asking;
end
$$;
