create function leasehold.adopt(
  key text, token uuid, ttl interval default null, owner text default null, session integer default null)
returns table (new_token uuid, fence bigint, expires_at timestamptz)
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
  own leasehold.sessions;
  lease record;
  ttl_ms integer;
  answer record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(adopt.key);
  perform leasehold_internal._check_token(adopt.token);
  if ttl is not null then
    ttl_ms := leasehold_internal._ttl_ms(ttl);
  end if;
  own := leasehold_internal._own_session(adopt.session);

  lease := leasehold_internal._grant_of(adopt.key collate "C", adopt.token);
  if lease.fence is null then
    perform leasehold_internal._refuse_renewal(adopt.key collate "C", null);
  end if;
  new_token := gen_random_uuid();
  for attempt in 1..3 loop
    select a.* into answer
      from leasehold_internal.adopt(
             own.id, own.nonce, case when own.id is not null then 5000 end,
             adopt.key collate "C", adopt.token, lease.fence, new_token,
             leasehold_internal._owner(coalesce(adopt.owner, own.owner)),
             coalesce(ttl_ms, lease.ttl_ms), null, 'infinity') a;
    exit when answer.outcome <> 'busy' or attempt = 3;
    perform pg_sleep(0.005 * attempt);
  end loop;

  if answer.outcome = 'busy' then
    perform leasehold_internal._refuse_busy(adopt.key collate "C", lease.fence, 'adopted');
  elsif answer.outcome = 'attached' then
    raise exception using
      errcode = 'LH004',
      message = format('the lease of %L is tied to a session that is alive', adopt.key),
      detail = format('%s holds it, and has not let go of it.', answer.holder),
      hint = 'Who holds it hands it over first: lock.detach(), or select leasehold.detach_lock(...);';
  elsif answer.outcome <> 'adopted' then
    perform leasehold_internal._refuse_renewal(adopt.key collate "C", answer.reason);
  end if;
  fence := lease.fence;
  expires_at := to_timestamp(answer.expires / 1000);
  return next;
end
$$;

comment on function leasehold.adopt(text, uuid, interval, text, integer) is
  'Goes on with a lock that somebody hands over: select * from leasehold.adopt(''report:daily'', ''<token>''); Key and '
  'token come from lock.detach() of the client, from detach_lock, or from a try_acquire without a session. Returns one row: '
  'new_token is the secret from now on, and the old one is worth nothing any more, so that a lock is handed over once; the '
  'fence stays. "ttl": counted from now, instead of the one it has. "owner": how others see the new holder. What shares the '
  'key goes on to share it. "session": the number that attach() gave on this connection, which ties the lock to the '
  'connection. Fails with LH002 if the lock is no longer held with this token, with LH004 if it is tied to a session that '
  'is alive, and with 55P03 if a transaction keeps the row locked, such as one that guards the key.';
