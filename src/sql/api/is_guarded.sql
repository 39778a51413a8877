-- For guard_table, and for triggers and policies of your own. The setting proves nothing, because anybody can set it: compare
-- the fence under a lock on the row (decision 21). A lease that has expired or was released since its guard is still guarded.
create function leasehold.is_guarded(key text, shared boolean default false) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  keys jsonb := leasehold_internal._guarded_keys(is_guarded.key);
  guarded bigint := (keys ->> is_guarded.key)::bigint;
  guarded_share bigint;
  current_fence bigint;
begin
  if is_guarded.shared then
    -- One share is guarded at a time: of two of a key the later one is recorded.
    guarded_share := (keys ->> leasehold_internal._share_guard(is_guarded.key))::bigint;
    if guarded_share is not null then
      -- Whoever guards it keeps its row, also when it has ended.
      perform from leasehold.shares s where s.key = is_guarded.key collate "C" and s.fence = guarded_share for key share;
      if found then
        return true;
      end if;
    end if;
  end if;
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

comment on function leasehold.is_guarded(text, boolean) is
  'Whether this transaction guards the key: select leasehold.is_guarded(''account:42''); If so, nobody else has been '
  'granted the key since leasehold.guard passed, and nobody will be until the transaction ends. The guard of a share does '
  'not count, for others who share the key may guard it, too; with shared => true it does. Then nobody has been granted the '
  'key alone since.';
