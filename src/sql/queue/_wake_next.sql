-- Notifies, with the commit, who may be granted a key after a release: all that fit, where shares are waited for. next: what
-- the release answered; null: nobody waits. In the transaction that releases this may miss one (decision 27), who looks
-- within a second.
create function leasehold_internal._wake_next(p_key text, next integer) returns void
language plpgsql volatile
as $$
begin
  if next is not null then
    perform leasehold_internal._wake(w.session)
       from (select unnest(leasehold_internal._sessions_to_wake(p_key)) union select nullif(next, 0)) w (session);
  end if;
end
$$;
