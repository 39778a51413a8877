-- Removes the entry of a token that is about to be granted, and the expired entries ahead of it. `queued` is cleared only when
-- no entry is left (rule 7), because an expired one may come back with its owner's next look. At most 1,000 at a time:
-- thousands may have died at once. Expired entries behind this one are removed when they are ahead of a grant. The caller holds
-- the lock on the lease's row.
create function leasehold_internal._leave_queue(waited_key text, leaving uuid) returns void
language plpgsql volatile
as $$
declare
  own bigint := leasehold_internal._ticket_of(waited_key, leaving);
begin
  delete from leasehold.waiters w
   where w.ctid = any (
     array(
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.ticket >= own and d.ticket <= own
        order by d.ticket
          for update skip locked)
     || array(
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.ticket < coalesce(own, 9223372036854775807) and d.alive_until <= clock_timestamp()
        order by d.ticket
        limit 1000
          for update skip locked));
end
$$;
