-- The fence and the TTL of what this token holds, a lease or a share; null: it holds nothing.
create function leasehold_internal._grant_of(p_key text, p_token uuid, out fence bigint, out ttl_ms integer)
language plpgsql stable
as $$
begin
  select l.fence, l.ttl_ms into fence, ttl_ms from leasehold.leases l where l.key = p_key and l.token = p_token;
  if not found then
    select s.fence, s.ttl_ms into fence, ttl_ms from leasehold.shares s where s.key = p_key and s.token = p_token;
  end if;
end
$$;
