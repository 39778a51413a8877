-- Notifies, with the commit, who is next after a release. next: what the release answered. 0 says that those have to be found
-- who fit now; in the transaction that releases that may miss one (decision 27), who looks within a second.
create function leasehold_internal._wake_next(p_key text, next integer) returns void
language plpgsql volatile
as $$
begin
  if next = 0 then
    perform leasehold_internal._wake(s) from unnest(leasehold_internal._sessions_to_wake(p_key)) s;
  else
    perform leasehold_internal._wake(next);
  end if;
end
$$;
