-- Notifies a session, with the commit, that a waiter of its process may be next. A hint (rule 10): without it a waiter looks
-- within a second.
create function leasehold_internal._wake(session integer) returns void
language plpgsql volatile
as $$
begin
  if session is not null then
    perform pg_notify('leasehold_' || session, '');
  end if;
end
$$;
