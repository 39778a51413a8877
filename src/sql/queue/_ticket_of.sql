-- The ticket of a token in the queue of a key, null when it has no entry. Read in index order, so that the planner has no other
-- choice (rule 12).
create function leasehold_internal._ticket_of(waited_key text, waiting uuid) returns bigint
language plpgsql volatile
as $$
begin
  return (
    select w.ticket
      from leasehold.waiters w
     where w.key = waited_key and w.token >= waiting and w.token <= waiting
     order by w.token
     limit 1);
end
$$;
