-- The token at the head of a key's line: the earliest ticket whose process still looks.
create function leasehold_internal._head(waited_key text) returns uuid
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
