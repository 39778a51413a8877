create function leasehold.bump_epoch(above bigint default null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  current bigint;
  raised bigint;
begin
  -- Beyond 2^63 a fence would be negative. Keep half of that range for later rises of the epoch.
  if above >= 4611686018427387904 then
    raise exception using errcode = 'LH003', message = format('"above" is less than 4611686018427387904, not %s', above),
      hint = 'Give the largest fence that was ever seen, or leave it out.';
  end if;
  -- Lock the row: another call may be raising the epoch.
  perform from leasehold.fence_epoch e where e.id for update;
  current := leasehold_internal._epoch();
  raised := greatest(current, above >> 48) + 1;
  if raised > 32767 then
    raise exception using errcode = 'LH003', message = 'the epochs of fences are used up: 32767 is the last',
      hint =
        'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old '
        'ones.';
  end if;
  update leasehold.fence_epoch e
     set base = e.base + raised - current, top = greatest(e.top, raised), epoch = raised
   where e.id;
  return raised << 48;
end
$$;

comment on function leasehold.bump_epoch(bigint) is
  'Makes all later fences larger than all earlier ones, and than "above" if that is given: select leasehold.bump_epoch(); Call '
  'it after the whole server was set back to a snapshot; after restoring a dump that is older than the last move to another '
  'server, or than the last call of this function; and, with "above", if the schema was created anew, or restored without its '
  'data, on a server that the database was moved to. Where the service hides the write-ahead log (source manual in '
  'leasehold.fence_epoch), call it after every failover and every restore. Returns the lower bound of the fences that follow.';
