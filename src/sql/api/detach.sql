create function leasehold.detach(session integer) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  if detach.session is null then
    raise exception using errcode = 'LH003', message = 'the session is null', hint = 'Give the number that attach() gave.';
  end if;
  if not leasehold_internal._holds_presence(detach.session) then
    return false;
  end if;
  -- The row stays, because it shows that the session is dead. The sweeper deletes it.
  perform pg_advisory_unlock(:presence_class, detach.session);
  return true;
end
$$;

comment on function leasehold.detach(integer) is
  'Ends the session that attach() began, before the connection goes back to a pool: select leasehold.detach(<number>); Locks '
  'that were acquired with it and are still held become free, as if the connection had ended: release them first. False if this '
  'connection has no such session.';
