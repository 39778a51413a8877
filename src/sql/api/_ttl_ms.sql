-- The same bounds as the client's ttlMs.
create function leasehold_internal._ttl_ms(ttl interval) returns integer
language plpgsql immutable
as $$
declare
  ms numeric := round(extract(epoch from ttl)::numeric * 1000);
begin
  if ms is null or ms < 100 or ms > 2147483647 then
    raise exception using errcode = 'LH003',
      message = format('a TTL is 100 ms to 2147483647 ms (24 days), not %s', coalesce(ttl::text, 'null')),
      detail = 'It is how long the key is kept from everybody when its holder neither renews nor releases it.',
      hint = 'Give an interval such as ''30 s''. For more, renew.';
  end if;
  return ms;
end
$$;
