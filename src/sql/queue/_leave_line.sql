-- Takes this token out of the line, and those before it, who no longer look: only an empty line may lose its flag, and a
-- lapsed entry that its owner could bring back must not be one that the fast path overlooks. Called under the lease
-- row's lock. Whoever is granted stands first, so those are passed by anyway; in parts, for thousands may have died at
-- once. Those behind have their turn when they are first.
create function leasehold_internal._leave_line(line text, leaving uuid) returns void
language plpgsql volatile
as $$
declare
  place bigint := leasehold_internal._place(line, leaving);
begin
  perform leasehold_internal._remove_entry(line, leaving);
  delete from leasehold.waiters w
   where w.ctid = any (array(
     select d.ctid
       from leasehold.waiters d
      where d.key = line and d.ticket < coalesce(place, 9223372036854775807) and d.alive_until <= clock_timestamp()
      order by d.ticket
      limit 1000
        for update skip locked));
end
$$;
