-- Who has a row locked whose xmax is "locked": a place in the arrays of _open_transactions; 0 if it is one of them and cannot
-- be told which, or one that began after they were looked for; null if nobody has. xmax stays in the row when its transaction
-- has ended, so most of them mean nothing.
create function leasehold_internal._locker(locked xid, xids xid[], lone integer, oldest_multixact xid) returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  place integer := array_position(xids, locked);
  suspects xid[] := array[locked];
  edge numeric; -- all transactions before it have ended, but for those that were open already; the newest are beyond it
  oldest numeric;
  running xid8[];
begin
  if place is not null then
    return place;
  end if;
  -- xmax is a transaction, or a multixact of several (guards) of which some may have ended. Nothing says which. No open
  -- transaction has that number, so take it for a multixact if the table can have one with that number.
  if mxid_age(locked) between 1 and mxid_age(oldest_multixact) then
    suspects := suspects || array(select m.xid from pg_get_multixact_members(locked) m);
    place := (select min(array_position(xids, s.xid)) from unnest(suspects) s (xid));
    if place is not null then
      return place;
    end if;
  end if;
  -- A subtransaction that was released no longer has a lock of its own, and nothing leads from it to its transaction. But if
  -- only one other transaction has locked rows, it is that one.
  if lone is not null then
    edge := pg_snapshot_xmax(pg_current_snapshot())::text;
    oldest := pg_snapshot_xmin(pg_current_snapshot())::text;
    running := array(
      select x.full_xid::text::xid8
        from unnest(suspects) s (xid)
       cross join lateral (
         -- With its epoch: the number nearest to the edge that ends in these 32 bits.
         select edge - 2147483648 + mod(s.xid::text::numeric - mod(edge, 4294967296) + 6442450944, 4294967296) as full_xid
         offset 0) x
       -- Of a number that was not given to anybody yet, pg_xact_status makes an error.
       where case when x.full_xid >= oldest and age(s.xid) > 0
               then pg_xact_status(x.full_xid::text::xid8) = 'in progress' end);
    if running = '{}' then
      return null;
    end if;
    -- One that has a lock of its own began after the look at the locks, and is none of those. One that has none was released,
    -- unless it has ended since it was asked for.
    if exists (
      select from pg_locks k
       where k.locktype = 'transactionid' and k.granted
         and k.transactionid in (select r.xid::xid from unnest(running) r (xid))) then
      return 0;
    end if;
    if exists (select from unnest(running) r (xid) where pg_xact_status(r.xid) = 'in progress') then
      return lone;
    end if;
  end if;
  return null;
end
$$;

comment on function leasehold_internal._locker(xid, xid[], integer, xid) is
  'Which of some open transactions has a row locked: its place among them, 0 if it is not known which, null if none has.';
