-- Creates a free row for a key that has none, in a subtransaction. If another transaction has inserted the key and not
-- committed, that costs 5 ms, not the batch.
create function leasehold_internal._create_free_lease(new_key text) returns void
language plpgsql volatile
set lock_timeout = '5ms'
as $$
begin
  if not exists (select from leasehold.leases l where l.key = new_key) then
    insert into leasehold.leases (key, fence, ttl_ms, released_at)
    values (new_key, 0, 0, clock_timestamp())
    on conflict do nothing;
  end if;
exception when lock_not_available then
  null;
end
$$;
