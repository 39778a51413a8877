-- The lower part of a fence. Not in plain SQL: that is put into the statement which calls it, and then Postgres refuses the
-- whole statement where the position is hidden, also where the sequence is what is wanted.
create function leasehold_internal._wal_position(source text) returns bigint
language plpgsql volatile
as $$
begin
  if source = 'manual' then
    return nextval('leasehold.fences');
  end if;
  return (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
end
$$;
