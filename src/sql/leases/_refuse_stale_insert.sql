-- The fence of a new row is drawn just before there is a row to lock. A process that stands still in between must not wake up with it
-- after the key was granted by another, released, and purged: for that it takes a minute at least, see leasehold.sweep.
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
