-- For guard_table, and for triggers and policies of your own. The setting proves nothing, because anybody can set it: compare
-- the fence under a lock on the row (decision 21). A lease that has expired or was released since its guard is still guarded.
create function leasehold.is_guarded(key text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  guarded bigint := (leasehold_internal._guarded_keys(is_guarded.key) ->> is_guarded.key)::bigint;
  current_fence bigint;
begin
  if guarded is null then
    return false;
  end if;
  -- Without an expiry the last grant was a share.
  select l.fence into current_fence
    from leasehold.leases l
   where l.key = is_guarded.key collate "C" and l.expires_at is not null
     for key share;
  return coalesce(current_fence = guarded, false);
end
$$;

comment on function leasehold.is_guarded(text) is
  'Whether this transaction guards the key: select leasehold.is_guarded(''account:42''); If so, nobody else has been granted '
  'the key since leasehold.guard passed, and nobody will be until the transaction ends.';
