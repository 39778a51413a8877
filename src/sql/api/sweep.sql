-- With the rights of its caller, as force_release.
create function leasehold.sweep(retention interval default '10 minutes', batch integer default 500)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal.require_admin('leasehold_internal.admin_sweep(interval,integer)');
  return query select * from leasehold_internal.admin_sweep(retention, batch);
end
$$;

comment on function leasehold.sweep(interval, integer) is
  'Deletes what nobody needs any more, and wakes the next waiter of each key that can be granted: select * from '
  'leasehold.sweep(); It purges keys that have been free, and leases that have been expired, for longer than "retention" (1 '
  'minute to 100 years); waiters that stopped looking a minute ago; dead sessions that no lease names; and the counters of '
  'processes that are gone, which are added up. It never purges a live lease. "batch" bounds what one call purges of each kind: '
  'repeat it while has_more is true. is_busy: another sweeper was at work, and nothing was done. woken: sessions that were told '
  'to look. Every locker does the same in the '
  'background. For administrators: leasehold.grant_admin().';
