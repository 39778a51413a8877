-- Rule 9: what this transaction grants or renews is on disk, and on a synchronous standby, before it is answered. If the wait
-- for the standby is cancelled, only a warning says so, and the client must see it.
create function leasehold_internal._commit_durably() returns void
language plpgsql volatile
as $$
begin
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if current_setting('client_min_messages') = 'error' then
    perform set_config('client_min_messages', 'warning', true);
  end if;
end
$$;
