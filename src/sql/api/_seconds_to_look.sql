-- How long a waiter without a listener sleeps between two looks. Nobody wakes it, and while it stands first and sleeps, a key that
-- was released stays free. So it looks again after a twentieth of the time for which it has waited for the present holder:
-- whatever holds last, that costs the queue 5 % of it at most, and a wait of an hour some 4,000 looks. Behind others it sleeps for
-- half of the time until its turn, as the grants since its last look tell. Never less than 10 ms, nor more than 1 s, which its
-- entry outlasts three times.
--
-- ticket: null without an entry. since: when the wait began. looked and grants: the last look, and the key's grants until then.
create function leasehold_internal._seconds_to_look(
  p_key text, p_ticket bigint, since float8, looked float8, now float8, inout grants bigint, out seconds float8)
language plpgsql volatile
as $$
declare
  lease record;
  ahead integer;
  granted bigint; -- since the last look
begin
  select l.acquisitions, leasehold_internal._ms(greatest(l.acquired_at, l.released_at)) as changed into lease :newest_lease;
  seconds := (now - greatest(since, lease.changed)) / 20000;
  granted := lease.acquisitions - grants;
  if granted > 0 then
    ahead := (
      select count(*)
        from (
          select from leasehold.waiters w
           where w.key = p_key and w.ticket < p_ticket and w.alive_until > clock_timestamp()
           order by w.ticket
           limit 100) a);
    seconds := greatest(seconds, ahead * (now - looked) / granted / 2000);
  end if;
  seconds := greatest(least(seconds, 1), 0.01);
  grants := lease.acquisitions;
end
$$;
