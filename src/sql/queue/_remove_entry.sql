-- Takes a token out of a queue. Whether it was there, and its entry not locked: whoever keeps it in its place at this very moment (stay,
-- over another connection) has it locked, and it expires 3 s later.
create function leasehold_internal._remove_entry(waited_key text, leaving uuid) returns boolean
language plpgsql volatile
as $$
begin
  delete from leasehold.waiters w
   where w.ctid = (
     select d.ctid
       from leasehold.waiters d
      where d.key = waited_key and d.token >= leaving and d.token <= leaving
      order by d.token
      limit 1
        for update skip locked);
  return found;
end
$$;
