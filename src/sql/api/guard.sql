create function leasehold.guard(key text, fence bigint, timeout interval default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
begin
  -- The caller's column may have a collation of its own, and two different ones cannot be compared. The same applies in
  -- is_guarded and check_fence.
  perform leasehold_internal._guard(key collate "C", fence, extract(epoch from timeout)::numeric * 1000);
end
$$;

comment on function leasehold.guard(text, bigint, interval) is
  'First statement of a transaction that writes under a lock: select leasehold.guard(''account:42'', 17); Fails with LH001 '
  'unless the key is held with this fence. Keeps the key from everybody else until the transaction ends; renewals and the '
  'release are not blocked. An idle transaction, or a statement, that lasts longer than "timeout" (default: the TTL of the '
  'lease, at least 1 s) is ended; from Postgres 17 on, so is the whole transaction. Outside a transaction it protects nothing.';
