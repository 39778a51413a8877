-- The fence of one grant: the WAL position in units of 64 bytes, below the epoch (decision 14). Draw it after locking the key's
-- row, never before (rule 4). Then it is larger than the fence of the previous grant, whose transaction has ended and wrote
-- more than 64 bytes after drawing it. A grant is on disk before it is answered (rule 9), so no crash takes back a position
-- that a client has seen. Nothing done inside a cluster turns the WAL back: no restore of a dump, no copy of a database, no new
-- migration. With a sequence, a restore took fences from 6 back to 2. Two keys may get the same fence.
--
-- 2^48 units of 64 bytes are 18 PB of WAL. That leaves 15 bits for the epoch, so the sign bit is never set. The difference of
-- two positions is a whole number, so the cast to bigint is exact; dividing bigints truncates.
create function leasehold_internal._fence() returns bigint
language plpgsql volatile
as $$
declare
  fence bigint := :known_fence;
begin
  if fence is null then
    fence := (select (v.epoch << 48) + leasehold_internal._wal_position(v.source) from leasehold_internal._verify_epoch() v);
  end if;
  return fence;
end
$$;
