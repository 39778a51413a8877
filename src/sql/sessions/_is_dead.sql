-- Confirmed dead. The order matters: with the presence lock in hand (to the end of the transaction) no heartbeat can be
-- written any more, so what the next statement reads is the last one. Read first, a late heartbeat slips in between.
create function leasehold_internal._is_dead(session integer, takeover integer) returns boolean
language plpgsql volatile
as $$
begin
  if session is null then
    return false;
  end if;
  if not pg_try_advisory_xact_lock_shared(:presence_class, session) then
    return false;
  end if;
  -- A backend is always given the lock that it has itself.
  if leasehold_internal._holds_presence(session) then
    return false;
  end if;
  if takeover = 0 then
    return true;
  end if;
  return coalesce((
    select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' < clock_timestamp()
      from leasehold.sessions s
     where s.id = session
  ), false);
end
$$;
