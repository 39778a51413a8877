-- When a waiter should look again without being woken: at the expiry, at the end of a minimum hold, or when a silent session
-- counts as dead.
create function leasehold_internal._next_look(lease leasehold.leases) returns float8
language plpgsql volatile
as $$
begin
  if lease.token is null then
    return leasehold_internal._ms(lease.hold_until);
  end if;
  -- A session that has been silent for longer and is not dead belongs to a frozen process. Then the expiry is next.
  return leasehold_internal._ms(least(lease.expires_at, (
    select quiet.until
      from leasehold.sessions s
     cross join lateral (
       select greatest(s.seen_at, pg_postmaster_start_time()) + lease.takeover_ms * interval '1 millisecond' as until) quiet
     where s.id = lease.session_id and quiet.until > clock_timestamp())));
end
$$;
