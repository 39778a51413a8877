-- The upper part of every fence and ticket, 0 to 32767: what a promotion, a recovery, a restore elsewhere and an upgrade add to.
-- A running server writes to one cluster and to one timeline. So what it has verified stays true; and another server_start than its
-- own tells that the row comes from an earlier run, from a dump of elsewhere, or from the primary of a standby that was promoted.
create function leasehold_internal._epoch() returns bigint
language plpgsql volatile
as $$
declare
  known bigint := (select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time());
begin
  return coalesce(known, (select v.epoch from leasehold_internal._verify_epoch() v));
end
$$;
