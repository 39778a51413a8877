-- When a waiter should look again without being woken: at the expiry, at the end of a minimum hold, or when a silent session
-- counts as dead. Where others share the key: who wants it alone, when the last of them may have ended, who wants a share, the
-- first.
create function leasehold_internal._next_look(lease leasehold.leases, wants_all boolean) returns float8
language plpgsql volatile
as $$
declare
  first timestamptz;
  last timestamptz;
begin
  if lease.token is null then
    if :last_was_shared then
      select min(e.ends), max(e.ends)
        into first, last
        from leasehold.shares s
       cross join lateral (
         select case when s.released_at is not null then s.hold_until
                  else least(s.expires_at, leasehold_internal._silent_until(s.session_id, s.takeover_ms))
                end as ends) e
       where s.key = lease.key and e.ends > clock_timestamp();
      return leasehold_internal._ms(case when wants_all then last else first end);
    end if;
    return leasehold_internal._ms(lease.hold_until);
  end if;
  return leasehold_internal._ms(
    least(lease.expires_at, leasehold_internal._silent_until(lease.session_id, lease.takeover_ms)));
end
$$;
