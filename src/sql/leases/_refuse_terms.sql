-- The error for terms that are not within their bounds, see _are_terms_valid.
create function leasehold_internal._refuse_terms() returns void
language plpgsql volatile
as $$
begin
  raise exception using errcode = '22023', message = 'a token, an owner, a duration or metadata is not within its bounds',
    detail = 'Owner: 1 to 256 bytes. TTL and maximum hold: 1 ms to 2147483647 ms. Minimum hold: 0 or more. '
      'Metadata: 65536 bytes of JSON and 100 levels at most.';
end
$$;
