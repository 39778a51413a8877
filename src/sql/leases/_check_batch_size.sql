-- A statement of a client has at most 1,000 items. A longer one would lock its rows for too long.
create function leasehold_internal._check_batch_size(items integer) returns void
language plpgsql immutable
as $$
begin
  if items > 1000 then
    raise exception using errcode = 'LH003',
      message = format('one call takes 1000 items at most, not %s', items), hint = 'Send them in parts.';
  end if;
end
$$;
