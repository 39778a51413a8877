-- Removes the shares of a key that have ended, for who wants it alone, and returns the newest that nobody had released. At most
-- 1,000 at a time: readers that asked for no capacity may have left more. The caller holds the lock of the root.
create function leasehold_internal._clear_shares(p_key text) returns leasehold.shares
language plpgsql volatile
as $$
declare
  lapsed leasehold.shares;
begin
  lapsed := leasehold_internal._remove_shares(p_key, 1000, false);
  if exists (select from leasehold.shares s where s.key = p_key) then
    lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);
  end if;
  return lapsed;
end
$$;
