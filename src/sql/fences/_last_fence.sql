-- An upper bound of all fences granted so far. The exception: a key whose last fence was already larger (its data came from
-- another server) continues from there.
create function leasehold_internal._last_fence() returns bigint
language plpgsql volatile
as $$
begin
  if leasehold_internal.fence_source() = 'manual' then
    return (leasehold_internal._epoch() << 48) + (select f.last_value from leasehold.fences f);
  end if;
  return leasehold_internal._fence();
end
$$;
