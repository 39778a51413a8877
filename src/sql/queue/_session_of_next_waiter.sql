-- The session of whoever is next in the queue of a key that was freed: that of its first live waiter.
--
-- leaving: the token that let go. Its own entry may still be there (see _remove_entry), and must not keep the others waiting.
create function leasehold_internal._session_of_next_waiter(waited_key text, leaving uuid) returns integer
language plpgsql volatile
as $$
declare
  next_session integer;
begin
  with gone as (
    delete from leasehold.waiters w
     where w.ctid = (
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.token >= leaving and d.token <= leaving
        order by d.token
        limit 1
          for update skip locked)
  )
  select w.session_id
    into next_session
    from leasehold.waiters w
   where w.key = waited_key and w.alive_until > clock_timestamp() and w.token is distinct from leaving
   order by w.ticket
   limit 1;
  return next_session;
end
$$;
