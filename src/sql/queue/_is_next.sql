-- Whether this token is at the head of the queue, or the queue is empty.
create function leasehold_internal._is_next(lease leasehold.leases, asking uuid) returns boolean
language plpgsql volatile
as $$
begin
  if not lease.queued then
    return true;
  end if;
  return coalesce(
    (select w.token
       from leasehold.waiters w
      where w.key = lease.key and w.alive_until > clock_timestamp()
      order by w.ticket
      limit 1) = asking, true);
end
$$;
