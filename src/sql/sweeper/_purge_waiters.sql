-- Deletes entries of waiters that have not looked for twenty times as long as an entry lasts. A waiter that comes back queues
-- again with its old ticket.
create function leasehold_internal._purge_waiters(most integer) returns integer
language plpgsql volatile
as $$
declare
  purged integer;
begin
  delete from leasehold.waiters w
   where w.ctid = any (array(
     select d.ctid from leasehold.waiters d
      where d.alive_until < clock_timestamp() - interval '1 minute' limit most for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
