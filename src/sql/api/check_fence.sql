create function leasehold.check_fence(resource text, fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  mark leasehold.resource_fences;
  last bigint;
begin
  perform leasehold_internal._check_transaction();
  if check_fence.resource is null or octet_length(check_fence.resource) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'the name of a resource has 1 to 512 bytes, this one has '
        || coalesce(octet_length(check_fence.resource)::text, 'none: it is null'),
      hint = 'Give the name by which all who write to the resource call it.';
  end if;
  if check_fence.fence is null or check_fence.fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(check_fence.fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;

  -- Repeat when another transaction was faster: each statement sees what was committed before it.
  loop
    select m.* into mark from leasehold.resource_fences m where m.resource = check_fence.resource collate "C";
    -- A mark above all fences would refuse every writer for ever. So a fence that raises the mark must be one that can have
    -- been granted. That includes the fence of a restored key, which may be larger than those of this server.
    if last is null and coalesce(mark.fence < check_fence.fence, true) then
      last := leasehold_internal._last_fence();
      if check_fence.fence > last and not exists (select from leasehold.leases l where l.fence >= check_fence.fence) then
        raise exception using errcode = 'LH003',
          message = format('fence %s was never granted in this database', check_fence.fence),
          detail = format('The largest that can have been is %s.', last),
          hint =
            'Give lock.fence, of a lock in this very database. If its data came from elsewhere without the last fences, '
            '"leasehold doctor" says what raises them.';
      end if;
    end if;
    if mark.resource is null then
      insert into leasehold.resource_fences (resource, fence, checked_at)
      values (check_fence.resource, check_fence.fence, clock_timestamp())
      on conflict do nothing;
      exit when found;
    elsif mark.fence = check_fence.fence then
      return; -- nothing is written
    elsif mark.fence > check_fence.fence then
      raise exception using
        errcode = 'LH006',
        message = format('fence %s is too old for the resource %L', check_fence.fence, check_fence.resource),
        detail = format('It was used with fence %s at %s.', mark.fence, mark.checked_at),
        hint = 'A later holder of the lock uses it: acquire the lock again, read again, then write.';
    else
      update leasehold.resource_fences m
         set fence = check_fence.fence, checked_at = clock_timestamp()
       where m.resource = check_fence.resource collate "C" and m.fence < check_fence.fence;
      exit when found;
    end if;
  end loop;

  -- If a crash took the mark back, an older fence would pass.
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end
$$;

comment on function leasehold.check_fence(text, bigint) is
  'For writers that cannot share a transaction with their data: select leasehold.check_fence(''bucket/report.csv'', 17); Passes '
  'if no larger fence was checked for the resource before, and remembers this one. Fails with LH006 otherwise, and with LH003 '
  'if no such fence can have been granted here. Call it in a transaction of its own, just before the write.';
