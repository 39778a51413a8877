-- What Drizzle has no words for, then the functions, then the rights and the first rows.

create schema if not exists leasehold_internal;
--> statement-breakpoint
alter sequence leasehold.session_ids as integer;
--> statement-breakpoint
create table leasehold_internal.ticket_secret (
  id boolean primary key default true constraint ticket_secret_single_row check (id),
  secret bytea not null
);
comment on table leasehold_internal.ticket_secret is 'With which the server knows again the tickets that it gave away: one row.';
comment on column leasehold_internal.ticket_secret.id is 'Always true: there is one row.';
comment on column leasehold_internal.ticket_secret.secret is 'Random. Who knows it can choose a place in any line, and no more than that.';
--> statement-breakpoint
-- A crash of the server ends every wait and every session anyway. For sessions it is a matter of safety, too: the rows
-- must not outlive one incarnation of the server, nor appear on a promoted standby.
alter table leasehold.waiters set unlogged;
alter table leasehold.sessions set unlogged;
--> statement-breakpoint
-- fillfactor: room for the next version of a row on its own page, so that renewals and releases are HOT updates.
-- autovacuum: HOT pruning clears most old versions; what is left is small, and a vacuum of it is cheap (no cost delay),
-- while waiting for the default 20 % would let a hot table grow to many times its size. Threshold 500: not for every handful of rows.
-- vacuum_truncate: giving empty pages back takes an access exclusive lock, behind which every acquire would wait.
alter table leasehold.leases set (
  fillfactor = 45,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);
alter table leasehold.waiters set (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off
);
alter table leasehold.resource_fences set (fillfactor = 70, vacuum_truncate = off);
alter table leasehold.sessions set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off
);
--> statement-breakpoint
comment on schema leasehold is 'Leasehold: locks with leases and fencing tokens. Read anything here; change it only through the functions and the client.';
comment on schema leasehold_internal is 'Functions that the Leasehold client calls. They may change with every version: do not call them yourself.';
comment on sequence leasehold.fences is 'Fencing tokens where the service hides the write-ahead log (source manual in fence_epoch). Elsewhere a fence is a position in that log, and this is not used.';
comment on sequence leasehold.tickets is 'Places in the lines of waiters: lower tickets are served first.';
comment on sequence leasehold.session_ids is 'Numbers of sessions. Each is the second half of the advisory lock that its session holds.';
--> statement-breakpoint
comment on table leasehold.leases is 'One row per key: who holds it, until when, and with which fence. A released key keeps its row.';
comment on column leasehold.leases.key is 'What is locked. The full text is the identity, prefix included.';
comment on column leasehold.leases.token is 'The secret of the grant: who knows it may renew and release. Null when nobody holds the key.';
comment on column leasehold.leases.fence is 'The fencing token of the last grant. Each grant of a key has a larger one than all before; a renewal keeps it.';
comment on column leasehold.leases.owner is 'Who holds the key, or held it last, as the client named itself (by default host:pid).';
comment on column leasehold.leases.session_id is 'The session whose death frees the key before its TTL. Null: by TTL alone.';
comment on column leasehold.leases.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.leases.takeover_ms is 'How long the session of the holder must have been silent, in milliseconds, before a dead holder''s key is granted to the next. Chosen by the holder.';
comment on column leasehold.leases.min_hold_ms is 'A release earlier than this many milliseconds after the grant keeps the key ungrantable until then. Chosen by the holder.';
comment on column leasehold.leases.max_hold_until is 'No renewal goes beyond this instant. Null: no such bound. Chosen by the holder.';
comment on column leasehold.leases.acquired_at is 'When the key was last granted.';
comment on column leasehold.leases.renewed_at is 'When the lease was last renewed; null if not since the grant.';
comment on column leasehold.leases.expires_at is 'The lease ends here unless it is renewed before. From then on the key is free for the next one.';
comment on column leasehold.leases.hold_until is 'Set by a release before min_hold_ms was over: the key is not granted again until then.';
comment on column leasehold.leases.revoked_at is 'When the lease was taken away by force: it is not renewed any more.';
comment on column leasehold.leases.queued is 'There may be waiters. False implies that there are none; true may be out of date.';
comment on column leasehold.leases.metadata is 'What the holder chose to tell about the lease.';
comment on column leasehold.leases.released_at is 'Since when nobody holds the key: when it was released. Null while it is held.';
comment on column leasehold.leases.acquisitions is 'How many times the key was granted since its row was made.';
--> statement-breakpoint
comment on table leasehold.waiters is 'The lines: one row per acquire that waits for a key. Unlogged: empty after a crash of the server, and waiting clients queue again by themselves.';
comment on column leasehold.waiters.key is 'The key waited for.';
comment on column leasehold.waiters.ticket is 'The place in the line: the lowest ticket that is still alive is next.';
comment on column leasehold.waiters.token is 'The secret that the grant will have.';
comment on column leasehold.waiters.session_id is 'The session of the waiting client, which is notified when its turn has come. Null: it only polls.';
comment on column leasehold.waiters.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiters.enqueued_at is 'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiters.alive_until is 'Each look of the waiting client moves this ahead. Past it the entry is skipped: the client is dead or frozen.';
--> statement-breakpoint
comment on table leasehold.sessions is 'One row per process that holds locks with presence. Unlogged: sessions exist within one incarnation of the server only.';
comment on column leasehold.sessions.id is 'The number of the session. It holds the advisory lock (1279480140, id) for as long as it lives.';
comment on column leasehold.sessions.nonce is 'Random identity of the session, by which it knows its own connection again.';
comment on column leasehold.sessions.owner is 'Who it is, as the client named itself.';
comment on column leasehold.sessions.pid is 'The server process of the session''s connection, as in pg_stat_activity.';
comment on column leasehold.sessions.host is 'The name of the client''s machine, as the client gave it.';
comment on column leasehold.sessions.client_address is 'The address that the connection came from. Null: a Unix socket.';
comment on column leasehold.sessions.application_name is 'application_name of the connection.';
comment on column leasehold.sessions.version is 'The version of the Leasehold client.';
comment on column leasehold.sessions.started_at is 'When the session was opened.';
comment on column leasehold.sessions.seen_at is 'The last heartbeat. A session whose lock is free and that was not seen for takeover_ms is dead.';
--> statement-breakpoint
comment on table leasehold.fence_epoch is 'The upper part of fences: one row. It keeps fences rising over a failover, a recovery to an earlier point, a restore into another cluster and pg_upgrade.';
comment on column leasehold.fence_epoch.id is 'Always true: there is one row.';
comment on column leasehold.fence_epoch.system_identifier is 'The cluster in which the last fences were issued (pg_control_system). Null: the service hides it.';
comment on column leasehold.fence_epoch.database_id is 'Random identity of this database, made when the tables were. It stands in for system_identifier where the service hides that.';
comment on column leasehold.fence_epoch.base is 'What is added to the timeline (less one) to give the epoch. Source manual: the epoch itself.';
comment on column leasehold.fence_epoch.top is 'The largest epoch that was used. Another cluster starts above it, and so does another source.';
comment on column leasehold.fence_epoch.source is 'auto: a fence is a position in the write-ahead log, under an epoch that follows the timeline of the server. manual: this service hides those; fences come from a sequence, and an operator raises the epoch after each failover or restore.';
comment on column leasehold.fence_epoch.epoch is 'The epoch that was last verified. It holds for as long as the server runs that did it.';
comment on column leasehold.fence_epoch.server_start is 'When the server was started that verified the epoch (pg_postmaster_start_time). With any other start it is verified again.';
--> statement-breakpoint
comment on table leasehold.resource_fences is 'High-water marks: the largest fence with which each resource was used, see check_fence. A row may be deleted once nothing stale can come any more.';
comment on column leasehold.resource_fences.resource is 'What the writers call the resource.';
comment on column leasehold.resource_fences.fence is 'The largest fence that was checked. Smaller ones are refused.';
comment on column leasehold.resource_fences.checked_at is 'When the mark rose last.';
--> statement-breakpoint
comment on table leasehold.sweeper is 'Where the sweeper is: one row. It goes over the leases in batches, and goes on where the last one ended, whoever sweeps.';
comment on column leasehold.sweeper.id is 'Always true: there is one row.';
comment on column leasehold.sweeper.after_key is 'The key after which the next batch begins. Null: at the start.';
comment on column leasehold.sweeper.swept_at is 'When the last batch was done.';
--> statement-breakpoint
comment on table leasehold.schema_version is 'The versions of this schema that were applied; the largest one counts.';
comment on column leasehold.schema_version.version is 'Version of the schema.';
comment on column leasehold.schema_version.min_client is 'The oldest client version that can work with it.';
comment on column leasehold.schema_version.applied_at is 'When it was applied.';
--> statement-breakpoint
create function leasehold_internal.schema_info()
returns table (version integer, min_client integer)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
  -- A restore of the schema without its data leaves tables without the rows that every function needs: as good as no schema.
  select applied.version, applied.min_client
    from leasehold.schema_version as applied
   where exists (select from leasehold.fence_epoch) and exists (select from leasehold.sweeper)
   order by applied.version desc
   limit 1;
$$;
--> statement-breakpoint
comment on function leasehold_internal.schema_info() is 'The version of the schema, and the oldest client that can work with it. No row: the rows that every function needs are missing, and migrate() puts them back.';
--> statement-breakpoint
-- functions
-- Times travel as milliseconds since 1970 in a float8: exact to the microsecond, and untouched by a client's date parsers.
create function leasehold_internal._ms(at timestamptz) returns float8
language sql stable parallel safe
return (extract(epoch from at) * 1000)::float8;
--> statement-breakpoint
-- Locking first and comparing afterwards only works if each statement sees what was committed before it, and only on a primary.
create function leasehold_internal._check_transaction() returns void
language plpgsql stable
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'LH004',
      message = format('leasehold needs the isolation level "read committed", this transaction has "%s"', current_setting('transaction_isolation')),
      hint = format('Run: alter role %I set default_transaction_isolation = ''read committed''', session_user);
  end if;
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'LH004',
      message = 'this server is a standby: it cannot grant a lease',
      hint = 'Connect to the primary, or name several hosts in the URL.';
  end if;
end
$$;
--> statement-breakpoint
create function leasehold_internal._refuse_missing_rows() returns void
language plpgsql stable
as $$
begin
  raise exception using
    errcode = 'LH008',
    message = 'the schema leasehold has lost the rows that its functions need',
    detail = 'It was restored without its data, or somebody has emptied its tables.',
    hint = 'Run "leasehold migrate", or await locker.migrate(): that puts them back.';
end
$$;
--> statement-breakpoint
-- What this server tells about itself. A service may keep these functions for its superuser, or not have them: then null.
-- pg_control_checkpoint() lags right after a promotion; the name of the current WAL file does not.
create function leasehold_internal._server_identity(out identifier bigint, out timeline bigint)
language plpgsql volatile
as $$
begin
  begin
    timeline := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint;
  exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state then
    null;
  end;
  begin
    identifier := (select c.system_identifier from pg_control_system() c);
  exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state then
    null;
  end;
end
$$;
--> statement-breakpoint
-- Asked for each fence: a right may be taken away while the server runs. 0.3 us.
create function leasehold_internal._may_read_position() returns boolean
language sql stable
return has_function_privilege('pg_current_wal_insert_lsn()'::regprocedure, 'execute');
--> statement-breakpoint
-- The epoch of this server, worked out from the last one that was used, and kept.
create function leasehold_internal._verify_epoch() returns leasehold.fence_epoch
language plpgsql volatile
as $$
declare
  known leasehold.fence_epoch;
  verified leasehold.fence_epoch;
  server record;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  server := leasehold_internal._server_identity();
  verified := known;
  verified.source := case when server.timeline is null then 'manual' else 'auto' end;
  verified.system_identifier := server.identifier;
  verified.server_start := pg_postmaster_start_time();
  -- Above all that was used, where that may be from elsewhere: from another cluster, from one that told more or less, or from one
  -- that has seen more timelines.
  if verified.source <> known.source
     or verified.system_identifier is distinct from known.system_identifier
     or known.base + server.timeline - 1 < known.top
  then
    verified.base := known.top + 1;
  end if;
  verified.epoch := verified.base + coalesce(server.timeline - 1, 0);
  verified.top := greatest(known.top, verified.epoch);
  if verified.epoch > 32767 then
    raise exception using errcode = 'LH004',
      message = format('the epochs of fences are used up: the last is 32767, the next would be %s', verified.epoch),
      hint = 'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old ones.';
  end if;

  -- Written once, by one. Who finds the row locked goes on: the epoch depends on nothing that another could be writing, and to wait
  -- for somebody's open transaction would hold up every grant.
  if current_setting('transaction_read_only') = 'off' then
    perform from leasehold.fence_epoch e where e.id for update skip locked;
    if found then
      update leasehold.fence_epoch e
         set system_identifier = verified.system_identifier, base = verified.base, top = verified.top, source = verified.source,
             epoch = verified.epoch, server_start = verified.server_start
       where e.id and e = known;
    end if;
  end if;
  return verified;
end
$$;
--> statement-breakpoint
-- The upper part of every fence and ticket, 0 to 32767: what a promotion, a recovery, a restore elsewhere and an upgrade add to.
-- A running server writes to one cluster and to one timeline. So what it has verified stays true; and another server_start than its
-- own tells that the row comes from an earlier run, from a dump of elsewhere, or from the primary of a standby that was promoted.
create function leasehold_internal._epoch() returns bigint
language plpgsql volatile
as $$
declare
  known bigint := (select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time());
begin
  return coalesce(known, (select v.epoch from leasehold_internal._verify_epoch() v));
end
$$;
--> statement-breakpoint
-- The fence of one grant: the position in the write-ahead log, in units of 64 bytes, under the epoch. Drawn once the key's row is
-- locked, never earlier; then it is larger than the fence of the grant before. That one wrote more than 64 bytes after its fence
-- was drawn, and its transaction is over. A grant is on the disk before it is answered, so no crash takes a position back that
-- anybody has seen. And nothing that is done inside a cluster turns the log back: no restore of a dump, no copy of a database, no new
-- migration. Fences from a sequence fell from 6 to 2. Two keys may have one fence.
--
-- 2^48 units of 64 bytes are 18 PB of WAL, and 15 bits are left for the epoch: the sign is never set. The difference of two
-- positions is a whole number, so the cast to bigint is exact; the division is one of bigints, which cuts off.
create function leasehold_internal._fence() returns bigint
language plpgsql volatile
as $$
declare
  known record;
begin
  -- One row is all that is read as a rule.
  select e.epoch, e.source
    into known
    from leasehold.fence_epoch e
   where e.id and e.server_start = pg_postmaster_start_time()
     and (e.source = 'manual' or leasehold_internal._may_read_position());
  if not found then
    select v.epoch, v.source into known from leasehold_internal._verify_epoch() v;
  end if;
  if known.source = 'manual' then
    return (known.epoch << 48) + nextval('leasehold.fences');
  end if;
  return (known.epoch << 48) + (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
end
$$;
--> statement-breakpoint
-- The fence of a new row is drawn just before there is a row to lock. A process that stands still in between must not wake up with it
-- after the key was granted by another, released, and purged: for that it takes a minute at least, see leasehold.sweep.
create function leasehold_internal._refuse_stale_insert(since timestamptz) returns void
language plpgsql volatile
as $$
begin
  if clock_timestamp() > since + interval '30 seconds' then
    raise exception using errcode = 'serialization_failure',
      message = 'this server process stood still for so long that what it was about to grant may have been another''s since',
      hint = 'Ask again.';
  end if;
end
$$;
--> statement-breakpoint
-- Seen from this very connection: a session in another database, an old one or a forged one is not alive.
create function leasehold_internal._is_alive(session integer, session_nonce uuid) returns boolean
language plpgsql volatile
as $$
begin
  if not exists (select from leasehold.sessions s where s.id = session and s.nonce = session_nonce) then
    return false;
  end if;
  -- A backend is always given the lock that it has itself. A setting would not tell: on a pooled connection the next one inherits it.
  return not pg_try_advisory_xact_lock_shared(1279480140, session)
      or leasehold_internal._holds_presence(session);
end
$$;
--> statement-breakpoint
-- Confirmed dead. The order matters: with the presence lock in hand (to the end of the transaction) no heartbeat can be
-- written any more, so what the next statement reads is the last one. Read first, a late heartbeat slips in between.
create function leasehold_internal._is_dead(session integer, takeover integer) returns boolean
language plpgsql volatile
as $$
begin
  if session is null then
    return false;
  end if;
  if not pg_try_advisory_xact_lock_shared(1279480140, session) then
    return false;
  end if;
  -- A backend is always given the lock that it has itself.
  if leasehold_internal._holds_presence(session) then
    return false;
  end if;
  if takeover = 0 then
    return true;
  end if;
  return coalesce((
    select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' < clock_timestamp()
      from leasehold.sessions s
     where s.id = session
  ), false);
end
$$;
--> statement-breakpoint
-- Whose presence a lease has after a renewal in the name of p_session. It changes hands only when its session cannot come back: that is
-- the caller's own former one, or a connection that was attached in SQL and has ended. A session that is confirmed dead may be a
-- process that was cut off for long and comes back under its number; then the lease goes on by its TTL alone. A helper that renews a
-- lease would otherwise take its presence along, and its end would free the key while the holder, whose heartbeats go on, believes (4.9 s).
create function leasehold_internal._successor(lease leasehold.leases, p_session integer, p_former integer[]) returns integer
language plpgsql volatile
as $$
begin
  if lease.session_id = p_session or lease.session_id = any (p_former) then
    return p_session;
  elsif lease.session_id is null then
    return null;
  elsif pg_try_advisory_xact_lock_shared(1279480140, lease.session_id)
    and not leasehold_internal._holds_presence(lease.session_id)
    and exists (select from leasehold.sessions s where s.id = lease.session_id and s.version = 'sql') then
    return p_session;
  elsif leasehold_internal._is_dead(lease.session_id, lease.takeover_ms) then
    return null;
  end if;
  return lease.session_id;
end
$$;
--> statement-breakpoint
-- The advisory lock of those who insert a key. 64 bits, and a seed of our own: applications lock such hashes, too. With the 32 bits of
-- the two-number form, one uncommitted key in 77,000 others held up a stranger by even odds. Keys that share all 64 wait for each other
-- until the transaction ends, as if they were one; they are never taken for one.
create function leasehold_internal._key_lock(key text) returns bigint
language sql immutable parallel safe
return hashtextextended(key collate "C", 1279480141);
--> statement-breakpoint
-- The one predicate. Decides only on a row that the caller has locked; on an unlocked one it is a hint.
create function leasehold_internal._is_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if lease.token is null then
    return lease.hold_until is null or lease.hold_until <= clock_timestamp();
  end if;
  return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);
end
$$;
--> statement-breakpoint
-- The token at the head of a key's line: the earliest ticket whose process still looks.
create function leasehold_internal._head(waited_key text) returns uuid
language plpgsql volatile
as $$
begin
  return (
    select w.token
      from leasehold.waiters w
     where w.key = waited_key and w.alive_until > clock_timestamp()
     order by w.ticket
     limit 1);
end
$$;
--> statement-breakpoint
-- Whether this token stands first, or nobody does.
create function leasehold_internal._is_next(lease leasehold.leases, asking uuid) returns boolean
language plpgsql volatile
as $$
declare
  head uuid;
begin
  if not lease.queued then
    return true;
  end if;
  head := leasehold_internal._head(lease.key);
  return head is null or head = asking;
end
$$;
--> statement-breakpoint
-- Takes this token out of the line, and those before it, who no longer look: only an empty line may lose its flag, and a lapsed entry that
-- its owner could bring back must not be one that the fast path overlooks. Called under the lease row's lock. Whoever is granted stands
-- first, so those are passed by anyway; in parts, for thousands may have died at once. Those behind have their turn when they are first.
create function leasehold_internal._leave_line(line text, leaving uuid) returns void
language plpgsql volatile
as $$
declare
  place bigint := (select w.ticket from leasehold.waiters w where w.key = line and w.token = leaving);
begin
  delete from leasehold.waiters w
   where w.ctid = (select d.ctid from leasehold.waiters d where d.key = line and d.token = leaving for update skip locked);
  delete from leasehold.waiters w
   where w.ctid = any (array(
     select d.ctid
       from leasehold.waiters d
      where d.key = line and d.ticket < coalesce(place, 9223372036854775807) and d.alive_until <= clock_timestamp()
      order by d.ticket
      limit 1000
        for update skip locked));
end
$$;
--> statement-breakpoint
-- What shows that the server gave this place to this token. Its owner comes back to it when the line is lost (it is unlogged), and
-- nobody to a place that was never his: a ticket alone would be a place that anybody can choose.
create function leasehold_internal._proof(secret bytea, key text, token uuid, ticket bigint) returns bigint
language sql stable
return ('x' || encode(substr(sha256(secret || sha256(convert_to(format('%s %s %s', token, ticket, key), getdatabaseencoding()))), 1, 8), 'hex')
  )::bit(64)::bigint;
--> statement-breakpoint
create function leasehold_internal._secret() returns bytea
language plpgsql stable
as $$
begin
  return (select s.secret from leasehold_internal.ticket_secret s where s.id);
end
$$;
--> statement-breakpoint
-- When a waiter should look again by itself: at the expiry, at the end of a minimum hold, or when a silent session counts as dead.
create function leasehold_internal._next_change(lease leasehold.leases) returns float8
language plpgsql volatile
as $$
begin
  if lease.token is null then
    return leasehold_internal._ms(lease.hold_until);
  end if;
  -- Once a session is silent for longer than that and yet not dead (a frozen process), the expiry is next.
  return leasehold_internal._ms(least(lease.expires_at, (
    select quiet.until
      from leasehold.sessions s
     cross join lateral (select greatest(s.seen_at, pg_postmaster_start_time()) + lease.takeover_ms * interval '1 millisecond' as until) quiet
     where s.id = lease.session_id and quiet.until > clock_timestamp())));
end
$$;
--> statement-breakpoint
-- A free row for a key that has none, each in a subtransaction: a twin that somebody keeps uncommitted costs 5 ms, not the batch.
create function leasehold_internal._create(new_key text) returns void
language plpgsql volatile
set lock_timeout = '5ms'
as $$
begin
  if not exists (select from leasehold.leases l where l.key = new_key) then
    insert into leasehold.leases (key, fence, ttl_ms, released_at) values (new_key, 0, 0, clock_timestamp()) on conflict do nothing;
  end if;
exception when lock_not_available then
  null;
end
$$;
--> statement-breakpoint
-- Who keeps the rows of these keys locked, or keeps a first grant uncommitted, where it can be known: a server process, or a prepared transaction, which has none any more.
-- For more than a few keys it reads the table as a whole, and tells of others, too. One plan for all calls: to plan takes longer
-- than a look at one key (0.6 ms became 0.2).
create function leasehold_internal._blockers(keys text[])
returns table (key text, pid integer, gid text)
language plpgsql stable security definer rows 1
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  suspects text[];
  others integer;
  missing text[];
  next_xid numeric := pg_snapshot_xmax(pg_current_snapshot())::text;
  oldest_xid numeric := pg_snapshot_xmin(pg_current_snapshot())::text;
begin
  -- Whoever has locked a row has locked the table, too. On a standby nobody has.
  select array_agg(k.virtualtransaction), count(*) filter (where k.pid is distinct from pg_backend_pid())
    into suspects, others
    from (
      select distinct k.virtualtransaction, k.pid
        from pg_locks k
       where k.locktype = 'relation' and k.relation = 'leasehold.leases'::regclass and k.mode in ('RowShareLock', 'RowExclusiveLock')
         and k.granted and k.database = (select d.oid from pg_database d where d.datname = current_database())) k;
  if suspects is null then
    return;
  end if;
  missing := array(select u.key from unnest(keys) u (key) where not exists (select from leasehold.leases l where l.key = u.key));
  return query
    with open as materialized (
      select k.transactionid as xid, k.virtualtransaction, k.pid
        from pg_locks k
       where k.locktype = 'transactionid' and k.granted and k.virtualtransaction = any (suspects)
    ),
    -- xmax is a transaction, or a multixact of several (guards), finished ones among them, and nothing tells which. What is a
    -- running transaction is taken for one, else for a multixact if the table can have one of that number.
    marked as materialized (
      select l.key, l.xmax as xid
        from unnest(keys) k (key) join leasehold.leases l on l.key = k.key
       where cardinality(keys) <= 100 and l.xmax <> '0'::xid
      union all
      select l.key, l.xmax from leasehold.leases l where cardinality(keys) > 100 and l.xmax <> '0'::xid
    ),
    lockers as materialized (
      select m.key, m.xid from marked m
      union all
      select m.key, member.xid
        from marked m
       cross join lateral pg_get_multixact_members(
         case
           when not exists (select from open o where o.xid = m.xid)
            and mxid_age(m.xid) between 1 and mxid_age((select c.relminmxid from pg_class c where c.oid = 'leasehold.leases'::regclass))
             then m.xid
         end) member
    ),
    holders as (
      select l.key, o.virtualtransaction from lockers l join open o on o.xid = l.xid
      union
      -- A subtransaction that was released has no lock of its own any more, and nothing leads from it to its transaction. But
      -- where only one other has locked rows, that is it.
      select l.key, o.virtualtransaction
        from lockers l
       cross join lateral (select next_xid - mod(next_xid - l.xid::text::numeric + 4294967296, 4294967296) as full_xid) x
       cross join open o
       where others = 1 and o.pid is distinct from pg_backend_pid() and not exists (select from open known where known.xid = l.xid)
         and x.full_xid >= oldest_xid and pg_xact_status(x.full_xid::text::xid8) = 'in progress'
      union
      -- A key that nobody sees yet: whoever inserts it holds its advisory lock until the transaction ends.
      select m.key, k.virtualtransaction
        from unnest(missing) m (key)
        join pg_locks k on k.objid = (leasehold_internal._key_lock(m.key) & 4294967295)::oid
                       and k.classid = (leasehold_internal._key_lock(m.key) >> 32 & 4294967295)::oid
       where k.locktype = 'advisory' and k.objsubid = 1 and k.mode = 'ExclusiveLock' and k.granted
         and k.database = (select d.oid from pg_database d where d.datname = current_database())
    )
    select distinct on (h.key) h.key, o.pid, p.gid
      from holders h
      join open o on o.virtualtransaction = h.virtualtransaction
      left join pg_prepared_xacts p on o.pid is null and p.transaction = o.xid
     where o.pid is not null or p.gid is not null
     order by h.key, o.pid;
end
$$;
--> statement-breakpoint
-- What this transaction grants or renews is on the disk, and on a synchronous standby, before it is answered. That the wait
-- for the standby was cancelled, a warning alone tells.
create function leasehold_internal._commit_durably() returns void
language plpgsql volatile
as $$
begin
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if current_setting('client_min_messages') = 'error' then
    perform set_config('client_min_messages', 'warning', true);
  end if;
end
$$;
--> statement-breakpoint
-- What one item may ask for. The client checks the same before it asks: this is for whoever calls the function without it. The exponent of
-- a number in JSON is written out by Postgres: 65,536 bytes of 1e131071 would be a gigabyte for whoever reads them. So would a lease that
-- may be held into the year 287,000, or metadata of 5,000 levels, end every program that lists leases: a Date has no such year, and
-- JSON.stringify no such stack.
create function leasehold_internal._is_item(owner text, ttl_ms integer, min_hold_ms integer, max_hold_ms bigint, metadata text) returns boolean
language sql immutable parallel safe
return coalesce(octet_length(owner) between 1 and 256 and ttl_ms >= 1 and min_hold_ms >= 0, false)
   and coalesce(max_hold_ms between 1 and 2147483647, true)
   and coalesce(octet_length(metadata) <= 65536 and (metadata !~ '[0-9][eE]' or octet_length(metadata::jsonb::text) <= 4194304), true)
   and coalesce(octet_length(metadata) - octet_length(translate(metadata, '[{', '')) <= 100
                or not jsonb_path_exists(metadata::jsonb, 'strict $.**{101 to last}'), true);
--> statement-breakpoint
-- One statement of a client has 1,000 items at most: what is longer keeps its rows from others for too long.
create function leasehold_internal._check_count(items integer) returns void
language plpgsql immutable
as $$
begin
  if items > 1000 then
    raise exception using errcode = 'LH003', message = format('one call takes 1000 items at most, not %s', items), hint = 'Send them in parts.';
  end if;
end
$$;
--> statement-breakpoint
-- The place of a token in a line. In the order of an index, which leaves no other way to find it, whatever the statistics say.
create function leasehold_internal._place(line text, standing uuid) returns bigint
language plpgsql volatile
as $$
begin
  return (
    select w.ticket from leasehold.waiters w where w.key = line and w.token >= standing and w.token <= standing order by w.token limit 1);
end
$$;
--> statement-breakpoint
-- Places for many who wait for one key, behind somebody who stands first: what acquire does for each of them, in four statements. One
-- by one, 10,000 took longer than a request may.
create function leasehold_internal._stand(
  p_key text, p_session integer, p_items integer[], p_tokens uuid[], p_owners text[], p_not_after float8[], p_tickets bigint[], p_proofs bigint[]
) returns table (
  item integer, outcome text, expires float8, ticket bigint, proof bigint, holder text, holderfence bigint, holdersession integer, look float8,
  blocker integer)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  secret bytea := leasehold_internal._secret();
begin
  with place as materialized (
    select a.version
      from unnest(p_tokens, p_not_after) u (token, not_after)
      join lateral (
        select k.token, k.ctid as version from leasehold.waiters k
         where k.key = p_key and k.token >= u.token and k.token <= u.token and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
           and leasehold_internal._ms(clock_timestamp()) < u.not_after
         order by k.token
         limit 1
           for update skip locked) a on a.token = u.token
  )
  update leasehold.waiters w
     set alive_until = clock_timestamp() + interval '3 seconds'
    from place p
   where w.ctid = p.version;
  if exists (select from unnest(p_tokens) u (token) where leasehold_internal._place(p_key, u.token) is null) then
    perform from leasehold.leases l where l.key = p_key for no key update skip locked;
    if found then
      insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
      select p_key,
             case
               when u.ticket is not null and u.proof = leasehold_internal._proof(secret, p_key, u.token, u.ticket)
                and not exists (select from leasehold.waiters o where o.key = p_key and o.ticket = u.ticket and o.token <> u.token)
               then u.ticket
               else ((select leasehold_internal._epoch()) << 40) + nextval('leasehold.tickets')
             end,
             u.token, p_session, u.owner, clock_timestamp(), clock_timestamp() + interval '3 seconds'
        from unnest(p_tokens, p_owners, p_not_after, p_tickets, p_proofs) u (token, owner, not_after, ticket, proof)
       where leasehold_internal._ms(clock_timestamp()) < u.not_after
         and leasehold_internal._place(p_key, u.token) is null
      on conflict do nothing;
      update leasehold.leases l set queued = true where l.key = p_key and not l.queued;
    else
      blocker := (select b.pid from leasehold_internal._blockers(array[p_key]) b);
    end if;
  end if;

  select l.* into lease from leasehold.leases l where l.key = p_key;
  if lease.token is not null then
    expires := leasehold_internal._ms(lease.expires_at);
  elsif lease.hold_until > clock_timestamp() then
    expires := leasehold_internal._ms(lease.hold_until);
  end if;
  if expires is not null then
    holder := lease.owner;
    holderfence := lease.fence;
    holdersession := lease.session_id;
  end if;
  look := leasehold_internal._next_change(lease);
  return query
    select u.item,
           case
             when w.ticket is not null then 'queued'
             when leasehold_internal._ms(clock_timestamp()) >= u.not_after then 'late'
             else 'busy'
           end,
           expires, w.ticket, case when w.ticket = u.ticket then u.proof else leasehold_internal._proof(secret, p_key, u.token, w.ticket) end,
           holder, holderfence, holdersession, look, case when w.ticket is null then blocker end
      from unnest(p_items, p_tokens, p_not_after, p_tickets, p_proofs) u (item, token, not_after, ticket, proof)
     cross join lateral (select leasehold_internal._place(p_key, u.token) as ticket) w;
end
$$;
--> statement-breakpoint
-- acquire, and the look of one who waits. Reads before it writes: a try that fails leaves no trace in the WAL.
create function leasehold_internal.acquire(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_keys text[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[] default null,
  p_former integer[] default null
) returns table (
  item integer,
  outcome text,
  fence bigint,
  acquired float8,
  expires float8,
  ticket bigint,
  holder text,
  holderfence bigint,
  holdersession integer,
  look float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  asked record;
  won record;
  lease leasehold.leases;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
  is_locked boolean;
  has_grant boolean := false;
  at timestamptz;
  began timestamptz;
  secret bytea;
  head uuid;
  items integer[]; -- who waits for the key of the last item, behind the head of its line
  tokens uuid[];
  owners text[];
  not_afters float8[];
  tickets bigint[];
  proofs bigint[];
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  if exists (
    select from unnest(p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_tokens) u (owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, token)
     where u.token is null or not leasehold_internal._is_item(u.owner, u.ttl_ms, u.min_hold_ms, u.max_hold_ms, u.metadata))
    or p_takeover_ms < 0 then
    raise exception using errcode = '22023', message = 'a token, an owner, a duration or metadata is not within its bounds',
      detail = 'Owner: 1 to 256 bytes. TTL and maximum hold: 1 ms to 2147483647 ms. Minimum hold: 0 or more. Metadata: 65536 bytes of JSON and 100 levels at most.';
  end if;

  if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then
    return query
      select i, 'unproven', null::bigint, null::float8, null::float8, null::bigint, null::text, null::bigint, null::integer, null::float8, null::integer,
             null::text, null::float8, leasehold_internal._ms(clock_timestamp()), null::bigint
        from generate_series(1, cardinality(p_keys)) i;
    return;
  end if;

  -- Free keys without a line, and keys that were never seen: one statement for all of them. For a single key it would cost
  -- more than the steps below.
  --
  -- Here, in release and in renew each key is looked up by itself, and its row taken by its place, whatever the statistics say: joined in
  -- the order of the keys, a release of 128 read all of 50,000 leases for each (0.9 s instead of 3 ms). That l.key = w.key once more lets
  -- the planner expect a single row. A version that has come since the statement began is locked, and not seen by the update: that item
  -- goes the way of those that are busy.
  if cardinality(p_keys) > 1 then
    began := clock_timestamp();
    for won in
      with want as materialized (
        select distinct on (u.key) u.*
          from unnest(p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_not_after) with ordinality
            as u (key, token, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, not_after, item)
         order by u.key, u.item
      ),
      locked as materialized (
        select w.*, l.version
          from want w
          join lateral (
            select k.key, k.ctid as version from leasehold.leases k
             where k.key >= w.key and k.key <= w.key
               and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())
             order by k.key desc
             limit 1
               for update skip locked) l on l.key = w.key
      ),
      missing as materialized (
        select w.*, row_number() over (order by w.key) as place
          from want w
         where not p_careful
           and (select l.key from leasehold.leases l where l.key >= w.key and l.key <= w.key order by l.key desc limit 1) is null
      ),
      granted as (
        update leasehold.leases l
           set token = x.token,
               fence = greatest(l.fence + 1, leasehold_internal._fence()),
               owner = x.owner,
               session_id = p_session,
               ttl_ms = x.ttl_ms,
               takeover_ms = p_takeover_ms,
               min_hold_ms = x.min_hold_ms,
               max_hold_until = x.at + x.max_hold_ms * interval '1 millisecond',
               acquired_at = x.at,
               renewed_at = x.at,
               expires_at = x.at + least(x.ttl_ms, x.max_hold_ms) * interval '1 millisecond',
               hold_until = null,
               revoked_at = null,
               metadata = x.metadata::jsonb,
               released_at = null,
               acquisitions = l.acquisitions + 1
          from (select k.*, clock_timestamp() as at from locked k) x
         where l.ctid = x.version and leasehold_internal._ms(x.at) < x.not_after
        returning x.item, l.fence, l.acquired_at, l.expires_at
      ),
      -- A twin that another transaction has inserted and not yet committed would be waited for: whoever inserts holds this lock
      -- until then. At most 100 of them, for all advisory locks of a server share one small table.
      inserted as (
        insert into leasehold.leases (
          key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
          acquired_at, renewed_at, expires_at, metadata, acquisitions)
        select x.key, x.token, leasehold_internal._fence(), x.owner, p_session, x.ttl_ms, p_takeover_ms, x.min_hold_ms,
               x.at + x.max_hold_ms * interval '1 millisecond',
               x.at, x.at, x.at + least(x.ttl_ms, x.max_hold_ms) * interval '1 millisecond', x.metadata::jsonb, 1
          from (
            select m.*, clock_timestamp() as at
              from missing m
             where m.place > 100 or pg_try_advisory_xact_lock(leasehold_internal._key_lock(m.key))
             order by m.key
          ) x
         where leasehold_internal._ms(x.at) < x.not_after
        on conflict do nothing
        returning token, fence, acquired_at, expires_at
      )
      select g.item, g.fence, g.acquired_at, g.expires_at from granted g
      union all
      select w.item, i.fence, i.acquired_at, i.expires_at from inserted i join want w on w.token = i.token
    loop
      item := won.item;
      outcome := 'granted';
      fence := won.fence;
      acquired := leasehold_internal._ms(won.acquired_at);
      expires := leasehold_internal._ms(won.expires_at);
      now := leasehold_internal._ms(clock_timestamp());
      is_done[item] := true;
      has_grant := true;
      return next;
    end loop;
    if has_grant then
      perform leasehold_internal._refuse_stale_insert(began);
    end if;
  end if;

  -- The rest one by one, in key order: held, expired, orphaned, cooling, waited for, or asked for twice.
  if not (true = all (is_done)) then
    for asked in
      select u.*, lead(u.key) over (order by u.key, u.item) is not distinct from u.key as has_next
        from unnest(p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_not_after, p_waits, p_tickets, p_proofs) with ordinality
          as u (key, token, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, not_after, waits, ticket, proof, item)
       order by u.key, u.item
    loop
      -- Behind somebody who was told his place just now: with all the others of this key, at its end.
      if head is not null and asked.waits and asked.token <> head and asked.token is distinct from lease.token and not is_done[asked.item] then
        items := items || asked.item::integer;
        tokens := tokens || asked.token;
        owners := owners || asked.owner;
        not_afters := not_afters || asked.not_after;
        tickets := tickets || asked.ticket;
        proofs := proofs || asked.proof;
        is_done[asked.item] := true;
      end if;
      if items is not null and not asked.has_next then
        return query
          select s.item, s.outcome, null::bigint, null::float8, s.expires, s.ticket, s.holder, s.holderfence, s.holdersession, s.look, s.blocker,
                 null::text, null::float8, leasehold_internal._ms(clock_timestamp()), s.proof
            from leasehold_internal._stand(asked.key, p_session, items, tokens, owners, not_afters, tickets, proofs) s;
        items := null; tokens := null; owners := null; not_afters := null; tickets := null; proofs := null;
      end if;
      if is_done[asked.item] then
        head := case when asked.has_next then head end;
        continue;
      end if;
      item := asked.item;
      outcome := null; fence := null; acquired := null; expires := null; ticket := null;
      holder := null; holderfence := null; holdersession := null; look := null; blocker := null;
      takeover := null; since := null; proof := null;
      is_locked := false;

      if p_careful then
        perform leasehold_internal._create(asked.key);
      end if;
      lease := null;
      -- From the newest version of the row, here and below: a transaction that is open somewhere keeps the old ones, an entry in the index
      -- for some twenty of them, and to go through 30,000 took 1.7 ms instead of 0.04. So a range, for which alone "desc" means anything.
      select l.* into lease from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;

      if leasehold_internal._ms(clock_timestamp()) >= asked.not_after then
        outcome := 'late';
      elsif lease.key is null then
        -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
        outcome := 'busy';
        if not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(asked.key)) then
          at := clock_timestamp();
          insert into leasehold.leases as l (
            key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
            acquired_at, renewed_at, expires_at, metadata, acquisitions)
          values (
            asked.key, asked.token, leasehold_internal._fence(), asked.owner, p_session,
            asked.ttl_ms, p_takeover_ms, asked.min_hold_ms, at + asked.max_hold_ms * interval '1 millisecond',
            at, at, at + least(asked.ttl_ms, asked.max_hold_ms) * interval '1 millisecond', asked.metadata::jsonb, 1)
          on conflict do nothing
          returning l.* into lease;
          if found then
            outcome := 'granted';
            perform leasehold_internal._refuse_stale_insert(at);
          end if;
        end if;
      elsif lease.token = asked.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
        -- The same grant, asked for again: written once, so that this commit too waits until it is durable. Once it was taken away
        -- by force it is nobody's to be granted, and this token waits for its end like the others.
        update leasehold.leases l
           set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
               takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
         where l.key = (select k.key from leasehold.leases k where k.key = asked.key and k.token = asked.token for no key update skip locked)
           and l.expires_at > clock_timestamp() and l.revoked_at is null
        returning l.* into lease;
        outcome := case when found then 'granted' else 'busy' end;
        if outcome = 'granted' then
          delete from leasehold.waiters w where w.key = asked.key and w.token = asked.token;
        end if;
      else
        outcome := 'held';
        -- Without the lock this is a hint: who cannot be next leaves the row alone, so that looks never make the head find it busy.
        if leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then
          select l.* into lease
            from leasehold.leases l
           where l.key >= asked.key and l.key <= asked.key
           order by l.key desc
           limit 1
             for update skip locked;
          is_locked := found;
          if not is_locked then
            outcome := 'busy';
            select l.* into lease from leasehold.leases l where l.key = asked.key;
          -- With the lock it is a decision, each part in a statement that begins after the lock.
          elsif leasehold_internal._ms(clock_timestamp()) >= asked.not_after then
            outcome := 'late';
          elsif leasehold_internal._is_next(lease, asked.token) and leasehold_internal._is_grantable(lease) then
            outcome := 'granted';
            if lease.queued then
              perform leasehold_internal._leave_line(asked.key, asked.token);
            end if;
            if lease.token is not null then
              holder := lease.owner;
              holderfence := lease.fence;
              holdersession := lease.session_id;
              takeover := case when lease.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
              since := leasehold_internal._ms(case takeover
                when 'expired' then lease.expires_at
                else (select s.seen_at from leasehold.sessions s where s.id = lease.session_id)
              end);
            end if;
            at := clock_timestamp();
            update leasehold.leases l
               set token = asked.token,
                   fence = greatest(l.fence + 1, leasehold_internal._fence()),
                   owner = asked.owner,
                   session_id = p_session,
                   ttl_ms = asked.ttl_ms,
                   takeover_ms = p_takeover_ms,
                   min_hold_ms = asked.min_hold_ms,
                   max_hold_until = at + asked.max_hold_ms * interval '1 millisecond',
                   acquired_at = at,
                   renewed_at = at,
                   expires_at = at + least(asked.ttl_ms, asked.max_hold_ms) * interval '1 millisecond',
                   hold_until = null,
                   revoked_at = null,
                   queued = l.queued and exists (select from leasehold.waiters w where w.key = asked.key),
                   metadata = asked.metadata::jsonb,
                   released_at = null,
                   acquisitions = l.acquisitions + 1
             where l.ctid = (
               select k.ctid from leasehold.leases k where k.key >= asked.key and k.key <= asked.key order by k.key desc limit 1)
            returning l.* into lease;
          end if;
        end if;

        if asked.waits and outcome in ('held', 'busy') then
          secret := coalesce(secret, leasehold_internal._secret());
          -- A look that finds its place writes no more often than the place needs.
          update leasehold.waiters w
             set alive_until = clock_timestamp() + interval '3 seconds'
           where w.ctid = (
             select a.ctid
               from leasehold.waiters a
              where a.key = asked.key and a.token = asked.token and a.alive_until < clock_timestamp() + interval '2500 milliseconds'
                for update skip locked);
          ticket := (select w.ticket from leasehold.waiters w where w.key = asked.key and w.token = asked.token);
          if ticket is null then
            -- This lock passes a guard's key share, and orders the line.
            perform from leasehold.leases l where l.key = asked.key for no key update skip locked;
            if found then
              insert into leasehold.waiters as w (key, ticket, token, session_id, owner, enqueued_at, alive_until)
              values (asked.key,
                      -- The old place, unless a crash forgot that it was given away and gave it to another.
                      case
                        when asked.proof = leasehold_internal._proof(secret, asked.key, asked.token, asked.ticket)
                         and not exists (select from leasehold.waiters o where o.key = asked.key and o.ticket = asked.ticket and o.token <> asked.token)
                        then asked.ticket
                        else (leasehold_internal._epoch() << 40) + nextval('leasehold.tickets')
                      end,
                      asked.token, p_session, asked.owner, clock_timestamp(), clock_timestamp() + interval '3 seconds')
              on conflict (key, token) do update set alive_until = excluded.alive_until
              returning w.ticket into ticket;
              update leasehold.leases l set queued = true where l.key = asked.key and not l.queued;
              select l.* into lease from leasehold.leases l where l.key = asked.key;
              -- Freed since the hint was read: nobody was told to wake us, so we look again at once.
              if outcome = 'held' and leasehold_internal._is_grantable(lease) then
                look := 0;
              end if;
            else
              outcome := 'busy';
            end if;
          end if;
          if ticket is not null then
            proof := case when ticket = asked.ticket then asked.proof else leasehold_internal._proof(secret, asked.key, asked.token, ticket) end;
          end if;
          if outcome = 'held' then
            outcome := 'queued';
            look := coalesce(look, leasehold_internal._next_change(lease));
          end if;
        end if;
      end if;

      head := case when asked.has_next and outcome = 'queued' then leasehold_internal._head(asked.key) when asked.has_next then head end;
      now := leasehold_internal._ms(clock_timestamp());
      if outcome = 'granted' then
        fence := lease.fence;
        acquired := leasehold_internal._ms(lease.acquired_at);
        expires := leasehold_internal._ms(lease.expires_at);
        has_grant := true;
      else
        if lease.token is not null then
          expires := leasehold_internal._ms(lease.expires_at);
        elsif lease.hold_until > clock_timestamp() then
          expires := leasehold_internal._ms(lease.hold_until);
        end if;
        if expires is not null then
          holder := lease.owner;
          holderfence := lease.fence;
          holdersession := lease.session_id;
        end if;
        -- A try has nobody to tell it to.
        if outcome = 'busy' and asked.waits then
          blocker := (select b.pid from leasehold_internal._blockers(array[asked.key]) b);
        end if;
      end if;
      return next;
    end loop;
  end if;

  -- Asynchronous commit lost an acknowledged fence in a crash. A place in the line does not survive one anyway, and whoever holds
  -- or is next must not find the row locked while it is written to the disk.
  if has_grant then
    perform leasehold_internal._commit_durably();
  else
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
--> statement-breakpoint
-- release frees at once, also an expired lease of this token. A null fence matches any: the last word of an acquire (abandon).
-- What was held keeps its key ungrantable until its minimum hold is over; a grant that nobody heard of does not.
create function leasehold_internal._free(p_keys text[], p_tokens uuid[], p_fences bigint[], p_held boolean[])
returns table (item integer, outcome text, wake integer, reason text, now float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  freed record;
  asked record;
  lease leasehold.leases;
  at timestamptz;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
begin
  if cardinality(p_keys) = 1 then
    -- The same two steps as below, without the machinery of a batch: half the time.
    select l.* into lease from leasehold.leases l
     where l.key >= p_keys[1] and l.key <= p_keys[1] and l.token = p_tokens[1] and (p_fences[1] is null or l.fence = p_fences[1])
     order by l.key desc
     limit 1
       for no key update skip locked;
    if found then
      at := clock_timestamp();
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = at,
             hold_until = case when p_held[1] and l.expires_at > at and l.min_hold_ms > 0
               then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end
       where l.ctid = (
         select k.ctid from leasehold.leases k where k.key >= p_keys[1] and k.key <= p_keys[1] order by k.key desc limit 1)
      returning l.* into lease;
      item := 1;
      outcome := case when lease.expires_at <= at then 'expired' else 'released' end;
      reason := case
        when lease.expires_at > at then null
        when lease.revoked_at is not null then 'forced'
        when lease.max_hold_until <= at then 'max-hold'
        else 'expired'
      end;
      wake := case when lease.queued then leasehold_internal._head_session(lease.key) end;
      now := leasehold_internal._ms(at);
      return next;
      return;
    end if;
  else
    for freed in
      with want as materialized (
        select u.* from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as u (key, token, fence, held, item)
      ),
      locked as materialized (
        select w.item, w.held, l.version
          from want w
          join lateral (
            select k.key, k.ctid as version from leasehold.leases k
             where k.key >= w.key and k.key <= w.key and k.token = w.token and (w.fence is null or k.fence = w.fence)
             order by k.key desc
             limit 1
               for no key update skip locked) l on l.key = w.key
      )
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = x.at,
             hold_until = case when x.held and l.expires_at > x.at and l.min_hold_ms > 0
               then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end
        from (select k.*, clock_timestamp() as at from locked k) x
       where l.ctid = x.version
      returning x.item, l.key, l.queued,
        case
          when l.expires_at > x.at then null
          when l.revoked_at is not null then 'forced'
          when l.max_hold_until <= x.at then 'max-hold'
          else 'expired'
        end as loss
    loop
      item := freed.item;
      outcome := case when freed.loss is null then 'released' else 'expired' end;
      reason := freed.loss;
      wake := case when freed.queued then leasehold_internal._head_session(freed.key) end;
      now := leasehold_internal._ms(clock_timestamp());
      is_done[item] := true;
      return next;
    end loop;
  end if;

  if not (true = all (is_done)) then
    for asked in
      select u.* from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
    loop
      continue when is_done[asked.item];
      lease := null;
      select l.* into lease from leasehold.leases l where l.key = asked.key;
      item := asked.item;
      wake := null;
      reason := leasehold_internal._loss(lease, asked.token, asked.fence);
      -- Still there, so its row is locked. Also one that was revoked or has expired: a renewal may be on its way to its commit.
      outcome := case when reason is null or lease.token = asked.token and reason <> 'taken' then 'busy' else 'gone' end;
      now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
end
$$;
--> statement-breakpoint
-- Why a lease is not this token's any more, or null when it still is.
create function leasehold_internal._loss(lease leasehold.leases, holding uuid, held_fence bigint) returns text
language plpgsql volatile
as $$
begin
  return case
    when lease.token = holding and (held_fence is null or lease.fence = held_fence) then
      case
        when lease.revoked_at is not null then 'forced'
        when lease.expires_at > clock_timestamp() then null
        when lease.max_hold_until <= clock_timestamp() then 'max-hold'
        else 'expired'
      end
    when lease.key is null then 'taken' -- no such row: a failover has lost the grant
    when lease.token is null and lease.fence = held_fence and lease.revoked_at is not null then 'forced'
    when lease.token is null and coalesce(lease.fence = held_fence, true) then 'expired'
    else 'taken'
  end;
end
$$;
--> statement-breakpoint
-- The session to wake: that of the first live entry.
create function leasehold_internal._head_session(waited_key text) returns integer
language plpgsql volatile
as $$
begin
  return (
    select w.session_id
      from leasehold.waiters w
     where w.key = waited_key and w.alive_until > clock_timestamp()
     order by w.ticket
     limit 1);
end
$$;
--> statement-breakpoint
-- Those who wait behind another of their own process need no looks of their own: that one stands before them. This keeps their places
-- alive, as a look does, and answers which of them have none any more (a crash, a sweep) and must look. A client that is not seen alive, or
-- whose call comes late, changes nothing and is answered with 0: else a line would stand still behind one whose looks are refused.
create function leasehold_internal.stay(p_session integer, p_nonce uuid, p_not_after float8, p_keys text[], p_tokens uuid[])
returns table (item integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after
    or p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then
    item := 0;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  -- Place by place, as acquire looks up keys: a line is often counted while it is empty. Then 100 of 5,000 took 0.5 s instead of 0.01.
  with place as materialized (
    select a.version
      from unnest(p_keys, p_tokens) u (key, token)
      join lateral (
        select k.key, k.ctid as version from leasehold.waiters k
         where k.key = u.key and k.token >= u.token and k.token <= u.token and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
         order by k.token
         limit 1
           for update skip locked) a on a.key = u.key
  )
  update leasehold.waiters w
     set alive_until = clock_timestamp() + interval '3 seconds'
    from place p
   where w.ctid = p.version;
  return query
    select u.item::integer, leasehold_internal._ms(clock_timestamp())
      from unnest(p_keys, p_tokens) with ordinality u (key, token, item)
     where leasehold_internal._place(u.key, u.token) is null;
end
$$;
--> statement-breakpoint
create function leasehold_internal.release(p_relaxed boolean, p_keys text[], p_tokens uuid[], p_fences bigint[])
returns table (item integer, outcome text, wake integer, reason text, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  return query select * from leasehold_internal._free(p_keys, p_tokens, p_fences, array_fill(true, array[cardinality(p_keys)]));
  if p_relaxed then
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
--> statement-breakpoint
-- abandon ends an acquire by its token alone: its place in the line goes, and so does what was granted meanwhile.
-- p_doubted: an attempt of it had no answer. It may have passed its not_after check and be on its way to its commit (a slow disk,
-- a synchronous standby that is away); then it holds the row, or the right to insert it, and this is not its end yet.
create function leasehold_internal.abandon(p_relaxed boolean, p_keys text[], p_tokens uuid[], p_held boolean[], p_doubted boolean[])
returns table (item integer, outcome text, wake integer, reason text, now float8)
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
  freed record;
  lease leasehold.leases;
  has_left boolean := false;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  for freed in
    select f.*, lead(p_keys[f.item]) over (order by p_keys[f.item], f.item) is not distinct from p_keys[f.item] as has_next
      from leasehold_internal._free(p_keys, p_tokens, array_fill(null::bigint, array[cardinality(p_keys)]), p_held) f
     order by p_keys[f.item], f.item
  loop
    item := freed.item; outcome := freed.outcome; wake := freed.wake; reason := freed.reason; now := freed.now;
    if outcome = 'gone' and p_doubted[item] then
      -- An attempt may be on its way to its commit: then it has locked the row, or holds the lock of those who insert, or has
      -- inserted what this runs into.
      if not exists (select from leasehold.leases l where l.key = p_keys[item]) and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_keys[item])) then
        perform leasehold_internal._create(p_keys[item]);
      end if;
      lease := null;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item] for no key update skip locked;
      if lease.key is null or lease.token = p_tokens[item] and lease.expires_at > clock_timestamp() then
        outcome := 'busy';
        reason := null;
      end if;
    end if;
    delete from leasehold.waiters w
     where w.ctid = (
       select a.ctid from leasehold.waiters a where a.key = p_keys[item] and a.token = p_tokens[item] for update skip locked);
    if not found then
      if outcome = 'gone' and exists (select from leasehold.waiters a where a.key = p_keys[item] and a.token = p_tokens[item]) then
        outcome := 'busy';
        reason := null;
      end if;
    else
      has_left := true;
    end if;
    -- Whoever comes next may have been waiting for us alone. Asked once for each key: thousands may leave one line together.
    if has_left and not freed.has_next then
      has_left := false;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item];
      if leasehold_internal._is_grantable(lease) then
        wake := leasehold_internal._head_session(p_keys[item]);
      end if;
    end if;
    return next;
  end loop;
  if p_relaxed then
    perform set_config('synchronous_commit', 'off', true);
  end if;
end
$$;
--> statement-breakpoint
-- renew: strict (an expired lease is lost even when nobody took it), never creates, never steals, never shortens.
-- p_former: numbers that the caller's session had before.
create function leasehold_internal.renew(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
  p_ttls integer[],
  p_former integer[] default null
) returns table (item integer, outcome text, expires float8, reason text, now float8)
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
  won record;
  asked record;
  lease leasehold.leases;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_count(cardinality(p_keys));
  if p_session is not null and not leasehold_internal._is_alive(p_session, p_nonce) then
    return query
      select i, 'unproven', null::float8, null::text, leasehold_internal._ms(clock_timestamp())
        from generate_series(1, cardinality(p_keys)) i;
    return;
  end if;

  for won in
    with want as materialized (
      select u.* from unnest(p_keys, p_tokens, p_fences, p_ttls) with ordinality as u (key, token, fence, ttl_ms, item)
    ),
    locked as materialized (
      select w.item, w.ttl_ms, l.lease, l.version
        from want w
        join lateral (
          select k.key, k.ctid as version, k as lease from leasehold.leases k
           where k.key >= w.key and k.key <= w.key and k.token = w.token and k.fence = w.fence
           order by k.key desc
           limit 1
             for no key update skip locked) l on l.key = w.key
    )
    update leasehold.leases l
       set expires_at = case
             when x.ttl_ms is null then l.expires_at
             else greatest(l.expires_at, least(x.at + x.ttl_ms * interval '1 millisecond', l.max_hold_until))
           end,
           renewed_at = x.at,
           ttl_ms = coalesce(x.ttl_ms, l.ttl_ms),
           session_id = x.session_id,
           takeover_ms = case when x.session_id = p_session then p_takeover_ms when x.session_id is not null then l.takeover_ms end
      from (
        select k.*, clock_timestamp() as at,
               case when (k.lease).session_id = p_session then p_session else leasehold_internal._successor(k.lease, p_session, p_former) end as session_id
          from locked k
      ) x
     where l.ctid = x.version and l.expires_at > x.at and l.revoked_at is null
    returning x.item, l.expires_at
  loop
    item := won.item;
    outcome := 'renewed';
    expires := leasehold_internal._ms(won.expires_at);
    now := leasehold_internal._ms(clock_timestamp());
    is_done[item] := true;
    return next;
  end loop;

  if not (true = all (is_done)) then
    for asked in
      select u.* from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
    loop
      continue when is_done[asked.item];
      lease := null;
      select l.* into lease from leasehold.leases l where l.key = asked.key;
      item := asked.item;
      expires := null;
      reason := leasehold_internal._loss(lease, asked.token, asked.fence);
      outcome := case when reason is null then 'busy' else 'lost' end;
      now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
  perform leasehold_internal._commit_durably();
end
$$;
--> statement-breakpoint
-- One lease whose row was busy: this one waits for it, briefly. Under SKIP LOCKED alone 94 % of renewals starved.
create function leasehold_internal.renew_busy(
  p_session integer, p_nonce uuid, p_takeover_ms integer, p_key text, p_token uuid, p_fence bigint, p_ttl integer,
  p_former integer[] default null
) returns table (item integer, outcome text, expires float8, reason text, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set lock_timeout = '200ms'
as $$
begin
  perform leasehold_internal._check_transaction();
  perform from leasehold.leases l where l.key = p_key and l.token = p_token and l.fence = p_fence for no key update;
  return query
    select * from leasehold_internal.renew(
      p_session, p_nonce, p_takeover_ms, array[p_key], array[p_token], array[p_fence], array[p_ttl], p_former);
end
$$;
--> statement-breakpoint
-- A statement of its own after the release: notifying commits stand in one line over the whole server.
create function leasehold_internal.notify(p_sessions integer[]) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform set_config('synchronous_commit', 'off', true);
  perform leasehold_internal._check_count(cardinality(p_sessions));
  perform pg_notify('leasehold_' || s, '') from unnest(p_sessions) s;
end
$$;
--> statement-breakpoint
create function leasehold_internal._holds_presence(session integer) returns boolean
language sql volatile
begin atomic
  select exists (
    select from pg_locks k
     where k.locktype = 'advisory' and k.objsubid = 2 and k.mode = 'ExclusiveLock' and k.granted and k.pid = pg_backend_pid()
       and k.classid = 1279480140 and k.objid = session::oid
       and k.database = (select d.oid from pg_database d where d.datname = current_database()));
end;
--> statement-breakpoint
create function leasehold_internal.new_session_id() returns integer
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  select nextval('leasehold.session_ids')::integer;
end;
--> statement-breakpoint
-- The row of a session that this connection holds the presence lock of. What a client tells of itself is bounded, as are the sessions of
-- one connection: it needs one, but on a pooled connection others may have left theirs.
create function leasehold_internal._register(p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text) returns void
language plpgsql volatile
as $$
begin
  if (octet_length(p_owner) between 1 and 256) is not true then
    raise exception using errcode = '22023', message = format('an owner has 1 to 256 bytes, this one has %s', coalesce(octet_length(p_owner), 0));
  end if;
  if (select count(*) > 100
        from pg_locks k
       where k.locktype = 'advisory' and k.objsubid = 2 and k.mode = 'ExclusiveLock' and k.granted and k.pid = pg_backend_pid()
         and k.classid = 1279480140) then
    raise exception using errcode = 'LH003', message = 'this connection has 100 sessions already',
      detail = 'Each call of attach() without a number begins another one.',
      hint = 'End those that nobody needs: select leasehold.detach(<number>); or all of them: select pg_advisory_unlock_all();';
  end if;
  insert into leasehold.sessions as s (id, nonce, owner, pid, host, client_address, application_name, version, started_at, seen_at)
  values (p_id, p_nonce, p_owner, pg_backend_pid(), left(p_host, 255), inet_client_addr(), current_setting('application_name'), left(p_version, 64),
          clock_timestamp(), clock_timestamp())
  on conflict (id) do update
    set nonce = excluded.nonce, owner = excluded.owner, pid = excluded.pid, host = excluded.host, client_address = excluded.client_address,
        application_name = excluded.application_name, version = excluded.version, seen_at = excluded.seen_at;
end
$$;
--> statement-breakpoint
-- Called on the session's own connection, once it holds the presence lock.
create function leasehold_internal.open_session(p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text)
returns table (pid integer, started float8, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  if not leasehold_internal._holds_presence(p_id) then
    raise exception using errcode = 'LH004', message = format('this connection does not hold the presence lock of session %s', p_id),
      hint = 'A session needs a connection of its own: not a transaction pooler.';
  end if;
  perform leasehold_internal._register(p_id, p_nonce, p_owner, p_host, p_version);
  perform set_config('leasehold.session', p_nonce::text, false);
  return query
    select pg_backend_pid(),
           (select leasehold_internal._ms(a.backend_start) from pg_stat_activity a where a.pid = pg_backend_pid()),
           leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Proves the backend, the lock and the primary, and only then writes.
create function leasehold_internal.heartbeat(p_id integer, p_nonce uuid)
returns table (alive boolean, pid integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
#variable_conflict use_column
begin
  perform leasehold_internal._check_transaction();
  perform set_config('synchronous_commit', 'off', true);
  alive := false;
  if current_setting('leasehold.session', true) = p_nonce::text and leasehold_internal._holds_presence(p_id) then
    update leasehold.sessions s
       set seen_at = clock_timestamp()
     where s.id = p_id and s.nonce = p_nonce and s.pid = pg_backend_pid();
    alive := found;
  end if;
  pid := pg_backend_pid();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
--> statement-breakpoint
create function leasehold_internal.close_session(p_id integer, p_nonce uuid) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  delete from leasehold.sessions s where s.id = p_id and s.nonce = p_nonce;
end;
--> statement-breakpoint
-- A role or a database may forbid views (restrict_nonsystem_relation_kind, as pg_dump sets it): those that functions here read are
-- their owner's. No clause of these functions, for a server without that setting could not make them. What it was comes back.
create function leasehold_internal._allow_views() returns text
language plpgsql volatile
as $$
declare
  restricted text := current_setting('restrict_nonsystem_relation_kind', true);
begin
  if restricted <> '' then
    perform set_config('restrict_nonsystem_relation_kind', '', true);
  end if;
  return restricted;
end
$$;
--> statement-breakpoint
create function leasehold_internal._restrict_views(restricted text) returns void
language plpgsql volatile
as $$
begin
  if restricted <> '' then
    perform set_config('restrict_nonsystem_relation_kind', restricted, true);
  end if;
end
$$;
--> statement-breakpoint
-- Reads only, and takes no lock that another could notice: whether a session lives is read from pg_locks (see the view).
create function leasehold_internal.inspect(p_key text)
returns table (
  state text, owner text, fence bigint, session integer, alive boolean, acquired float8, renewed float8, expires float8, ttl integer,
  metadata text, waiters integer, blocker integer, gid text, now float8)
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
  restricted text;
begin
  restricted := leasehold_internal._allow_views();
  select l.* into lease from leasehold_internal._leases l where l.key = p_key;
  perform leasehold_internal._restrict_views(restricted);
  waiters := (select count(*) from leasehold.waiters w where w.key = p_key and w.alive_until > clock_timestamp());
  state := coalesce(lease.state, 'free');
  owner := lease.owner;
  fence := lease.fence;
  session := lease.session_id;
  alive := lease.is_session_alive;
  acquired := leasehold_internal._ms(lease.acquired_at);
  renewed := leasehold_internal._ms(lease.renewed_at);
  expires := leasehold_internal._ms(case when lease.state = 'cooling' then lease.hold_until else lease.expires_at end);
  ttl := lease.ttl_ms;
  metadata := lease.metadata::text;
  select b.pid, b.gid into blocker, gid from leasehold_internal._blockers(array[p_key]) b;
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
--> statement-breakpoint
-- Takes a lease from its holder. Not immediately: renewals answer forced, and the key is free when the holder lets go or at the
-- expiry last given. Immediately: free now, while the holder may still believe that it holds.
create function leasehold_internal.force_release(p_key text, p_fence bigint, p_immediate boolean)
returns table (outcome text, fence bigint, owner text, expires float8, wake integer, blocker integer)
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
  lease leasehold.leases;
begin
  perform leasehold_internal._check_transaction();
  select l.* into lease from leasehold.leases l where l.key = p_key for no key update skip locked;
  if not found and exists (select from leasehold.leases l where l.key = p_key) then
    outcome := 'busy';
    blocker := (select b.pid from leasehold_internal._blockers(array[p_key]) b);
  elsif lease.token is null and not coalesce(p_immediate and lease.hold_until > clock_timestamp(), false)
     or p_fence is not null and lease.fence <> p_fence then
    outcome := 'gone';
  else
    outcome := case when p_immediate then 'released' else 'revoked' end;
    update leasehold.leases l
       set revoked_at = clock_timestamp(),
           token = case when not p_immediate then l.token end,
           session_id = case when not p_immediate then l.session_id end,
           released_at = case when p_immediate then clock_timestamp() end,
           hold_until = null
     where l.key = p_key;
    fence := lease.fence;
    owner := lease.owner;
    expires := leasehold_internal._ms(lease.expires_at);
    wake := case when p_immediate then leasehold_internal._head_session(p_key) end;
  end if;
  return next;
end
$$;
--> statement-breakpoint
-- Whether the connection that sends commands is on the same server and database as the session.
create function leasehold_internal.sees_session(p_session integer, p_nonce uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  return p_session is null or leasehold_internal._is_alive(p_session, p_nonce);
end
$$;
--> statement-breakpoint
-- Asked whenever a client connects: here it comes out that the database was moved to a service that hides what fences are made of.
create function leasehold_internal.fence_source() returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  known leasehold.fence_epoch;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if known.server_start = pg_postmaster_start_time()
     and (known.source = 'manual' or leasehold_internal._may_read_position())
     or pg_is_in_recovery()
  then
    return known.source;
  end if;
  return (select v.source from leasehold_internal._verify_epoch() v);
end
$$;
--> statement-breakpoint
-- No fence that was granted by now is larger, but for keys whose last fence was larger than this already: those count on from there.
create function leasehold_internal._last_fence() returns bigint
language plpgsql volatile
as $$
begin
  if leasehold_internal.fence_source() = 'manual' then
    return (leasehold_internal._epoch() << 48) + (select f.last_value from leasehold.fences f);
  end if;
  return leasehold_internal._fence();
end
$$;
--> statement-breakpoint
create function leasehold.bump_epoch(above bigint default null) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  current bigint;
  raised bigint;
begin
  -- Beyond 2^63 a fence is negative. Half of that is kept for what raises the epoch later.
  if above >= 4611686018427387904 then
    raise exception using errcode = 'LH003', message = format('"above" is less than 4611686018427387904, not %s', above),
      hint = 'Give the largest fence that was ever seen, or leave it out.';
  end if;
  -- With the row locked, for another may be raising it.
  perform from leasehold.fence_epoch e where e.id for update;
  current := leasehold_internal._epoch();
  raised := greatest(current, above >> 48) + 1;
  if raised > 32767 then
    raise exception using errcode = 'LH003', message = 'the epochs of fences are used up: 32767 is the last',
      hint = 'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old ones.';
  end if;
  update leasehold.fence_epoch e
     set base = e.base + raised - current, top = greatest(e.top, raised), epoch = raised
   where e.id;
  return raised << 48;
end
$$;
--> statement-breakpoint
comment on function leasehold.bump_epoch(bigint) is 'Makes all later fences larger than all before, and than "above" if that is given: select leasehold.bump_epoch(); To be called after the whole server was set back to a snapshot; after a dump was restored that is older than the last move to another server, or than the last call of this; and, with "above", where the schema was made anew, or without its data, on a server that was moved to. Where the service hides the write-ahead log (source manual in leasehold.fence_epoch), after every failover and every restore. Gives the lower bound of the fences that follow.';
--> statement-breakpoint
-- The role that is to be granted something, also under a name that psql would take.
create function leasehold_internal._role(given text) returns name
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  target name;
begin
  -- Two grants at once on one object fail with "tuple concurrently updated"; migrate() holds this lock, too.
  perform pg_advisory_xact_lock(1279480142, 0);

  -- The exact name first, so that 'App' needs no quotes of its own; then what psql users write: app, "App".
  select rolname into target from pg_roles where rolname = given;
  if target is null then
    begin
      select rolname into target from pg_roles where oid = to_regrole(given);
    exception when invalid_name or syntax_error or name_too_long then
      target := null; -- not an identifier, so no role's name either
    end;
  end if;
  if target is null then
    raise exception 'role "%" does not exist', given
      using errcode = 'undefined_object',
            hint = 'Create it first, or look up its exact name with: select rolname from pg_roles;';
  end if;
  return target;
end;
$$;
--> statement-breakpoint
-- What has rights of its own in the two schemas, with who has them. The row types of tables and views are types, too.
create function leasehold_internal._objects()
returns table (kind text, id oid, part smallint, name text, owner oid, acl aclitem[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with space as (select n.* from pg_namespace n where n.nspname in ('leasehold', 'leasehold_internal'))
  select 'schema', n.oid, 0::smallint, quote_ident(n.nspname), n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) from space n
  union all
  select case when c.relkind = 'S' then 'sequence' else 'table' end, c.oid, 0::smallint, format('%I.%I', n.nspname, c.relname), c.relowner,
         coalesce(c.relacl, acldefault(case when c.relkind = 'S' then 's'::"char" else 'r' end, c.relowner))
    from pg_class c join space n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  union all
  select 'column', c.oid, a.attnum, format('%I.%I.%I', n.nspname, c.relname, a.attname), c.relowner, a.attacl
    from pg_attribute a join pg_class c on c.oid = a.attrelid join space n on n.oid = c.relnamespace
   where a.attacl is not null and not a.attisdropped
  union all
  select 'routine', p.oid, 0::smallint, p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
    from pg_proc p join space n on n.oid = p.pronamespace
  union all
  -- not those of arrays, which follow their elements' types
  select 'type', t.oid, 0::smallint, format('%I.%I', n.nspname, t.typname), t.typowner, coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type t join space n on n.oid = t.typnamespace
   where not exists (select from pg_type e where e.typarray = t.oid);
$$;
--> statement-breakpoint
-- For the marks of _profiles.
create view leasehold_internal._granted as select null::boolean as usage, null::boolean as monitoring, null::boolean as admin;
--> statement-breakpoint
comment on view leasehold_internal._granted is 'Whoever may read a column was given the rights of that name, by grant_usage, grant_monitoring or grant_admin. It says nothing else.';
--> statement-breakpoint
-- The rights that grant_usage, grant_monitoring and grant_admin give. Each has a mark among them, so that what they gave can be told
-- from what default privileges, a restore or a wholesale grant gave: the right to read one column of a view, which none of those
-- give. It is the role's whatever the role is called later, and goes with the other rights where a restore drops them; a table with
-- the names of roles would do neither.
create function leasehold_internal._profiles()
returns table (profile text, kind text, id oid, part smallint, privilege text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with space as (select n.* from pg_namespace n where n.nspname in ('leasehold', 'leasehold_internal'))
  select a.attname::text, 'column', a.attrelid, a.attnum, 'SELECT'
    from pg_attribute a join pg_class c on c.oid = a.attrelid join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold_internal' and c.relname = '_granted' and a.attnum > 0
  union all
  select 'usage', 'schema', n.oid, 0::smallint, 'USAGE' from space n
  union all
  -- A leading underscore marks what only other functions call. Taking a lock from its holder is for administrators.
  select 'usage', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold_internal' and left(p.proname, 1) <> '_' and p.proname <> 'force_release'
      or n.nspname = 'leasehold' and p.proname in (
           'try_acquire', 'renew', 'release', 'check', 'attach', 'detach',
           'guard', 'is_guarded', 'check_fence', 'fence_table', 'unfence_table', 'guard_table', 'unguard_table',
           'refuse_old_fence', 'require_guard') -- create trigger asks for the right to its function
  union all
  select 'monitoring', 'schema', n.oid, 0::smallint, 'USAGE' from space n where n.nspname = 'leasehold'
  union all
  select 'monitoring', 'table', c.oid, 0::smallint, 'SELECT'
    from pg_class c join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold' and c.relkind = 'v'
  union all
  -- Whoever reads a view must be allowed to execute the functions in it. By name they cannot be called: that takes usage on
  -- their schema.
  select distinct 'monitoring', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_depend d
    join pg_rewrite r on r.oid = d.objid
    join pg_class v on v.oid = r.ev_class
    join space on space.oid = v.relnamespace
    join pg_proc p on p.oid = d.refobjid
    join space n on n.oid = p.pronamespace
   where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_proc'::regclass and n.nspname = 'leasehold_internal'
  union all
  select 'admin', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold' and p.proname in ('force_release', 'sweep', 'bump_epoch', 'reset_fence')
      or n.nspname = 'leasehold_internal' and p.proname = 'force_release';
$$;
--> statement-breakpoint
-- What deviates: rights that are neither the owner's nor were granted by grant_usage and the like (is_missing: false; who default
-- privileges named got them; everybody got "execute" on each function in a restore without rights), and those that a role lacks
-- of what it was granted. Reads the catalog alone.
create function leasehold_internal.stray_rights()
returns table (is_missing boolean, kind text, name text, privilege text, grantee text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
  with object as materialized (
    select o.* from leasehold_internal._objects() o
  ),
  profile as materialized (
    select p.* from leasehold_internal._profiles() p
  ),
  given as materialized (
    select o.kind, o.id, o.part, o.name, o.owner, a.grantee, a.privilege_type, a.is_grantable
      from object o cross join lateral aclexplode(o.acl) a
     where a.grantee <> o.owner
  ),
  granted as materialized (
    select distinct g.grantee, p.profile
      from given g join profile p on p.kind = 'column' and g.kind = 'column' and p.id = g.id and p.part = g.part and p.privilege = g.privilege_type
     where g.grantee <> 0
  )
  select false, g.kind, g.name, g.privilege_type, coalesce(r.rolname::text, 'public')
    from given g left join pg_roles r on r.oid = g.grantee
   where g.is_grantable
      or not exists (
        select from granted m join profile p on p.profile = m.profile
         where m.grantee = g.grantee and p.kind = g.kind and p.id = g.id and p.part = g.part and p.privilege = g.privilege_type)
  union all
  select distinct true, p.kind, o.name, p.privilege, r.rolname::text
    from granted m
    join profile p on p.profile = m.profile
    join object o on o.kind = p.kind and o.id = p.id and o.part = p.part
    join pg_roles r on r.oid = m.grantee
   where m.grantee <> o.owner
     and not exists (
       select from given g
        where g.grantee = m.grantee and g.kind = p.kind and g.id = p.id and g.part = p.part and g.privilege_type = p.privilege)
   order by 1, 5, 2, 3, 4;
$$;
--> statement-breakpoint
-- Takes and gives what deviates. "cascade": whoever was given a right to grant may have granted it.
create function leasehold_internal._tidy_rights() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  stray record;
  mark text;
  -- To revoke a right to a view takes it from all its columns, too.
  marks text[] := array(
    select format('grant select (%I) on leasehold_internal._granted to %I', p.profile, r.rolname)
      from leasehold_internal._profiles() p
      join pg_attribute a on a.attrelid = p.id and a.attnum = p.part
     cross join lateral aclexplode(a.attacl) given
      join pg_roles r on r.oid = given.grantee
     where p.kind = 'column' and given.privilege_type = p.privilege);
begin
  perform pg_advisory_xact_lock(1279480142, 0);
  for stray in
    select s.*, case when s.grantee = 'public' then 'public' else quote_ident(s.grantee) end as who
      from leasehold_internal.stray_rights() s where not s.is_missing
  loop
    execute leasehold_internal._grant_text('revoke', stray.kind, stray.name, stray.privilege, stray.who) || ' cascade';
  end loop;
  foreach mark in array marks loop
    execute mark;
  end loop;
  -- Asked again: a right that could be passed on is taken, and given as it should be.
  for stray in
    select s.*, quote_ident(s.grantee) as who from leasehold_internal.stray_rights() s where s.is_missing
  loop
    execute leasehold_internal._grant_text('grant', stray.kind, stray.name, stray.privilege, stray.who);
  end loop;
end
$$;
--> statement-breakpoint
-- Names come quoted.
create function leasehold_internal._grant_text(act text, kind text, name text, privilege text, who text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s %s on %s %s %s %s', act,
    case when kind = 'column' then format('%s (%s)', privilege, quote_ident((parse_ident(name))[3])) else privilege end,
    case when kind = 'column' then 'table' else kind end,
    case when kind = 'column' then format('%I.%I', (parse_ident(name))[1], (parse_ident(name))[2]) else name end,
    case act when 'grant' then 'to' else 'from' end, who);
$$;
--> statement-breakpoint
create function leasehold_internal._grant(role text, given text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('grant select (%I) on leasehold_internal._granted to %I', given, leasehold_internal._role(role));
  perform leasehold_internal._tidy_rights();
end
$$;
--> statement-breakpoint
create function leasehold.grant_usage(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'usage');
$$;
--> statement-breakpoint
comment on function leasehold.grant_usage(text) is 'Lets a role take locks, with the Leasehold client and in SQL, and guard and fence its writes, without any right to the tables: select leasehold.grant_usage(''app'');';
