-- The sweeper: deletes what nobody needs any more, and wakes whoever is next in a line that moves.

-- Free, or expired, since before that moment. On a row that is not locked it is a hint.
create function leasehold_internal._is_forgotten(lease leasehold.leases, before timestamptz) returns boolean
language sql stable
return case
  when lease.token is null then lease.released_at < before and (lease.hold_until is null or lease.hold_until < before)
  else lease.expires_at < before
end;
--> statement-breakpoint
-- Wakes the first of each line whose key is grantable. A hint like every wake-up: the key may be granted already, and who has
-- no session looks by itself. What no release announces: a lease that ran out, a process that died, a minimum hold that is over.
create function leasehold_internal._wake_heads(most integer) returns integer
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  sessions integer[];
  restricted text := leasehold_internal._allow_views();
begin
  sessions := array(
    with heads as materialized (
      select distinct on (w.key) w.key, w.session_id
        from leasehold.waiters w
       where w.alive_until > clock_timestamp()
       order by w.key, w.ticket
       limit most
    )
    select distinct h.session_id
      from heads h
      join leasehold_internal._leases l on l.key = h.key
     where h.session_id is not null and l.state in ('free', 'expired', 'orphaned'));
  perform leasehold_internal._restrict_views(restricted);
  perform pg_notify('leasehold_' || s, '') from unnest(sessions) s;
  return cardinality(sessions);
end
$$;
--> statement-breakpoint
-- One part of the leases, in key order: "most" of them are deleted at most, and twenty times as many looked at. What is looked at
-- is not locked, and what is deleted is locked for as long as that takes alone. Gives the key to go on after; null at the end.
--
-- Inserts of a missing key take an advisory lock first, for they would wait for a twin that is not committed. A delete needs none:
-- what it deletes was visible to everybody for a minute at least, so whoever wants that key finds its row, and finds it locked
-- (busy, as with any other lock) until the delete is committed and the row is gone.
--
-- A key whose last fence is larger than this server has come to (its data is from elsewhere) counts on from there: its row stays, for
-- nothing else knows that fence, and without it the next would be smaller.
create function leasehold_internal._purge_leases(start text, before timestamptz, most integer, out purged integer, out reached text)
language plpgsql volatile
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  seen bigint;
  forgotten text[];
  locked text[];
  last bigint := leasehold_internal._last_fence();
begin
  with part as materialized (
    select l.key, l.fence <= last and leasehold_internal._is_forgotten(l, before) as is_forgotten
      from leasehold.leases l
     where l.key > coalesce(start, '')
     order by l.key
     limit most * 20
  )
  select count(*), max(p.key), (array_agg(p.key order by p.key) filter (where p.is_forgotten))[:most]
    into seen, reached, forgotten
    from part p;
  if cardinality(forgotten) = most then
    reached := forgotten[most];
  elsif seen < most * 20 then
    reached := null;
  end if;

  -- The same lock as a grant takes: passed by nothing, and it waits for nothing. Then, in a statement that began after it, the
  -- decision: what was renewed, granted or queued for since then stays.
  locked := array(select l.key from leasehold.leases l where l.key = any (forgotten) order by l.key for update skip locked);
  delete from leasehold.leases l
   where l.key = any (locked)
     and l.fence <= last
     and leasehold_internal._is_forgotten(l, before)
     and not exists (select from leasehold.waiters w where w.key = l.key);
  get diagnostics purged = row_count;
end
$$;
--> statement-breakpoint
-- Places of processes that have stopped looking for twenty times as long as a place lasts. Who comes back queues again, with its old ticket.
create function leasehold_internal._purge_waiters(most integer) returns integer
language plpgsql volatile
as $$
declare
  purged integer;
begin
  delete from leasehold.waiters w
   where w.ctid = any (array(
     select d.ctid from leasehold.waiters d where d.alive_until < clock_timestamp() - interval '1 minute' limit most for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
--> statement-breakpoint
-- Dead sessions that no lease names: without its session's row a lease ends by its TTL alone. The order is that of _is_dead: with the
-- presence lock in hand the session cannot come back, nor be granted a lease. At most 100, for these locks share one small table.
create function leasehold_internal._purge_sessions(before timestamptz) returns integer
language plpgsql volatile
as $$
declare
  silent integer[];
  named integer[];
  purged integer;
begin
  -- Not its own either: a backend is always given the lock that it has.
  silent := array(
    select p.id from leasehold_internal._presence() p where not p.is_connected and p.seen_at < before order by p.seen_at limit 100);
  if cardinality(silent) = 0 then
    return 0;
  end if;
  silent := array(select s from unnest(silent) s where pg_try_advisory_xact_lock_shared(1279480140, s));
  named := array(select distinct l.session_id from leasehold.leases l where l.session_id = any (silent) and l.token is not null);
  delete from leasehold.sessions s
   where s.id = any (array(
     select d.id from leasehold.sessions d where d.id = any (silent) and d.id <> all (named) and d.seen_at < before for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
--> statement-breakpoint
-- One batch. p_quiet_ms: nothing is done so soon after somebody else's.
create function leasehold_internal._sweep(p_retention interval, p_most integer, p_quiet_ms integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  state leasehold.sweeper;
  before timestamptz;
begin
  perform leasehold_internal._check_transaction();
  woken := 0; leases_purged := 0; waiters_purged := 0; sessions_purged := 0; counters_purged := 0;
  has_more := false;
  is_busy := not pg_try_advisory_xact_lock(1279480142, 1);
  if is_busy then
    return next;
    return;
  end if;
  select * into state from leasehold.sweeper s where s.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  if state.swept_at > clock_timestamp() - p_quiet_ms * interval '1 millisecond' then
    return next;
    return;
  end if;
  -- Nobody went on with that pass.
  if state.swept_at < clock_timestamp() - interval '10 minutes' then
    state.after_key := null;
  end if;

  before := clock_timestamp() - p_retention;
  if state.after_key is null then
    woken := leasehold_internal._wake_heads(p_most);
  end if;
  waiters_purged := leasehold_internal._purge_waiters(p_most);
  counters_purged := leasehold_internal._purge_counters(p_most);
  -- Last, for its locks are those that others could find.
  select p.purged, p.reached into leases_purged, state.after_key
    from leasehold_internal._purge_leases(state.after_key, before, p_most) p;
  -- Once in a pass, for it reads every lease; and at its end, when leases that nobody will renew are gone.
  if state.after_key is null then
    sessions_purged := leasehold_internal._purge_sessions(before);
  end if;
  has_more := state.after_key is not null or waiters_purged = p_most or counters_purged = p_most or sessions_purged = 100;
  update leasehold.sweeper s set after_key = state.after_key, swept_at = clock_timestamp() where s.id;
  return next;
end
$$;
--> statement-breakpoint
-- What every locker runs: any role that may lock may call it, so nothing in it can be chosen but how often.
create function leasehold_internal.sweep(p_quiet_ms integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  -- What a crash brings back is swept again.
  perform set_config('synchronous_commit', 'off', true);
  return query select * from leasehold_internal._sweep(interval '10 minutes', 500, p_quiet_ms);
end
$$;
--> statement-breakpoint
create function leasehold.sweep(retention interval default '10 minutes', batch integer default 500)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  -- An interval is compared as if all months had 30 days, and taken off with those that they have: -12 months 360 days is 5 days ahead.
  seconds numeric := extract(epoch from retention);
begin
  if seconds is null or seconds not between 60 and 3155760000 then
    raise exception using errcode = 'LH003',
      message = format('the retention is 1 minute to 100 years, not %s', coalesce(retention::text, 'null')),
      detail = 'A released key keeps its row for so long, and an expired lease stays known: who comes late is told what became of it.',
      hint = 'Leave it out for 10 minutes: select * from leasehold.sweep();';
  end if;
  if batch is null or batch not between 1 and 10000 then
    raise exception using errcode = 'LH003', message = format('a batch has 1 to 10000 rows, not %s', coalesce(batch::text, 'null')),
      detail = 'So many rows of each kind are purged at most, in one transaction, and the keys among them are busy until it ends.',
      hint = 'Leave it out for 500 rows, and call again while has_more is true.';
  end if;
  return query select * from leasehold_internal._sweep(seconds * interval '1 second', batch, null);
end
$$;
--> statement-breakpoint
comment on function leasehold.sweep(interval, integer) is 'Deletes what nobody needs any more, and wakes whoever is next in a line that moves: select * from leasehold.sweep(); Purged are keys that are free, and leases that are expired, for longer than "retention" (1 minute to 100 years), waiters that have stopped looking for a minute, dead sessions that no lease names, and the counters of processes that are gone, which are added up; never a live lease. "batch" bounds what one call purges of each kind: repeat it while has_more is true. is_busy: another sweeper was at work, and nothing was done. woken: sessions that were told to look. Every locker does the same in the background.';
--> statement-breakpoint
-- How many migrations made this schema. Where it was restored without its data, migrate() notes so many as done. Each new one defines
-- this and _fill() again.
create function leasehold_internal._migrations() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
return 7;
--> statement-breakpoint
-- The rows that every function needs, where they are missing: in new tables, and in those of a schema that was restored without its data.
create function leasehold_internal._fill() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  server record;
  epoch bigint;
  next bigint;
  largest bigint;
begin
  insert into leasehold.schema_version (version, min_client) values (2, 2) on conflict do nothing;
  insert into leasehold.sweeper default values on conflict do nothing;
  insert into leasehold_internal.ticket_secret (secret)
  values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))) on conflict do nothing;
  if not exists (select from leasehold.fence_epoch) then
    server := leasehold_internal._server_identity();
    epoch := coalesce(server.timeline - 1, 0);
    -- Where leases were kept, their fences say how far it had come at least.
    largest := (
      select max(seen.fence) from (select l.fence from leasehold.leases l union all select r.fence from leasehold.resource_fences r) seen);
    next := epoch << 48;
    if server.timeline is not null then -- the right to call it is asked for even by an expression that would not
      next := next + (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
    end if;
    if largest > next then
      epoch := (largest >> 48) + 1;
    end if;
    insert into leasehold.fence_epoch (system_identifier, base, top, source, epoch, server_start)
    values (server.identifier, epoch - coalesce(server.timeline - 1, 0), epoch,
            case when server.timeline is null then 'manual' else 'auto' end, epoch, pg_postmaster_start_time())
    on conflict do nothing;
  end if;
end
$$;
--> statement-breakpoint
select leasehold_internal._fill();
--> statement-breakpoint
-- A database may have default privileges, for everybody or for a role: of all that was made nobody but the owner has any right yet.
select leasehold_internal._tidy_rights();
