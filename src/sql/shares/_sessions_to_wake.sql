-- The sessions of those that may be granted a key now, as far as can be told without a lock: who is next, or, where shares are
-- waited for, everybody who fits. Each once, and none for those without presence, who look by themselves.
create function leasehold_internal._sessions_to_wake(p_key text) returns integer[]
language plpgsql volatile
as $$
declare
  first record;
  counted record;
begin
  -- A key that nobody shares or wants to share: who is next.
  select w.session_id, w.weight, exists (select from leasehold.shares s where s.key = p_key) as is_shared
    into first
    from leasehold.waiters w
   where w.key = p_key and w.alive_until > clock_timestamp()
   order by w.ticket
   limit 1;
  if not found then
    return array[]::integer[];
  elsif first.weight is null and not first.is_shared then
    return case when first.session_id is null then array[]::integer[] else array[first.session_id] end;
  end if;
  counted := leasehold_internal._count_shares(p_key, false);
  return array(
    select distinct s.session
      from leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000) l
     cross join unnest(l.sessions) s (session)
     where s.session is not null);
end
$$;
