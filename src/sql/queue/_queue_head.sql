-- The token at the head of a key's queue: the lowest ticket whose entry has not expired.
create function leasehold_internal._queue_head(waited_key text) returns uuid
language plpgsql volatile
as $$
begin
  return (
    select w.token
      from leasehold.waiters w
     where w.key = waited_key and w.alive_until > clock_timestamp()
     order by w.ticket
     limit 1);
end
$$;
