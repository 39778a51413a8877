create function leasehold.detach_lock(key text, token uuid, ttl interval default null) returns timestamptz
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
declare
  lease record;
  ttl_ms integer;
  answer record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(detach_lock.key);
  perform leasehold_internal._check_token(detach_lock.token);
  if ttl is not null then
    ttl_ms := leasehold_internal._ttl_ms(ttl);
  end if;

  lease := leasehold_internal._grant_of(detach_lock.key collate "C", detach_lock.token);
  if lease.fence is null then
    perform leasehold_internal._refuse_renewal(detach_lock.key collate "C", null);
  end if;
  for attempt in 1..3 loop
    select a.* into answer
      from leasehold_internal.detach_lock(
             null, null, detach_lock.key collate "C", detach_lock.token, lease.fence, coalesce(ttl_ms, lease.ttl_ms)) a;
    exit when answer.outcome <> 'busy' or attempt = 3;
    perform pg_sleep(0.005 * attempt);
  end loop;
  if answer.outcome = 'busy' then
    perform leasehold_internal._refuse_busy(detach_lock.key collate "C", lease.fence, 'handed over');
  elsif answer.outcome <> 'renewed' then
    perform leasehold_internal._refuse_renewal(detach_lock.key collate "C", answer.reason);
  end if;
  return to_timestamp(answer.expires / 1000);
end
$$;

comment on function leasehold.detach_lock(text, uuid, interval) is
  'Prepares a lock for somebody else: select leasehold.detach_lock(''report:daily'', ''<token>''); Takes it off the session '
  'that it was acquired with, so that it lives by its TTL alone, counted from now, and returns its end. Then give key, token and '
  'fence to who goes on with it: leasehold.adopt(key, token), or locker.adopt(...) of the client. "ttl": instead of the one it '
  'has. Never shortens. Fails with LH002 if the lock is no longer held with this token, and with 55P03 if a transaction keeps '
  'the row locked.';
