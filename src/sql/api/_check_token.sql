create function leasehold_internal._check_token(token uuid) returns void
language plpgsql immutable
as $$
begin
  if token is null then
    raise exception using errcode = 'LH003', message = 'the token is null',
      detail = 'It is the secret of a grant: only who has it may renew and release.',
      hint = 'Give the token that try_acquire answered with. It is null when acquired is false.';
  end if;
end
$$;
