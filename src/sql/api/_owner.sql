-- How others see a holder: by the name it gives itself, else by what the server knows about it.
create function leasehold_internal._owner(given text) returns text
language plpgsql stable
as $$
begin
  if octet_length(given) not between 1 and 256 then
    raise exception using errcode = 'LH003',
      message = format('an owner has 1 to 256 bytes, this one has %s', octet_length(given)),
      hint = 'Leave it out for role@address:pid of this connection.';
  end if;
  return coalesce(given, format('%s@%s:%s', session_user, coalesce(host(inet_client_addr()), 'local'), pg_backend_pid()));
end
$$;
