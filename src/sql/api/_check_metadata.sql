-- The bounds of metadata, as an error that says them.
create function leasehold_internal._check_metadata(metadata jsonb) returns void
language plpgsql volatile
as $$
begin
  if octet_length(metadata::text) > 65536 then
    raise exception using errcode = 'LH003',
      message = format('metadata has at most 65536 bytes as JSON, not %s', octet_length(metadata::text)),
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
  if not leasehold_internal._are_terms_valid('-', 1, 0, null, metadata::text) then
    raise exception using errcode = 'LH003', message = 'metadata has 100 levels at most, and numbers that can be written out',
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
end
$$;
