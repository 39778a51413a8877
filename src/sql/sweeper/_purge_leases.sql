-- One part of the leases, in key order: "most" of them are deleted at most, and twenty times as many looked at. What is looked at
-- is not locked, and what is deleted is locked for as long as that takes alone. Gives the key to go on after; null at the end.
--
-- Inserts of a missing key take an advisory lock first, for they would wait for a twin that is not committed. A delete needs
-- none: what it deletes was visible to everybody for a minute at least, so whoever wants that key finds its row, and finds it
-- locked (busy, as with any other lock) until the delete is committed and the row is gone.
--
-- A key whose last fence is larger than this server has come to (its data is from elsewhere) counts on from there: its row
-- stays, for nothing else knows that fence, and without it the next would be smaller.
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
    select l.key, l.fence <= last and leasehold_internal._is_forgotten(l, before) as is_forgotten
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

  -- The same lock as a grant takes: passed by nothing, and it waits for nothing. Then, in a statement that began after it, the
  -- decision: what was renewed, granted or queued for since then stays.
  locked := array(select l.key from leasehold.leases l where l.key = any (forgotten) order by l.key for update skip locked);
  delete from leasehold.leases l
   where l.key = any (locked)
     and l.fence <= last
     and leasehold_internal._is_forgotten(l, before)
     and not exists (select from leasehold.waiters w where w.key = l.key);
  get diagnostics purged = row_count;
end
$$;
