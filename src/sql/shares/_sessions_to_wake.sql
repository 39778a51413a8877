-- The sessions of those that may be granted a key now, as far as can be told without a lock: who is next, or, where shares are
-- waited for, everybody who fits. Each once, and none for those without presence, who look by themselves.
create function leasehold_internal._sessions_to_wake(p_key text) returns integer[]
language plpgsql volatile
as $$
declare
  counted record;
begin
  counted := leasehold_internal._count_shares(p_key, false);
  return array(
    select distinct s.session
      from leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000) l
     cross join unnest(l.sessions) s (session)
     where s.session is not null);
end
$$;
