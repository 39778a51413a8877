-- With one snapshot for the whole transaction, a row that was locked just now may still be read as it was. Postgres itself
-- objects to a grant since then, but not to a renewal, a release or a revocation: they change no key column, so a key share
-- lock does not conflict with them.
create function leasehold_internal._refuse_old_snapshot(relation regclass, version tid) returns void
language plpgsql volatile
as $$
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
    and currtid2(relation::text, version) <> version then
    raise exception using errcode = 'serialization_failure',
      message = 'could not serialize access: the lease was renewed, released or revoked since the snapshot of this transaction',
      hint = 'Repeat the transaction. As its first statement, a guard hardly ever meets this.';
  end if;
end
$$;
