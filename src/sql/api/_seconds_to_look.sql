-- How long a waiter without a listener sleeps between two looks. Nobody wakes it: a key that is released while it is the first
-- and sleeps stays free until its next look. So it looks again after a twentieth of the time for which it has waited for the
-- present holder, which costs whoever waits for long jobs 5 % at most, and after 10 ms at least. Each waiter ahead adds up to
-- 10 ms, less where half a turn takes less: the grants since the last look tell. Never more than 1 s, which its entry outlasts
-- three times. To sleep for as long as the last turns took was tried: after a job of 30 s, 20 waiters took 6 s instead of 1 s.
--
-- ticket: null without an entry. since: when the wait began. looked and grants: the last look, and the key's grants until then.
create function leasehold_internal._seconds_to_look(
  p_key text, p_ticket bigint, since float8, looked float8, now float8, inout grants bigint, out seconds float8)
language plpgsql volatile
as $$
declare
  lease record;
  ahead integer;
  place_ms float8 := 2;
begin
  select l.acquisitions, leasehold_internal._ms(greatest(l.acquired_at, l.released_at)) as changed into lease :newest_lease;
  if lease.acquisitions > grants then
    place_ms := least((now - looked) / (lease.acquisitions - grants) / 2, 10);
  end if;
  ahead := (
    select count(*)
      from (
        select from leasehold.waiters w
         where w.key = p_key and w.ticket < p_ticket and w.alive_until > clock_timestamp()
         order by w.ticket
         limit 100) a);
  seconds := least(greatest((now - greatest(since, lease.changed)) / 20, 10 + ahead * place_ms), 1000) / 1000;
  grants := lease.acquisitions;
end
$$;
