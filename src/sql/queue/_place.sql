-- The place of a token in a line. In the order of an index, which leaves no other way to find it, whatever the statistics say.
create function leasehold_internal._place(line text, standing uuid) returns bigint
language plpgsql volatile
as $$
begin
  return (
    select w.ticket from leasehold.waiters w where w.key = line and w.token >= standing and w.token <= standing order by w.token limit 1);
end
$$;
