create function leasehold.renew(key text, token uuid, ttl interval default null, session integer default null) returns timestamptz
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
  perform leasehold_internal._check_key(renew.key);
  perform leasehold_internal._check_token(renew.token);
  if ttl is not null then
    ttl_ms := leasehold_internal._ttl_ms(ttl);
  end if;
  own := leasehold_internal._own_session(renew.session);

  lease := leasehold_internal._grant_of(renew.key collate "C", renew.token);
  if lease.fence is null then
    perform leasehold_internal._refuse_renewal(renew.key collate "C", null);
  end if;
  select a.* into answer
    from leasehold_internal.renew_busy(
           own.id, own.nonce, case when own.id is not null then 5000 end,
           renew.key collate "C", renew.token, lease.fence, coalesce(ttl_ms, lease.ttl_ms)) a;
  if answer.outcome <> 'renewed' then
    perform leasehold_internal._refuse_renewal(renew.key collate "C", answer.reason);
  end if;
  return to_timestamp(answer.expires / 1000);
end
$$;

comment on function leasehold.renew(text, uuid, interval, integer) is
  'Extends a lock, counted from now, and returns its new end: select leasehold.renew(''report:daily'', ''<token>''); "ttl": '
  'instead of the one it has. Never shortens. Fails with LH002 if the lock is no longer held with this token, even if nobody '
  'else has it, and with 55P03 if a transaction keeps the row locked. Whoever renews it, the lock stays tied to the session '
  'that acquired it for as long as that session is alive. "session": the number that attach() gave on this connection, for a '
  'lock whose own connection has ended.';
