-- The session to wake: that of the first live entry.
create function leasehold_internal._head_session(waited_key text) returns integer
language plpgsql volatile
as $$
begin
  return (
    select w.session_id
      from leasehold.waiters w
     where w.key = waited_key and w.alive_until > clock_timestamp()
     order by w.ticket
     limit 1);
end
$$;
