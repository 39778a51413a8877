-- Rule 3: locking first and comparing afterwards works only if each statement sees what was committed before it. And only a
-- primary can lock rows.
create function leasehold_internal._check_transaction() returns void
language plpgsql stable
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'LH004',
      message = format('leasehold needs the isolation level "read committed", this transaction has "%s"',
                       current_setting('transaction_isolation')),
      hint = format('Run: alter role %I set default_transaction_isolation = ''read committed''', session_user);
  end if;
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'LH004',
      message = 'this server is a standby: it cannot grant a lease',
      hint = 'Connect to the primary, or name several hosts in the URL.';
  end if;
end
$$;
