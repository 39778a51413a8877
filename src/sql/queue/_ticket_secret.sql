-- The key of the tickets' proofs (decision 18). No client may read its table.
create function leasehold_internal._ticket_secret() returns bytea
language plpgsql stable
as $$
begin
  return (select s.secret from leasehold_internal.ticket_secret s where s.id);
end
$$;
