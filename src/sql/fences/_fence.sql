-- The fence of one grant: the position in the write-ahead log, in units of 64 bytes, under the epoch. Drawn once the key's row is
-- locked, never earlier; then it is larger than the fence of the grant before. That one wrote more than 64 bytes after its fence
-- was drawn, and its transaction is over. A grant is on the disk before it is answered, so no crash takes a position back that
-- anybody has seen. And nothing that is done inside a cluster turns the log back: no restore of a dump, no copy of a database, no new
-- migration. Fences from a sequence fell from 6 to 2. Two keys may have one fence.
--
-- 2^48 units of 64 bytes are 18 PB of WAL, and 15 bits are left for the epoch: the sign is never set. The difference of two
-- positions is a whole number, so the cast to bigint is exact; the division is one of bigints, which cuts off.
create function leasehold_internal._fence() returns bigint
language plpgsql volatile
as $$
declare
  known record;
begin
  -- One row is all that is read as a rule.
  select e.epoch, e.source
    into known
    from leasehold.fence_epoch e
   where e.id and e.server_start = pg_postmaster_start_time()
     and (e.source = 'manual' or leasehold_internal._may_read_position());
  if not found then
    select v.epoch, v.source into known from leasehold_internal._verify_epoch() v;
  end if;
  if known.source = 'manual' then
    return (known.epoch << 48) + nextval('leasehold.fences');
  end if;
  return (known.epoch << 48) + (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
end
$$;
