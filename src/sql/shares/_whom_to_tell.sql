-- Who may be next for a key of which a share was let go: the session of the first waiter, if it is surely next; 0 if somebody
-- waits and notify_next has to find out who is next, once the release has committed (decision 27); null if nobody waits.
create function leasehold_internal._whom_to_tell(p_key text, leaving uuid) returns integer
language plpgsql volatile
as $$
declare
  first record;
begin
  select w.session_id, w.weight
    into first
    from leasehold.waiters w
   where w.key = p_key and w.alive_until > clock_timestamp() and w.token is distinct from leaving
   order by w.ticket
   limit 1;
  if not found then
    return null;
  end if;
  return case
    when first.weight is null and exists (select from leasehold.shares s where s.key = p_key) then 0
    else coalesce(first.session_id, 0)
  end;
end
$$;
