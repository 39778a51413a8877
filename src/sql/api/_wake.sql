-- The line's first is woken with the commit. A hint, as ever: without it a waiter looks within a second.
create function leasehold_internal._wake(session integer) returns void
language plpgsql volatile
as $$
begin
  if session is not null then
    perform pg_notify('leasehold_' || session, '');
  end if;
end
$$;
