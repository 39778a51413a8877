-- The upper part of every fence and ticket, 0 to 32767 (decision 14). It rises with each promotion, recovery, restore into
-- another cluster, and upgrade. Cluster and timeline do not change while a server runs, so a verified epoch stays valid until
-- it stops. A different server_start means that the row is from an earlier run, from another server's dump, or from the former
-- primary of a promoted standby.
create function leasehold_internal._epoch() returns bigint
language plpgsql volatile
as $$
declare
  epoch bigint := :known_epoch;
begin
  if epoch is null then
    epoch := (select v.epoch from leasehold_internal._verify_epoch() v);
  end if;
  return epoch;
end
$$;
