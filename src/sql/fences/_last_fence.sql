-- No fence that was granted by now is larger, but for keys whose last fence was larger than this already: those count on from there.
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
