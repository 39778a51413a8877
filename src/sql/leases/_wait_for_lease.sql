-- Locks a lease that somebody else has locked, if that takes no longer than 5 ms (rule 6): a grant that is being committed, or
-- somebody who joins the queue. To come back 50 ms later instead left a hot key idle for that long after a fifth of its
-- releases.
create function leasehold_internal._wait_for_lease(waited_key text, for_grant boolean) returns void
language plpgsql volatile
set lock_timeout = '5ms'
as $$
begin
  if for_grant then
    perform from leasehold.leases l where l.key >= waited_key and l.key <= waited_key order by l.key desc limit 1 for update;
  else
    perform
       from leasehold.leases l
      where l.key >= waited_key and l.key <= waited_key
      order by l.key desc
      limit 1
        for no key update;
  end if;
exception when lock_not_available or deadlock_detected then
  null;
end
$$;
