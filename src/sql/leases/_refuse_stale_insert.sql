-- The fence of a new row is drawn just before there is a row to lock (rule 4). If the server process freezes in between, the
-- key may be granted, released and purged before it goes on, and its fence would be too old. A purge comes after a minute at
-- the earliest, see leasehold.sweep.
create function leasehold_internal._refuse_stale_insert(since timestamptz) returns void
language plpgsql volatile
as $$
begin
  if clock_timestamp() > since + interval '30 seconds' then
    raise exception using errcode = 'serialization_failure',
      message = 'this server process stood still for so long that what it was about to grant may have been another''s since',
      hint = 'Ask again.';
  end if;
end
$$;
