-- The shares of a key: how many rows, the sum of their weights, the smallest capacity (null: none has one), and how many have
-- ended. for_sure: counts every row, because one that has ended may belong to an open guarded transaction (decision 27); only
-- true under the lock of the root. Otherwise a hint, which counts those that nobody can remove.
create function leasehold_internal._count_shares(
  p_key text, for_sure boolean, out counted bigint, out taken bigint, out capacity integer, out ended bigint)
language plpgsql volatile
as $$
begin
  if for_sure then
    select count(*), coalesce(sum(s.weight), 0), min(s.capacity), count(*) filter (where :share_has_ended)
      into counted, taken, capacity, ended
      from leasehold.shares s
     where s.key = p_key;
  else
    select count(*), coalesce(sum(s.weight), 0), min(s.capacity), 0
      into counted, taken, capacity, ended
      from leasehold.shares s
     where s.key = p_key and not :share_has_ended and not (:share_may_be_dead);
  end if;
end
$$;
