-- Confirmed dead (decision 15). The order matters: while this transaction has the presence lock, no heartbeat can be written,
-- so the next statement reads the last one. If it were read first, a late heartbeat could slip in between.
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
  -- A backend always gets a lock that it holds itself.
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
