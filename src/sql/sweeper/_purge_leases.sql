-- One batch of leases in key order: deletes "most" at most, and looks at twenty times as many. Looking locks nothing, and rows
-- are locked only for as long as their deletion takes. Returns the key to continue after; null at the end.
--
-- An insert of a missing key takes an advisory lock first, because it would wait for an uncommitted insert of the same key
-- (decision 20). A delete needs none: the row has been visible for a minute at least, so others find it, and find it locked
-- (busy, as always) until the delete is committed and the row is gone.
--
-- A key whose last fence is larger than this server has reached (its data came from another one) continues from that fence. Its
-- row stays, because nothing else knows the fence, and without it the next one would be smaller.
create function leasehold_internal._purge_leases(
  start text, before timestamptz, most integer, out purged integer, out reached text)
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  seen bigint;
  forgotten text[];
  locked text[];
  last bigint := leasehold_internal._last_fence();
begin
  with part as materialized (
    select l.key, l.fence <= last and leasehold_internal._is_unused_since(l, before) as is_forgotten
      from leasehold.leases l
     where l.key > coalesce(start, '')
     order by l.key
     limit most * 20
  )
  select count(*), max(p.key), (array_agg(p.key order by p.key) filter (where p.is_forgotten))[:most]
    into seen, reached, forgotten
    from part p;
  if cardinality(forgotten) = most then
    reached := forgotten[most];
  elsif seen < most * 20 then
    reached := null;
  end if;

  -- The lock of a grant (rule 1), without waiting (rule 6). The decision comes in a statement that begins after it (rule 3): a
  -- key that was renewed, granted or queued for since then stays.
  locked := array(select l.key from leasehold.leases l where l.key = any (forgotten) order by l.key for update skip locked);
  delete from leasehold.leases l
   where l.key = any (locked)
     and l.fence <= last
     and leasehold_internal._is_unused_since(l, before)
     and not exists (select from leasehold.waiters w where w.key = l.key)
     and not exists (select from leasehold.shares s where s.key = l.key);
  get diagnostics purged = row_count;
end
$$;
