-- When a session counts as dead unless it sends a heartbeat before. Null when that has passed: a session that has been silent
-- for longer and is not dead belongs to a frozen process. Then the expiry is next.
create function leasehold_internal._silent_until(session integer, takeover integer) returns timestamptz
language plpgsql volatile
as $$
begin
  return (
    select quiet.until
      from leasehold.sessions s
     cross join lateral (
       select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' as until) quiet
     where s.id = session and quiet.until > clock_timestamp());
end
$$;
