-- The ticket of a token in the queue of a key. Read in index order, which leaves the planner no other way (rule 12).
create function leasehold_internal._place(waited_key text, waiting uuid) returns bigint
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
