-- The session that the caller names as its own (decision 17). It must belong to this very connection. A session that is not
-- named never counts, because the next user of a pooled connection inherits whatever the last one left.
create function leasehold_internal._own_session(given integer) returns leasehold.sessions
language plpgsql volatile
as $$
declare
  own leasehold.sessions;
begin
  if given is not null then
    select s.* into own from leasehold.sessions s where s.id = given and s.pid = pg_backend_pid();
    if not found or not leasehold_internal._holds_presence(given) then
      raise exception using errcode = 'LH004', message = format('session %s is not attached on this connection', given),
        detail =
          'It is another connection''s, or its advisory lock was released: by detach(), discard all, or '
          'pg_advisory_unlock_all(). Locks that were acquired under it may be another''s by now.',
        hint = 'Attach this connection, and name the number that it gives: select leasehold.attach();';
    end if;
  end if;
  return own;
end
$$;
