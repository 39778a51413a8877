-- Removes the entry of a token from a queue. False when there is none, or when `keep_entries` has just locked it, over another
-- connection, to extend it. Then the entry expires 3 s later.
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
