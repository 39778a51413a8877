-- One batch, as an administrator asks for it.
create function leasehold_internal.admin_sweep(retention interval, batch integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  -- Postgres compares intervals as if all months had 30 days, but subtracts real months: -12 months 360 days is 5 days ahead.
  seconds numeric := extract(epoch from retention);
begin
  if seconds is null or seconds not between 60 and 3155760000 then
    raise exception using errcode = 'LH003',
      message = format('the retention is 1 minute to 100 years, not %s', coalesce(retention::text, 'null')),
      detail =
        'A released key keeps its row for so long, and an expired lease stays known: who comes late is told what became of it.',
      hint = 'Leave it out for 10 minutes: select * from leasehold.sweep();';
  end if;
  if batch is null or batch not between 1 and 10000 then
    raise exception using errcode = 'LH003',
      message = format('a batch has 1 to 10000 rows, not %s', coalesce(batch::text, 'null')),
      detail =
        'So many rows of each kind are purged at most, in one transaction, and the keys among them are busy until it ends.',
      hint = 'Leave it out for 500 rows, and call again while has_more is true.';
  end if;
  return query select * from leasehold_internal._sweep(seconds * interval '1 second', batch, null);
end
$$;
