-- The public SQL API: locks for psql, and for drivers of other languages. It checks what comes in, asks the functions that the client
-- asks, and says what came of it. There is no second copy of the protocol here.
-- A caller's column may have a collation of its own, and two of them cannot be compared: wherever a key goes on, it is collate "C".
-- Errors: LH002 not held; LH003 invalid argument; LH004 standby, or unsafe; 55P03 the row is locked by somebody's transaction.

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
--> statement-breakpoint
create function leasehold_internal._check_token(token uuid) returns void
language plpgsql immutable
as $$
begin
  if token is null then
    raise exception using errcode = 'LH003', message = 'the token is null',
      detail = 'It is the secret of a grant: only who has it may renew and release.',
      hint = 'Give the token that try_acquire answered with. It is null when acquired is false.';
  end if;
end
$$;
--> statement-breakpoint
-- The bounds are those of the client's ttlMs.
create function leasehold_internal._ttl_ms(ttl interval) returns integer
language plpgsql immutable
as $$
declare
  ms numeric := round(extract(epoch from ttl)::numeric * 1000);
begin
  if ms is null or ms < 100 or ms > 2147483647 then
    raise exception using errcode = 'LH003', message = format('a TTL is 100 ms to 2147483647 ms (24 days), not %s', coalesce(ttl::text, 'null')),
      detail = 'It is how long the key is kept from everybody when its holder neither renews nor releases it.',
      hint = 'Give an interval such as ''30 s''. For more, renew.';
  end if;
  return ms;
end
$$;
--> statement-breakpoint
-- How others see a holder: as it names itself, or else by what the server knows of it.
create function leasehold_internal._owner(given text) returns text
language plpgsql stable
as $$
begin
  if octet_length(given) not between 1 and 256 then
    raise exception using errcode = 'LH003', message = format('an owner has 1 to 256 bytes, this one has %s', octet_length(given)),
      hint = 'Leave it out for role@address:pid of this connection.';
  end if;
  return coalesce(given, format('%s@%s:%s', session_user, coalesce(host(inet_client_addr()), 'local'), pg_backend_pid()));
end
$$;
--> statement-breakpoint
-- The session that the caller names as its own. It must be one of this very connection: on a pooled connection the next one inherits
-- whatever the last one left, so nothing that is not named counts.
create function leasehold_internal._own_session(given integer) returns leasehold.sessions
language plpgsql volatile
as $$
declare
  own leasehold.sessions;
begin
  if given is not null then
    select s.* into own from leasehold.sessions s where s.id = given and s.pid = pg_backend_pid();
    if not found or not leasehold_internal._holds_presence(given) then
      raise exception using errcode = 'LH004', message = format('session %s is not attached on this connection', given),
        detail = 'It is another connection''s, or its advisory lock was released: by detach(), discard all, or pg_advisory_unlock_all(). Locks that were acquired under it may be another''s by now.',
        hint = 'Attach this connection, and name the number that it gives: select leasehold.attach();';
    end if;
  end if;
  return own;
end
$$;
--> statement-breakpoint
-- The line's first is woken with the commit. A hint, as ever: without it a waiter looks within a second.
create function leasehold_internal._wake(session integer) returns void
language plpgsql volatile
as $$
begin
  if session is not null then
    perform pg_notify('leasehold_' || session, '');
  end if;
end
$$;
--> statement-breakpoint
create function leasehold.try_acquire(key text, ttl interval default '30 s', owner text default null, metadata jsonb default null, session integer default null)
returns table (acquired boolean, token uuid, fence bigint, expires_at timestamptz, holder text, holder_expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  durability text := current_setting('synchronous_commit');
  own leasehold.sessions;
  ttl_ms integer;
  answer record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(try_acquire.key);
  ttl_ms := leasehold_internal._ttl_ms(ttl);
  if octet_length(metadata::text) > 65536 then
    raise exception using errcode = 'LH003',
      message = format('metadata has at most 65536 bytes as JSON, not %s', octet_length(metadata::text)),
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
  if not leasehold_internal._is_item('-', 1, 0, null, metadata::text) then
    raise exception using errcode = 'LH003', message = 'metadata has 100 levels at most, and numbers that can be written out',
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
  own := leasehold_internal._own_session(try_acquire.session);

  token := gen_random_uuid();
  -- A row that is locked for a moment, by a guard or a grant that is about to commit, is no reason to give up. As the client does.
  for attempt in 1..3 loop
    select a.* into answer
      from leasehold_internal.acquire(
             own.id, own.nonce, case when own.id is not null then 5000 end, false,
             array[try_acquire.key collate "C"], array[token], array[leasehold_internal._owner(coalesce(try_acquire.owner, own.owner))],
             array[ttl_ms], array[0], array[null::bigint], array[metadata::text], array['infinity'::float8], array[false], array[null::bigint]) a;
    exit when answer.outcome <> 'busy' or attempt = 3;
    perform pg_sleep(0.005 * attempt);
  end loop;

  acquired := answer.outcome = 'granted';
  if acquired then
    fence := answer.fence;
    expires_at := to_timestamp(answer.expires / 1000);
  else
    token := null;
    holder := answer.holder;
    holder_expires_at := to_timestamp(answer.expires / 1000);
    -- A try that failed lowers it. Whatever else this transaction writes is the caller's.
    perform set_config('synchronous_commit', durability, true);
  end if;
  return next;
end
$$;
--> statement-breakpoint
comment on function leasehold.try_acquire(text, interval, text, jsonb, integer) is 'Takes the lock if it is free and nobody waits for it: select * from leasehold.try_acquire(''report:daily'', ttl => ''5 min''); One row. "session": the number that attach() gave on this connection, which ties the lock to the connection. acquired: token is the secret for renew and release, fence the fencing token for guard. Otherwise holder and holder_expires_at say who has it; both are null when the key is free but others stand in line, or a transaction keeps its row locked. It does not wait: ask again. In a transaction that stays open the grant is nobody''s before the commit, and until then the key is kept from everybody; so commit first. Fails with LH003 when an argument is not what it must be, with LH004 on a standby, under another isolation level than read committed, and when the session is not one of this connection.';
--> statement-breakpoint
-- Why it is not held with this token, for whoever reads the error.
create function leasehold_internal._refuse_renewal(p_key text, reason text) returns void
language plpgsql volatile
as $$
declare
  lease leasehold.leases;
begin
  select l.* into lease from leasehold.leases l where l.key = p_key;
  raise exception using
    errcode = 'LH002',
    message = format('the lease of %L is not held with this token', p_key),
    detail = case
      when reason = 'forced' then 'It was taken away by force.'
      when reason = 'max-hold' then 'It was held for as long as it may be.'
      when reason = 'expired' then 'It was not renewed in time: it has expired.'
      when lease.token is not null and lease.expires_at > clock_timestamp()
        then format('%s holds the key since %s, with fence %s.', lease.owner, lease.acquired_at, lease.fence)
      else 'It was released, or it expired and others have had the key since. Nobody holds it now.'
    end,
    hint = 'Stop what the lock was for. To go on, take it again: select * from leasehold.try_acquire(...);';
end
$$;
--> statement-breakpoint
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
  lease leasehold.leases;
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

  select l.* into lease from leasehold.leases l where l.key = renew.key collate "C" and l.token = renew.token;
  if not found then
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
--> statement-breakpoint
comment on function leasehold.renew(text, uuid, interval, integer) is 'Keeps a lock for longer, counted from now, and says until when: select leasehold.renew(''report:daily'', ''<token>''); "ttl": instead of the one it has. It never shortens. Fails with LH002 when the lock is not held with this token any more, also when nobody else has it; with 55P03 when a transaction keeps the row locked. The lock stays tied to the session that it was acquired under for as long as that one lives, whoever renews it. "session": the number that attach() gave on this connection, for a lock whose own connection has ended.';
--> statement-breakpoint
create function leasehold.release(key text, token uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(release.key);
  perform leasehold_internal._check_token(release.token);
  for attempt in 1..3 loop
    select a.* into answer from leasehold_internal.release(false, array[release.key collate "C"], array[release.token], array[null::bigint]) a;
    exit when answer.outcome <> 'busy' or attempt = 3;
    perform pg_sleep(0.005 * attempt);
  end loop;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released now: a transaction keeps its row locked', release.key),
      detail = (select format('It is open in the server process %s.', b.pid) from leasehold_internal._blockers(array[release.key collate "C"]) b where b.pid is not null),
      hint = 'Release it in the transaction that renewed it, or end that one first.';
  end if;
  perform leasehold_internal._wake(answer.wake);
  return answer.outcome = 'released';
end
$$;
--> statement-breakpoint
comment on function leasehold.release(text, uuid) is 'Lets go of a lock: select leasehold.release(''report:daily'', ''<token>''); True when it was held until now; false when it was over before, and then what was done meanwhile was not protected. Whoever is next in line is woken when the transaction commits.';
--> statement-breakpoint
create function leasehold.check(key text)
returns table (
  state text, owner text, fence bigint, session_id integer, is_session_alive boolean, acquired_at timestamptz, renewed_at timestamptz,
  expires_at timestamptz, remaining interval, ttl interval, metadata jsonb, waiters integer, blocking_pid integer, blocking_transaction text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key("check".key);
  select a.* into answer from leasehold_internal.inspect("check".key collate "C") a;
  waiters := answer.waiters;
  blocking_pid := answer.blocker;
  blocking_transaction := answer.gid;
  state := case when answer.state = 'free' and (blocking_pid is not null or blocking_transaction is not null) then 'blocked' else answer.state end;
  if state <> 'free' then
    owner := answer.owner;
    fence := answer.fence;
    acquired_at := to_timestamp(answer.acquired / 1000);
    metadata := answer.metadata::jsonb;
  end if;
  if state not in ('free', 'blocked') then
    expires_at := to_timestamp(answer.expires / 1000);
    remaining := greatest(expires_at - clock_timestamp(), interval '0');
  end if;
  if state in ('held', 'expired', 'orphaned') then
    session_id := answer.session;
    is_session_alive := answer.alive;
    renewed_at := nullif(to_timestamp(answer.renewed / 1000), acquired_at);
    ttl := answer.ttl * interval '1 millisecond';
  end if;
  return next;
end
$$;
--> statement-breakpoint
comment on function leasehold.check(text) is 'Who has the key: select * from leasehold.check(''report:daily''); One row, and nothing is locked or changed. state: free; held; cooling (released, but kept from everybody until its minimum hold is over); blocked (released, but a transaction that guarded it is open); orphaned (its holder has died); expired (nobody renewed it; the last two are granted to the next who asks).';
--> statement-breakpoint
create function leasehold.attach(owner text default null, session integer default null) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  own leasehold.sessions;
begin
  perform leasehold_internal._check_transaction();
  if attach.session is not null then
    own := leasehold_internal._own_session(attach.session);
    update leasehold.sessions s
       set seen_at = clock_timestamp(), owner = case when attach.owner is null then s.owner else leasehold_internal._owner(attach.owner) end
     where s.id = own.id;
    return own.id;
  end if;

  own.owner := leasehold_internal._owner(attach.owner);
  -- One lock, for as long as the connection lasts; a number whose last session still stands is passed over.
  loop
    own.id := leasehold_internal.new_session_id();
    exit when pg_try_advisory_lock(1279480140, own.id);
  end loop;
  begin
    perform leasehold_internal._register(own.id, gen_random_uuid(), own.owner, coalesce(host(inet_client_addr()), 'local'), 'sql');
  exception when others then
    perform pg_advisory_unlock(1279480140, own.id); -- a lock of the connection, which no rollback gives back
    raise;
  end;
  return own.id;
end
$$;
--> statement-breakpoint
comment on function leasehold.attach(text, integer) is 'Begins a session of this connection, and gives its number: select leasehold.attach(); Locks that are acquired with it, try_acquire(..., session => <number>), are tied to the connection: when it ends, for whatever reason, they are free at once, or 5 s after the last call of attach(), whichever is later; not only at their TTL. They still end by their TTL unless they are renewed. For a connection of its own, not one that a transaction pooler shares out, and outside of a transaction. Called with its number, attach(session => <number>), it is a heartbeat; without, it begins another session. "owner": how others see it.';
--> statement-breakpoint
create function leasehold.detach(session integer) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  if detach.session is null then
    raise exception using errcode = 'LH003', message = 'the session is null', hint = 'Give the number that attach() gave.';
  end if;
  if not leasehold_internal._holds_presence(detach.session) then
    return false;
  end if;
  -- Its row stays, for it is what tells that the session is dead; the sweeper deletes it.
  perform pg_advisory_unlock(1279480140, detach.session);
  return true;
end
$$;
--> statement-breakpoint
comment on function leasehold.detach(integer) is 'Ends the session that attach() began, before the connection goes back to a pool: select leasehold.detach(<number>); Locks that were acquired with it and are still held are free, as if the connection had ended: release them first. False when this connection has no such session.';
--> statement-breakpoint
create function leasehold.force_release(key text, fence bigint default null, immediate boolean default false)
returns table (outcome text, holder text, holder_fence bigint, holder_expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(force_release.key);
  if force_release.fence < 1 then
    raise exception using errcode = 'LH003', message = format('a fence is 1 or more, not %s', force_release.fence),
      hint = 'Give the fence of the grant that is meant, as leasehold.active_leases shows it, or leave it out.';
  end if;
  if immediate is null then
    raise exception using errcode = 'LH003', message = 'immediate is null', hint = 'Give true or false, or leave it out for false.';
  end if;
  select a.* into answer from leasehold_internal.force_release(force_release.key collate "C", force_release.fence, immediate) a;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released by force now: a transaction keeps its row locked', force_release.key),
      detail = format('It is open in the server process %s.', coalesce(answer.blocker::text, '(unknown)')),
      hint = 'End that transaction, then try again: select pg_terminate_backend(<process>);';
  end if;
  perform leasehold_internal._wake(answer.wake);
  outcome := answer.outcome;
  holder := answer.owner;
  holder_fence := answer.fence;
  holder_expires_at := to_timestamp(answer.expires / 1000);
  return next;
end
$$;
--> statement-breakpoint
comment on function leasehold.force_release(text, bigint, boolean) is 'Takes a lock from its holder: select * from leasehold.force_release(''report:daily''); outcome: revoked (its renewals fail from now on; the key is free when it lets go, or at holder_expires_at); released (immediate: free now, although its holder may still believe that it holds: only fences protect what it writes); gone (there was nothing to take). "fence": only that grant, and no later one.';
