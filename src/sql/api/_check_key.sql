create function leasehold_internal._check_key(key text) returns void
language plpgsql immutable
as $$
begin
  if key is null or octet_length(key) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'a key has 1 to 512 bytes, this one has ' || coalesce(octet_length(key)::text, 'none: it is null'),
      detail = 'The full text is what is locked: the same as a client''s key, its prefix included.',
      hint = 'Shorten it, or lock its hash: encode(sha256(convert_to(..., ''UTF8'')), ''hex'').';
  end if;
end
$$;
