create function leasehold_internal._secret() returns bytea
language plpgsql stable
as $$
begin
  return (select s.secret from leasehold_internal.ticket_secret s where s.id);
end
$$;
