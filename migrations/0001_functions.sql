create schema if not exists leasehold_internal;

comment on schema leasehold is
  'Leasehold: locks with leases and fencing tokens. Read anything here; change it only through the functions and the client.';
comment on schema leasehold_internal is
  'Functions that the Leasehold client calls. They may change with every version: do not call them yourself.';
--> statement-breakpoint
alter sequence leasehold.session_ids as integer;

comment on sequence leasehold.fences is
  'Fencing tokens if the service hides the write-ahead log (source manual in fence_epoch). Elsewhere a fence is a position in '
  'that log, and this is not used.';
comment on sequence leasehold.tickets is 'Tickets of waiters: lower ones are served first.';
comment on sequence leasehold.session_ids is
  'Numbers of sessions. Each is the second half of the advisory lock that its session holds.';
--> statement-breakpoint
-- fillfactor: leaves room for the next version of a row on its page, so that renewals and releases are HOT updates (rule 2).
--
-- autovacuum: HOT pruning clears most old versions. Vacuuming the rest is cheap, so it has no cost delay. Waiting for the
-- default 20 % would let a hot table grow to many times its size. The threshold of 500 avoids a vacuum for a handful of rows.
--
-- vacuum_truncate: returning empty pages takes an access exclusive lock, and every acquire would wait for it.
alter table leasehold.leases set (
  fillfactor = 45,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.leases is
  'One row per key: who holds it, until when, and with which fence. A released key keeps its row.';
comment on column leasehold.leases.key is 'What is locked: the full text, prefix included.';
comment on column leasehold.leases.token is
  'The secret of the grant: whoever knows it can renew and release. Null if nobody holds the key.';
comment on column leasehold.leases.fence is
  'The fencing token of the last grant. Each grant of a key has a larger one than all before; a renewal keeps it.';
comment on column leasehold.leases.owner is
  'Who holds the key, or held it last, as the client named itself (by default host:pid).';
comment on column leasehold.leases.session_id is 'The session whose death frees the key before its TTL. Null: only the TTL does.';
comment on column leasehold.leases.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.leases.takeover_ms is
  'How long the holder''s session must have been silent, in milliseconds, before the key of a dead holder is granted to the '
  'next. Chosen by the holder.';
comment on column leasehold.leases.min_hold_ms is
  'A release earlier than this many milliseconds after the grant keeps the key ungrantable until then. Chosen by the holder.';
comment on column leasehold.leases.max_hold_until is 'No renewal goes beyond this time. Null: no bound. Chosen by the holder.';
comment on column leasehold.leases.acquired_at is 'When the key was last granted.';
comment on column leasehold.leases.renewed_at is 'When the lease was last renewed; null if not since the grant.';
comment on column leasehold.leases.expires_at is
  'The lease expires here unless it is renewed. From then on the key can be granted to the next.';
comment on column leasehold.leases.hold_until is
  'Set by a release before min_hold_ms had passed: the key is not granted again until then.';
comment on column leasehold.leases.revoked_at is 'When the lease was taken away by force. It can no longer be renewed.';
comment on column leasehold.leases.queued is
  'Whether there may be waiters or shares. False: there are none. True may be out of date.';
comment on column leasehold.leases.metadata is 'Metadata from the holder.';
comment on column leasehold.leases.released_at is 'When the key was released. Null while it is held.';
comment on column leasehold.leases.acquisitions is 'How many times the key was granted since its row was created.';
--> statement-breakpoint
-- Unlogged: a crash of the server ends every wait anyway.
alter table leasehold.waiters set unlogged;

-- As in leases.sql.
alter table leasehold.waiters set (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off
);

comment on table leasehold.waiters is
  'The queues: one row per acquire that waits for a key. Unlogged: empty after a crash of the server, and waiting clients queue '
  'again by themselves.';
comment on column leasehold.waiters.key is 'The key waited for.';
comment on column leasehold.waiters.ticket is 'The position in the queue: the live entry with the lowest ticket is next.';
comment on column leasehold.waiters.token is 'The token that the grant will have: a secret.';
comment on column leasehold.waiters.session_id is
  'The session of the waiting client, which is notified when the key becomes free. Null: it only polls.';
comment on column leasehold.waiters.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiters.weight is
  'What the share takes that is waited for: 1 of a read lock. Null: the whole key is waited for.';
comment on column leasehold.waiters.capacity is
  'The capacity that the share is waited for under. Null: a read lock, or the whole key.';
comment on column leasehold.waiters.enqueued_at is
  'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiters.alive_until is
  'Each look of the waiting client extends this. After it the entry is skipped: the client is dead or frozen.';
--> statement-breakpoint
-- As in leases.sql. Rows come and go with each grant, so it is vacuumed like the waiters.
alter table leasehold.shares set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.05,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.shares is
  'One row per read lock and per part of a semaphore that is held, beside the row of its key in leases (decision 27).';
comment on column leasehold.shares.key is 'What is locked: the full text, prefix included.';
comment on column leasehold.shares.token is 'The secret of the grant: whoever knows it can renew and release.';
comment on column leasehold.shares.fence is
  'The fencing token of the grant. No other grant of the key has the same; a later exclusive one has a larger one.';
comment on column leasehold.shares.weight is 'What it takes of the capacity; of a read lock 1.';
comment on column leasehold.shares.capacity is
  'The capacity that it was granted under: while it is held, the weights of the key''s shares are not more. Null: a read lock.';
comment on column leasehold.shares.owner is 'Who holds it, as the client named itself (by default host:pid).';
comment on column leasehold.shares.session_id is
  'The session whose death ends it before its TTL. Null: only the TTL does.';
comment on column leasehold.shares.ttl_ms is 'Time to live in milliseconds, as last granted or renewed.';
comment on column leasehold.shares.takeover_ms is
  'How long the holder''s session must have been silent, in milliseconds, before the share of a dead holder ends. Chosen by the '
  'holder.';
comment on column leasehold.shares.min_hold_ms is
  'A release earlier than this many milliseconds after the grant keeps its room until then. Chosen by the holder.';
comment on column leasehold.shares.max_hold_until is 'No renewal goes beyond this time. Null: no bound. Chosen by the holder.';
comment on column leasehold.shares.acquired_at is 'When it was granted.';
comment on column leasehold.shares.renewed_at is 'When it was last renewed; the time of the grant if not since.';
comment on column leasehold.shares.expires_at is
  'It expires here unless it is renewed. From then on it is removed for the next who asks.';
comment on column leasehold.shares.hold_until is
  'Set by a release before min_hold_ms had passed: its room is not given away before that.';
comment on column leasehold.shares.revoked_at is 'When it was taken away by force. It can no longer be renewed.';
comment on column leasehold.shares.released_at is
  'When it was released, while a minimum hold or an open transaction keeps the row. Null while it is held.';
comment on column leasehold.shares.metadata is 'Metadata from the holder.';
--> statement-breakpoint
-- Unlogged: a crash of the server ends every session anyway. Safety needs it, too (decision 15): the rows must not survive a
-- crash, nor appear on a promoted standby.
alter table leasehold.sessions set unlogged;

-- As in leases.sql.
alter table leasehold.sessions set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off
);

comment on table leasehold.sessions is
  'One row per process that holds locks with presence. Unlogged: sessions do not survive a crash of the server.';
comment on column leasehold.sessions.id is
  'The number of the session. It holds the advisory lock (1279480140, id) for as long as it lives.';
comment on column leasehold.sessions.nonce is 'Random identity of the session, by which it recognises its own connection.';
comment on column leasehold.sessions.owner is 'Who it is, as the client named itself.';
comment on column leasehold.sessions.pid is 'The server process of the session''s connection, as in pg_stat_activity.';
comment on column leasehold.sessions.host is 'The name of the client''s machine, as the client gave it.';
comment on column leasehold.sessions.client_address is 'The address that the connection came from. Null: a Unix socket.';
comment on column leasehold.sessions.application_name is 'application_name of the connection.';
comment on column leasehold.sessions.version is 'The version of the Leasehold client.';
comment on column leasehold.sessions.started_at is 'When the session was opened.';
comment on column leasehold.sessions.seen_at is
  'The last heartbeat. A session whose lock is free and that was silent for takeover_ms is dead.';
--> statement-breakpoint
comment on table leasehold.fence_epoch is
  'The upper part of fences, in one row. It keeps fences rising over a failover, a recovery to an earlier point, a restore into '
  'another cluster, and pg_upgrade.';
comment on column leasehold.fence_epoch.id is 'Always true: there is one row.';
comment on column leasehold.fence_epoch.system_identifier is
  'The cluster in which the last fences were issued (pg_control_system). Null: the service hides it.';
comment on column leasehold.fence_epoch.database_id is
  'Random identity of this database, made with the tables. It stands in for system_identifier if the service hides that.';
comment on column leasehold.fence_epoch.base is
  'Added to the timeline (less one) to give the epoch. Source manual: the epoch itself.';
comment on column leasehold.fence_epoch.top is
  'The largest epoch that was used. Another cluster or another source starts above it.';
comment on column leasehold.fence_epoch.source is
  'auto: a fence is a position in the write-ahead log, under an epoch that follows the timeline of the server. manual: this '
  'service hides those; fences come from a sequence, and an operator raises the epoch after each failover or restore.';
comment on column leasehold.fence_epoch.epoch is
  'The epoch that was last verified. Valid for as long as the server that verified it runs.';
comment on column leasehold.fence_epoch.server_start is
  'When the server that verified the epoch was started (pg_postmaster_start_time). After another start it is verified again.';
--> statement-breakpoint
-- As in leases.sql.
alter table leasehold.resource_fences set (fillfactor = 70, vacuum_truncate = off);

comment on table leasehold.resource_fences is
  'High-water marks: the largest fence with which each resource was used, see check_fence. A row may be deleted once no stale '
  'writer is left.';
comment on column leasehold.resource_fences.resource is 'What the writers call the resource.';
comment on column leasehold.resource_fences.fence is 'The largest fence that was checked. Smaller ones are refused.';
comment on column leasehold.resource_fences.checked_at is 'When the mark rose last.';
--> statement-breakpoint
comment on table leasehold.sweeper is
  'The progress of the sweeper, in one row. It goes over the leases in batches, and each batch begins where the last one ended, '
  'whoever sweeps.';
comment on column leasehold.sweeper.id is 'Always true: there is one row.';
comment on column leasehold.sweeper.after_key is 'The key after which the next batch begins. Null: at the start.';
comment on column leasehold.sweeper.swept_at is 'When the last batch was done.';
--> statement-breakpoint
-- Each flush rewrites the row of its process: leave room for the next version on the same page. The rest as in leases.sql.
alter table leasehold.counters set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off,
  toast.vacuum_truncate = off
);

comment on table leasehold.counters is
  'What lockers have counted. Each writes a row of its own and begins a new one every hour. A row that nobody has written for '
  'six hours is added to the one with the id 00000000-0000-0000-0000-000000000000, so that sums never shrink.';
comment on column leasehold.counters.id is 'Known only to the process that writes the row.';
comment on column leasehold.counters.sequence is
  'Counts the flushes of the row: an older flush that arrives late changes nothing.';
comment on column leasehold.counters.started_at is 'When it was flushed for the first time.';
comment on column leasehold.counters.flushed_at is 'When it was flushed last.';
-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
comment on column leasehold.counters.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.counters.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.counters.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.counters.cancelled is 'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.counters.failed is 'Acquires that ended with another error.';
comment on column leasehold.counters.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.counters.released is 'Leases that their holders have released.';
comment on column leasehold.counters.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.counters.checked is 'Calls that asked who holds a key.';
comment on column leasehold.counters.swept is 'Rows that sweeps have purged.';
comment on column leasehold.counters.errors is 'What failed in the background.';
comment on column leasehold.counters.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.counters.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.counters.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.counters.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.counters.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.counters.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.counters.wait_ms is 'Total time that granted acquires waited, in milliseconds.';
comment on column leasehold.counters.waits is
  'Granted acquires by how long they waited: up to 1, 2, 4, ... 2^26 milliseconds, and longer. 28 numbers.';
comment on column leasehold.counters.hold_ms is 'Total time that released and lost leases were held, in milliseconds.';
comment on column leasehold.counters.holds is 'Released and lost leases by how long they were held, in the buckets of waits.';
comment on column leasehold.counters.prefixes is
  'Acquires by the prefix of their key: an array of at most a hundred objects, and one for all others, whose prefix is null.';
comment on column leasehold.counters.hot_keys is
  'The most contended keys: an array of at most a hundred objects. Each was contended between "contended" and '
  '"contended_at_most" times.';
--> statement-breakpoint
create table leasehold_internal.ticket_secret (
  id boolean primary key default true constraint ticket_secret_single_row check (id),
  secret bytea not null
);
comment on table leasehold_internal.ticket_secret is 'Lets the server recognise the tickets that it gave out: one row.';
comment on column leasehold_internal.ticket_secret.id is 'Always true: there is one row.';
comment on column leasehold_internal.ticket_secret.secret is
  'Random. Whoever knows it can choose a position in any queue, but can do nothing else.';
--> statement-breakpoint
comment on table leasehold.schema_version is 'The versions of this schema that were applied. The largest one counts.';
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
  -- A schema restored without its data lacks the rows that every function needs. It counts as missing.
  select applied.version, applied.min_client
    from leasehold.schema_version as applied
   where exists (select from leasehold.fence_epoch) and exists (select from leasehold.sweeper)
   order by applied.version desc
   limit 1;
$$;

comment on function leasehold_internal.schema_info() is
  'The version of the schema, and the oldest client that can work with it. No row: the rows that every function needs are '
  'missing, and migrate() restores them.';
--> statement-breakpoint
-- Times travel as milliseconds since 1970 in a float8: exact to the microsecond, and out of reach of a client's date parsers.
create function leasehold_internal._ms(at timestamptz) returns float8
language sql stable parallel safe
return (extract(epoch from at) * 1000)::float8;
--> statement-breakpoint
-- Rule 3: locking first and comparing afterwards works only if each statement sees what was committed before it. And only a
-- primary can lock rows.
create function leasehold_internal._check_transaction() returns void
language plpgsql stable
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'LH004',
      message = format('leasehold needs the isolation level "read committed", this transaction has "%s"',
                       current_setting('transaction_isolation')),
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
-- Rule 9: what this transaction grants or renews is on disk, and on a synchronous standby, before it is answered. If the wait
-- for the standby is cancelled, only a warning says so, and the client must see it.
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
-- System identifier and timeline of this server. Null where a hosted service reserves these functions for its superuser or
-- lacks them. The timeline comes from the name of the current WAL file: pg_control_checkpoint() lags right after a promotion.
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
-- Checked for each fence (0.3 us), because the right can be revoked while the server runs.
create function leasehold_internal._may_read_wal_position() returns boolean
language sql stable
return has_function_privilege('pg_current_wal_insert_lsn()'::regprocedure, 'execute');
--> statement-breakpoint
-- Computes the epoch of this server from the last one that was used, and stores it.
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
  -- Go above every epoch used so far if they may be another server's: another cluster, one that hid more or less, or one with
  -- more timelines.
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
      hint =
        'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old '
        'ones.';
  end if;

  -- One transaction writes it. The others skip the locked row (rule 6): the epoch depends on nothing they could be writing, and
  -- waiting for an open transaction would hold up every grant.
  if current_setting('transaction_read_only') = 'off' then
    perform from leasehold.fence_epoch e where e.id for update skip locked;
    if found then
      update leasehold.fence_epoch e
         set system_identifier = verified.system_identifier,
             base = verified.base,
             top = verified.top,
             source = verified.source,
             epoch = verified.epoch,
             server_start = verified.server_start
       where e.id and e = known;
    end if;
  end if;
  return verified;
end
$$;
--> statement-breakpoint
-- The upper part of every fence and ticket, 0 to 32767 (decision 14). It rises with each promotion, recovery, restore into
-- another cluster, and upgrade. Cluster and timeline do not change while a server runs, so a verified epoch stays valid until
-- it stops. A different server_start means that the row is from an earlier run, from another server's dump, or from the former
-- primary of a promoted standby.
create function leasehold_internal._epoch() returns bigint
language plpgsql volatile
as $$
declare
  epoch bigint := (select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time());
begin
  if epoch is null then
    epoch := (select v.epoch from leasehold_internal._verify_epoch() v);
  end if;
  return epoch;
end
$$;
--> statement-breakpoint
-- The lower part of a fence. Not in plain SQL: that is put into the statement which calls it, and then Postgres refuses the
-- whole statement where the position is hidden, also where the sequence is what is wanted.
create function leasehold_internal._wal_position(source text) returns bigint
language plpgsql volatile
as $$
begin
  if source = 'manual' then
    return nextval('leasehold.fences');
  end if;
  return (pg_current_wal_insert_lsn() - '0/0')::bigint / 64;
end
$$;
--> statement-breakpoint
-- The fence of one grant: the WAL position in units of 64 bytes, below the epoch (decision 14). Draw it after locking the key's
-- row, never before (rule 4). Then it is larger than the fence of the previous grant, whose transaction has ended and wrote
-- more than 64 bytes after drawing it. A grant is on disk before it is answered (rule 9), so no crash takes back a position
-- that a client has seen. Nothing done inside a cluster turns the WAL back: no restore of a dump, no copy of a database, no new
-- migration. With a sequence, a restore took fences from 6 back to 2. Two keys may get the same fence.
--
-- 2^48 units of 64 bytes are 18 PB of WAL. That leaves 15 bits for the epoch, so the sign bit is never set. The difference of
-- two positions is a whole number, so the cast to bigint is exact; dividing bigints truncates.
create function leasehold_internal._fence() returns bigint
language plpgsql volatile
as $$
declare
  fence bigint := (select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                     from leasehold.fence_epoch e
                    where e.id and e.server_start = pg_postmaster_start_time()
                      and (e.source = 'manual' or leasehold_internal._may_read_wal_position()));
begin
  if fence is null then
    fence := (select (v.epoch << 48) + leasehold_internal._wal_position(v.source) from leasehold_internal._verify_epoch() v);
  end if;
  return fence;
end
$$;
--> statement-breakpoint
-- Called whenever a client connects. Notices when the database has moved to a service that hides the WAL position.
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
     and (known.source = 'manual' or leasehold_internal._may_read_wal_position())
     or pg_is_in_recovery()
  then
    return known.source;
  end if;
  return (select v.source from leasehold_internal._verify_epoch() v);
end
$$;
--> statement-breakpoint
-- An upper bound of all fences granted so far. The exception: a key whose last fence was already larger (its data came from
-- another server) continues from there.
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
-- Confirmed dead (decision 15). The order matters: while this transaction has the presence lock, no heartbeat can be written,
-- so the next statement reads the last one. If it were read first, a late heartbeat could slip in between.
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
  -- A backend always gets a lock that it holds itself.
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
-- When a session counts as dead unless it sends a heartbeat before. Null when that has passed: a session that has been silent
-- for longer and is not dead belongs to a frozen process. Then the expiry is next.
create function leasehold_internal._silent_until(session integer, takeover integer) returns timestamptz
language plpgsql volatile
as $$
begin
  return (
    select quiet.until
      from leasehold.sessions s
     cross join lateral (
       select greatest(s.seen_at, pg_postmaster_start_time()) + takeover * interval '1 millisecond' as until) quiet
     where s.id = session and quiet.until > clock_timestamp());
end
$$;
--> statement-breakpoint
-- Whether this connection holds the presence lock of a session.
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
-- Writes the row of a session whose presence lock this connection holds. What a client says about itself is bounded. So is the
-- number of sessions per connection: it needs one, but earlier users of a pooled connection may have left theirs.
create function leasehold_internal._register_session(
  p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text
) returns void
language plpgsql volatile
as $$
begin
  if (octet_length(p_owner) between 1 and 256) is not true then
    raise exception using errcode = '22023',
      message = format('an owner has 1 to 256 bytes, this one has %s', coalesce(octet_length(p_owner), 0));
  end if;
  if (select count(*) > 100
        from pg_locks k
       where k.locktype = 'advisory' and k.objsubid = 2 and k.mode = 'ExclusiveLock' and k.granted
         and k.pid = pg_backend_pid() and k.classid = 1279480140) then
    raise exception using errcode = 'LH003', message = 'this connection has 100 sessions already',
      detail = 'Each call of attach() without a number begins another one.',
      hint = 'End those that nobody needs: select leasehold.detach(<number>); or all of them: select pg_advisory_unlock_all();';
  end if;
  insert into leasehold.sessions as s (
    id, nonce, owner, pid, host, client_address, application_name, version, started_at, seen_at)
  values (p_id, p_nonce, p_owner, pg_backend_pid(), left(p_host, 255), inet_client_addr(), current_setting('application_name'),
          left(p_version, 64), clock_timestamp(), clock_timestamp())
  on conflict (id) do update
    set nonce = excluded.nonce,
        owner = excluded.owner,
        pid = excluded.pid,
        host = excluded.host,
        client_address = excluded.client_address,
        application_name = excluded.application_name,
        version = excluded.version,
        seen_at = excluded.seen_at;
end
$$;
--> statement-breakpoint
-- Called on the session's own connection, after it has taken the presence lock.
create function leasehold_internal.open_session(p_id integer, p_nonce uuid, p_owner text, p_host text, p_version text)
returns table (pid integer, started float8, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  if not leasehold_internal._holds_presence(p_id) then
    raise exception using errcode = 'LH004',
      message = format('this connection does not hold the presence lock of session %s', p_id),
      hint = 'A session needs a connection of its own: not a transaction pooler.';
  end if;
  perform leasehold_internal._register_session(p_id, p_nonce, p_owner, p_host, p_version);
  perform set_config('leasehold.session', p_nonce::text, false);
  return query
    select pg_backend_pid(),
           (select leasehold_internal._ms(a.backend_start) from pg_stat_activity a where a.pid = pg_backend_pid()),
           leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Writes only after it has checked the backend, the presence lock, and that this server is a primary.
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
-- Whether the connection for commands reaches the server and the database of the session.
create function leasehold_internal.sees_session(p_session integer, p_nonce uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  perform leasehold_internal._check_transaction();
  return (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session)));
end
$$;
--> statement-breakpoint
-- Sessions as the server sees them: their rows without the nonce, and whether the presence lock is held. A lock without a row
-- is included: that session is coming back after a crash of the server, and is not dead. In plpgsql, because a standby cannot
-- read unlogged tables and must not try.
create function leasehold_internal._presence()
returns table (
  id integer, owner text, pid integer, host text, client_address inet, application_name text, version text,
  started_at timestamptz, seen_at timestamptz, is_connected boolean)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  if pg_is_in_recovery() then
    return;
  end if;
  return query
    select coalesce(s.id, k.id), s.owner, s.pid, s.host, s.client_address, s.application_name, s.version,
           s.started_at, s.seen_at, k.id is not null
      from leasehold.sessions s
      full join (
        select l.objid::bigint::integer as id
          from pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 2 and l.mode = 'ExclusiveLock' and l.granted
           and l.classid = 1279480140
           and l.objid::bigint < 2147483648 -- any role can take such a lock, also with a negative number
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
      ) k on k.id = s.id;
end
$$;

comment on function leasehold_internal._presence() is 'Sessions, and whether each holds its presence lock. Nothing on a standby.';
--> statement-breakpoint
-- The token at the head of a key's queue: the lowest ticket whose entry has not expired.
create function leasehold_internal._queue_head(waited_key text) returns uuid
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
-- The session of whoever is next in the queue of a key that was freed: that of its first live waiter.
--
-- leaving: the token that let go. Its own entry may still be there (see _remove_entry), and must not keep the others waiting.
create function leasehold_internal._session_of_next_waiter(waited_key text, leaving uuid) returns integer
language plpgsql volatile
as $$
declare
  next_session integer;
begin
  with gone as (
    delete from leasehold.waiters w
     where w.ctid = (
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.token >= leaving and d.token <= leaving
        order by d.token
        limit 1
          for update skip locked)
  )
  select w.session_id
    into next_session
    from leasehold.waiters w
   where w.key = waited_key and w.alive_until > clock_timestamp() and w.token is distinct from leaving
   order by w.ticket
   limit 1;
  return next_session;
end
$$;
--> statement-breakpoint
-- Notifies a session, with the commit, that a waiter of its process may be next. A hint (rule 10): without it a waiter looks
-- within a second.
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
-- Whether this token is at the head of the queue, or the queue is empty.
create function leasehold_internal._is_next(lease leasehold.leases, asking uuid) returns boolean
language plpgsql volatile
as $$
begin
  if not lease.queued then
    return true;
  end if;
  return coalesce(
    (select w.token
       from leasehold.waiters w
      where w.key = lease.key and w.alive_until > clock_timestamp()
      order by w.ticket
      limit 1) = asking, true);
end
$$;
--> statement-breakpoint
-- The key of the tickets' proofs (decision 18). No client may read its table.
create function leasehold_internal._ticket_secret() returns bytea
language plpgsql stable
as $$
begin
  return (select s.secret from leasehold_internal.ticket_secret s where s.id);
end
$$;
--> statement-breakpoint
-- Proves that the server gave this ticket to this token (decision 18). With it a waiter keeps its ticket after its entry was
-- lost (the table is unlogged). A ticket alone would let anybody choose a position.
create function leasehold_internal._ticket_proof(secret bytea, key text, token uuid, ticket bigint) returns bigint
language sql stable
return (
  'x' || encode(
    substr(
      sha256(secret || sha256(convert_to(format('%s %s %s', token, ticket, key), getdatabaseencoding()))),
      1, 8),
    'hex')
)::bit(64)::bigint;
--> statement-breakpoint
-- The ticket of a token in the queue of a key, null when it has no entry. Read in index order, so that the planner has no other
-- choice (rule 12).
create function leasehold_internal._ticket_of(waited_key text, waiting uuid) returns bigint
language plpgsql volatile
as $$
begin
  return (
    select w.ticket
      from leasehold.waiters w
     where w.key = waited_key and w.token >= waiting and w.token <= waiting
     order by w.token
     limit 1);
end
$$;
--> statement-breakpoint
-- Enters many waiters into the queue of one key, behind its head, or extends the entries that they have already. This is what
-- acquire_one does for each of them, in four statements: one by one, 10,000 took longer than a request may. p_weights,
-- p_capacities: of those that wait for shares; null, or null for one of them: it waits for the whole key.
create function leasehold_internal._enqueue(
  p_key text,
  p_session integer,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_not_after float8[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[] default null,
  p_capacities integer[] default null
) returns table (
  item integer,
  outcome text,
  expires float8,
  ticket bigint,
  proof bigint,
  holder text,
  holderfence bigint,
  holdersession integer,
  nextlook float8,
  blocker integer
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  secret bytea := leasehold_internal._ticket_secret();
  known record;
  is_locked boolean := false;
begin
  select array_agg(e.ticket order by u.place) as tickets,
         bool_or(e.ticket is null) as is_any_missing,
         bool_or(e.alive_until < clock_timestamp() + interval '2500 milliseconds') as is_any_old,
         bool_or(e.ticket is not null and (e.weight is distinct from u.weight or e.capacity is distinct from u.capacity))
           as is_any_changed
    into known
    from unnest(p_tokens, p_weights, p_capacities) with ordinality u (token, weight, capacity, place)
    left join lateral (
      select k.ticket, k.alive_until, k.weight, k.capacity
        from leasehold.waiters k
       where k.key = p_key and k.token >= u.token and k.token <= u.token
       order by k.token
       limit 1) e on true;
  if known.is_any_old then
    with entry as materialized (
      select a.version
        from unnest(p_tokens, p_not_after) u (token, not_after)
        join lateral (
          select k.token, k.ctid as version
            from leasehold.waiters k
           where k.key = p_key and k.token >= u.token and k.token <= u.token
             and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
             and leasehold_internal._ms(clock_timestamp()) < u.not_after
           order by k.token
           limit 1
             for update skip locked) a on a.token = u.token
    )
    update leasehold.waiters w
       set alive_until = clock_timestamp() + interval '3 seconds'
      from entry e
     where w.ctid = e.version;
  end if;
  if known.is_any_missing or known.is_any_changed then
    -- Rule 7.
    perform from leasehold.leases l where l.key = p_key for no key update skip locked;
    is_locked := found;
  end if;

  select l.* into lease from leasehold.leases l where l.key = p_key;
  if lease.token is not null then
    expires := leasehold_internal._ms(lease.expires_at);
  elsif lease.hold_until > clock_timestamp() then
    expires := leasehold_internal._ms(lease.hold_until);
  elsif (lease.token is null and lease.expires_at is null and lease.fence > 0) then
    select leasehold_internal._ms(case when s.released_at is null then s.expires_at else s.hold_until end), s.owner, s.fence,
           s.session_id
      into expires, holder, holderfence, holdersession
      from leasehold.shares s
     where s.key = lease.key and not case
                                       when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                       else s.expires_at <= clock_timestamp()
                                     end
     order by s.fence
     limit 1;
  end if;
  if expires is not null and holderfence is null then
    holder := lease.owner;
    holderfence := lease.fence;
    holdersession := lease.session_id;
  end if;
  if is_locked and lease.token is null then
    -- A share that is being released may have been let go without seeing them.
    nextlook := leasehold_internal._ms(clock_timestamp() + interval '50 milliseconds');
  else
    nextlook := leasehold_internal._next_look(lease, p_weights is null);
  end if;
  if is_locked then
    update leasehold.leases l set queued = true where l.key = p_key and not l.queued;
    if known.is_any_changed then
      -- Asked for on other terms since: with these it may fit.
      update leasehold.waiters w
         set weight = u.weight, capacity = u.capacity
        from unnest(p_tokens, p_weights, p_capacities) u (token, weight, capacity)
       where w.key = p_key and w.token = u.token
         and (w.weight is distinct from u.weight or w.capacity is distinct from u.capacity);
      nextlook := 0;
    end if;
  elsif known.is_any_missing and not (lease.token is null and lease.expires_at is null and lease.fence > 0) then
    blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
  end if;
  return query
    with joined as (
      insert into leasehold.waiters as w (key, ticket, token, session_id, owner, weight, capacity, enqueued_at, alive_until)
      select p_key,
             case
               when u.ticket is not null and u.proof = leasehold_internal._ticket_proof(secret, p_key, u.token, u.ticket)
                and not exists (
                  select from leasehold.waiters o where o.key = p_key and o.ticket = u.ticket and o.token <> u.token)
               then u.ticket
               else ((select leasehold_internal._epoch()) << 40) + nextval('leasehold.tickets')
             end,
             u.token, p_session, u.owner, u.weight, u.capacity, clock_timestamp(), clock_timestamp() + interval '3 seconds'
        from unnest(p_tokens, p_owners, p_not_after, p_tickets, p_proofs, p_weights, p_capacities, known.tickets)
          u (token, owner, not_after, ticket, proof, weight, capacity, known)
       where is_locked and u.known is null and leasehold_internal._ms(clock_timestamp()) < u.not_after
          on conflict do nothing
      returning w.token, w.ticket
    )
    select u.item,
           case
             when t.ticket is not null then 'queued'
             when leasehold_internal._ms(clock_timestamp()) >= u.not_after then 'late'
             else 'busy'
           end,
           expires,
           t.ticket,
           case
             when t.ticket = u.ticket then u.proof
             else leasehold_internal._ticket_proof(secret, p_key, u.token, t.ticket)
           end,
           holder,
           holderfence,
           holdersession,
           nextlook,
           case when t.ticket is null then blocker end
      from unnest(p_items, p_tokens, p_not_after, p_tickets, p_proofs, known.tickets)
        u (item, token, not_after, ticket, proof, known)
      left join joined j on j.token = u.token
     cross join lateral (select coalesce(u.known, j.ticket) as ticket) t;
end
$$;
--> statement-breakpoint
-- Extends the entries of waiters that are behind another waiter of their own process, as a look would (decision 19). Returns
-- those whose entry is gone (a crash, a sweep): they must look themselves. For a session that is not alive, or a call that
-- comes late, it changes nothing and returns item 0. Otherwise a queue would stall behind a waiter whose looks are refused
-- (rule 7).
create function leasehold_internal.keep_entries(
  p_session integer, p_nonce uuid, p_not_after float8, p_keys text[], p_tokens uuid[]
)
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
  perform leasehold_internal._check_batch_size(cardinality(p_keys));
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after
    or not (select p_session is null
                   or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                      and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                           or leasehold_internal._holds_presence(p_session))) then
    item := 0;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  -- One lookup per entry (rule 12): the table is often analysed while empty. A join then took 0.5 s instead of 0.01 s for 100
  -- of 5,000.
  with entry as materialized (
    select a.version
      from unnest(p_keys, p_tokens) u (key, token)
      join lateral (
        select k.key, k.ctid as version
          from leasehold.waiters k
         where k.key = u.key and k.token >= u.token and k.token <= u.token
           and k.alive_until < clock_timestamp() + interval '2500 milliseconds'
         order by k.token
         limit 1
           for update skip locked) a on a.key = u.key
  )
  update leasehold.waiters w
     set alive_until = clock_timestamp() + interval '3 seconds'
    from entry e
   where w.ctid = e.version;
  return query
    select u.item::integer, leasehold_internal._ms(clock_timestamp())
      from unnest(p_keys, p_tokens) with ordinality u (key, token, item)
     where leasehold_internal._ticket_of(u.key, u.token) is null;
end
$$;
--> statement-breakpoint
-- Removes the entry of a token from a queue. False when there is none, or when `keep_entries` has just locked it, over another
-- connection, to extend it. Then the entry expires 3 s later.
create function leasehold_internal._remove_entry(waited_key text, leaving uuid) returns boolean
language plpgsql volatile
as $$
begin
  delete from leasehold.waiters w
   where w.ctid = (
     select d.ctid
       from leasehold.waiters d
      where d.key = waited_key and d.token >= leaving and d.token <= leaving
      order by d.token
      limit 1
        for update skip locked);
  return found;
end
$$;
--> statement-breakpoint
-- Removes the entry of a token that is about to be granted, and the expired entries ahead of it. `queued` is cleared only when
-- no entry is left (rule 7), because an expired one may come back with its owner's next look. At most 1,000 at a time:
-- thousands may have died at once. Expired entries behind this one are removed when they are ahead of a grant. The caller holds
-- the lock on the lease's row.
create function leasehold_internal._leave_queue(waited_key text, leaving uuid) returns void
language plpgsql volatile
as $$
declare
  own bigint := leasehold_internal._ticket_of(waited_key, leaving);
begin
  delete from leasehold.waiters w
   where w.ctid = any (
     array(
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.ticket >= own and d.ticket <= own
        order by d.ticket
          for update skip locked)
     || array(
       select d.ctid
         from leasehold.waiters d
        where d.key = waited_key and d.ticket < coalesce(own, 9223372036854775807) and d.alive_until <= clock_timestamp()
        order by d.ticket
        limit 1000
          for update skip locked));
end
$$;
--> statement-breakpoint
-- The queues without their tokens. An entry that has expired has no position: the others pass it.
create function leasehold_internal._queue()
returns table (
  key text, "position" integer, ticket bigint, owner text, session_id integer, enqueued_at timestamptz, alive_until timestamptz,
  is_alive boolean, mode text, weight integer, capacity integer)
language plpgsql stable security definer rows 100
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  now timestamptz := clock_timestamp();
begin
  if pg_is_in_recovery() then
    return;
  end if;
  return query
    select w.key,
           case
             when w.alive_until > now
             then (row_number() over (partition by w.key, w.alive_until > now order by w.ticket))::integer
           end,
           w.ticket, w.owner, w.session_id, w.enqueued_at, w.alive_until, w.alive_until > now,
           case when w.weight is null then 'exclusive' when w.capacity is null then 'shared' else 'semaphore' end,
           w.weight, w.capacity
      from leasehold.waiters w;
end
$$;

comment on function leasehold_internal._queue() is 'Waiters and their positions. Nothing on a standby.';
--> statement-breakpoint
-- Whether a key is not held exclusively. Whether its shares leave room is another question.
create function leasehold_internal._is_root_free(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if (lease.token is null and lease.expires_at is null and lease.fence > 0) then
    return true;
  end if;
  return leasehold_internal._is_grantable(lease);
end
$$;
--> statement-breakpoint
-- The shares of a key: how many rows, the sum of their weights, the smallest capacity (null: none has one), and how many have
-- ended. for_sure: counts every row, because one that has ended may belong to an open guarded transaction (decision 27); only
-- true under the lock of the root. Otherwise a hint, which counts those that nobody can remove.
create function leasehold_internal._count_shares(
  p_key text, for_sure boolean, out counted bigint, out taken bigint, out capacity integer, out ended bigint)
language plpgsql volatile
as $$
begin
  if for_sure then
    select count(*), coalesce(sum(s.weight), 0), min(s.capacity), count(*) filter (where case
                                                                                           when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                                                                           else s.expires_at <= clock_timestamp()
                                                                                         end)
      into counted, taken, capacity, ended
      from leasehold.shares s
     where s.key = p_key;
  else
    select count(*), coalesce(sum(s.weight), 0), min(s.capacity), 0
      into counted, taken, capacity, ended
      from leasehold.shares s
     where s.key = p_key and not case
                                   when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                   else s.expires_at <= clock_timestamp()
                                 end and not (s.released_at is null and s.session_id is not null
                                                             and (s.takeover_ms = 0
                                                                  or exists (
                                                                    select from leasehold.sessions p
                                                                     where p.id = s.session_id
                                                                       and greatest(p.seen_at, pg_postmaster_start_time()) + s.takeover_ms * interval '1 millisecond' < clock_timestamp())));
  end if;
end
$$;
--> statement-breakpoint
-- Deletes shares of a key that have ended, at most "most", and returns the newest that nobody had released: whom the grant
-- takes over from. The caller holds the lock of the root. What is locked belongs to an open transaction, and stays.
--
-- for_dead: those of sessions that are confirmed dead, which costs a lock for each session: 100 at a time.
create function leasehold_internal._remove_shares(p_key text, most integer, for_dead boolean) returns leasehold.shares
language plpgsql volatile
as $$
declare
  dead integer[];
  lapsed leasehold.shares;
begin
  if for_dead then
    dead := array(
      select c.session_id
        from (
          select s.session_id, max(s.takeover_ms) as takeover_ms
            from leasehold.shares s
           where s.key = p_key and (s.released_at is null and s.session_id is not null
                                      and (s.takeover_ms = 0
                                           or exists (
                                             select from leasehold.sessions p
                                              where p.id = s.session_id
                                                and greatest(p.seen_at, pg_postmaster_start_time()) + s.takeover_ms * interval '1 millisecond' < clock_timestamp())))
           group by s.session_id
           order by s.session_id
           limit 100) c
       where leasehold_internal._is_dead(c.session_id, c.takeover_ms));
    if cardinality(dead) = 0 then
      return null;
    end if;
  end if;
  with gone as (
    delete from leasehold.shares g
     where g.ctid = any (array(
       select s.ctid
         from leasehold.shares s
        where s.key = p_key
          and case when for_dead then s.session_id = any (dead) and (s.released_at is null and s.session_id is not null
                                                                       and (s.takeover_ms = 0
                                                                            or exists (
                                                                              select from leasehold.sessions p
                                                                               where p.id = s.session_id
                                                                                 and greatest(p.seen_at, pg_postmaster_start_time()) + s.takeover_ms * interval '1 millisecond' < clock_timestamp()))) else case
                                                                                                when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                                                                                else s.expires_at <= clock_timestamp()
                                                                                              end end
        limit most
          for update skip locked))
    returning g as share, g.fence, g.released_at
  )
  select (g.share).* into lapsed from gone g where g.released_at is null order by g.fence desc limit 1;
  if not found then
    return null; -- a row of nulls is none
  end if;
  return lapsed;
end
$$;
--> statement-breakpoint
-- Removes the shares of a key that have ended, for who wants it alone, and returns the newest that nobody had released. At most
-- 1,000 at a time: readers that asked for no capacity may have left more. The caller holds the lock of the root.
create function leasehold_internal._clear_shares(p_key text) returns leasehold.shares
language plpgsql volatile
as $$
declare
  lapsed leasehold.shares;
begin
  lapsed := leasehold_internal._remove_shares(p_key, 1000, false);
  if exists (select from leasehold.shares s where s.key = p_key) then
    lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);
  end if;
  return lapsed;
end
$$;
--> statement-breakpoint
-- Who of a key's queue may be granted it now: the longest part of the queue, from its head, that fits beside the shares which
-- were counted (decision 27). taken and capacity: with those weights and capacities. is_open: the whole queue fits and may be
-- joined by a share, so that it depends on its own weight alone whether a newcomer may be granted one. "most" are told at most.
-- weights, capacities: what they wait for; null: the whole key.
create function leasehold_internal._line(
  p_key text, p_counted bigint, p_taken bigint, p_capacity integer, most integer,
  out tokens uuid[], out weights integer[], out capacities integer[], out sessions integer[], out taken bigint,
  out capacity integer, out is_open boolean)
language plpgsql volatile
as $$
declare
  waiter record;
begin
  tokens := '{}';
  weights := '{}';
  capacities := '{}';
  sessions := '{}';
  taken := p_taken;
  capacity := p_capacity;
  is_open := true;
  for waiter in
    select w.token, w.session_id, w.weight, w.capacity
      from leasehold.waiters w
     where w.key = p_key and w.alive_until > clock_timestamp()
     order by w.ticket
  loop
    if waiter.weight is null then
      if p_counted = 0 and tokens = '{}' then
        tokens := array[waiter.token];
        weights := array[null::integer];
        capacities := array[null::integer];
        sessions := array[waiter.session_id];
      end if;
      is_open := false;
    elsif taken + waiter.weight > least(capacity, waiter.capacity) then
      is_open := false;
    else
      taken := taken + waiter.weight;
      capacity := least(capacity, waiter.capacity);
      tokens := tokens || waiter.token;
      weights := weights || waiter.weight;
      capacities := capacities || waiter.capacity;
      sessions := sessions || waiter.session_id;
      is_open := cardinality(tokens) < most;
    end if;
    exit when not is_open;
  end loop;
end
$$;
--> statement-breakpoint
-- The sessions of those that may be granted a key now, as far as can be told without a lock: who is next, or, where shares are
-- waited for, everybody who fits. Each once, and none for those without presence, who look by themselves.
create function leasehold_internal._sessions_to_wake(p_key text) returns integer[]
language plpgsql volatile
as $$
declare
  first record;
  counted record;
begin
  -- A key that nobody shares or wants to share: who is next.
  select w.session_id, w.weight, exists (select from leasehold.shares s where s.key = p_key) as is_shared
    into first
    from leasehold.waiters w
   where w.key = p_key and w.alive_until > clock_timestamp()
   order by w.ticket
   limit 1;
  if not found then
    return array[]::integer[];
  elsif first.weight is null and not first.is_shared then
    return case when first.session_id is null then array[]::integer[] else array[first.session_id] end;
  end if;
  counted := leasehold_internal._count_shares(p_key, false);
  return array(
    select distinct s.session
      from leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000) l
     cross join unnest(l.sessions) s (session)
     where s.session is not null);
end
$$;
--> statement-breakpoint
-- Who may be next for a key of which a share was let go: the session of the first waiter, if it is surely next; 0 if somebody
-- waits and notify_next has to find out who is next, once the release has committed (decision 27); null if nobody waits.
create function leasehold_internal._whom_to_tell(p_key text, leaving uuid) returns integer
language plpgsql volatile
as $$
declare
  first record;
begin
  select w.session_id, w.weight
    into first
    from leasehold.waiters w
   where w.key = p_key and w.alive_until > clock_timestamp() and w.token is distinct from leaving
   order by w.ticket
   limit 1;
  if not found then
    return null;
  end if;
  return case
    when first.weight is null and exists (select from leasehold.shares s where s.key = p_key) then 0
    else coalesce(first.session_id, 0)
  end;
end
$$;
--> statement-breakpoint
-- Why a share is no longer held: of its row, or (null) of one that is gone. Null if it still is.
create function leasehold_internal._share_loss(share leasehold.shares, lease leasehold.leases, held_fence bigint) returns text
language plpgsql volatile
as $$
begin
  return case
    when share.revoked_at is not null then 'forced'
    when share.released_at is not null then 'taken' -- by another who has the token
    when share.expires_at > clock_timestamp() then null
    when share.max_hold_until <= clock_timestamp() then 'max-hold'
    when share.expires_at is not null then 'expired'
    -- Removed by a later grant, unless there was none.
    when lease.fence = held_fence then 'expired'
    else 'taken'
  end;
end
$$;
--> statement-breakpoint
-- Frees the shares that these tokens hold, also expired ones, one by one. A null fence matches any. A row that a guard or
-- (p_held) a minimum hold keeps is marked instead of deleted. No row for an item: it has no share, or none with that fence.
create function leasehold_internal._free_shares(p_keys text[], p_tokens uuid[], p_fences bigint[], p_held boolean[])
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  asked record;
  share leasehold.shares;
  version tid;
  kept_until timestamptz;
begin
  for asked in
    select w.* from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as w (key, token, fence, held, item)
     order by w.key, w.token
  loop
    select s.* into share
      from leasehold.shares s
     where s.key = asked.key and s.token = asked.token and (asked.fence is null or s.fence = asked.fence);
    continue when not found;
    item := asked.item;
    next := null;
    select s.ctid into version
      from leasehold.shares s
     where s.key = asked.key and s.token = asked.token
       for no key update skip locked;
    if not found then
      -- A renewal is about to commit; or it was deleted just now.
      outcome := case
        when exists (select from leasehold.shares s where s.key = asked.key and s.token = asked.token) then 'busy'
        else 'gone'
      end;
      reason := case when outcome = 'gone' then 'expired' end;
    else
      select s.* into share from leasehold.shares s where s.ctid = version;
      -- Whoever obeys a release by force before its share ends has let go in time.
      reason := case
        when share.released_at is not null or share.expires_at <= clock_timestamp()
        then leasehold_internal._share_loss(share, null, share.fence)
      end;
      if share.released_at is not null then
        outcome := 'gone';
      else
        outcome := case when reason is null then 'released' else 'expired' end;
        kept_until := case when asked.held and reason is null and share.min_hold_ms > 0
          then share.acquired_at + share.min_hold_ms * interval '1 millisecond' end;
        delete from leasehold.shares s
         where s.ctid = (
                 select k.ctid from leasehold.shares k
                  where k.ctid = version and (kept_until is null or kept_until <= clock_timestamp())
                    for update skip locked);
        if not found then
          update leasehold.shares s
             set released_at = clock_timestamp(), hold_until = kept_until, session_id = null
           where s.ctid = version;
        end if;
        next := leasehold_internal._whom_to_tell(asked.key, asked.token);
      end if;
    end if;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
  end loop;
end
$$;
--> statement-breakpoint
-- Takes the shares of a key from their holders: the one with that fence, or all of them (null). Part of admin_force_release,
-- whose caller has the root locked, so that nobody is granted another meanwhile.
--
-- What is released is marked and not deleted, so that the next renewal of its holder is told why; whoever is granted the key
-- next removes it. holders: JSON of whom it was taken from, the oldest first. is_released: whether anything is free now.
-- free_at: when the last that was only revoked ends.
create function leasehold_internal._force_shares(
  p_key text, p_fence bigint, p_immediate boolean, out holders text, out is_released boolean, out free_at timestamptz)
language plpgsql volatile
-- Passes the key share of a guard. A renewal that is about to commit is waited for.
set lock_timeout = '500ms'
as $$
declare
  share leasehold.shares;
  is_live boolean;
  taken json[];
begin
  is_released := false;
  perform
     from leasehold.shares s
    where s.key = p_key and (p_fence is null or s.fence = p_fence)
    order by s.token
      for no key update;
  for share in
    select s.* from leasehold.shares s where s.key = p_key and (p_fence is null or s.fence = p_fence) order by s.fence
  loop
    continue when share.released_at is not null and coalesce(share.hold_until <= clock_timestamp(), true);
    -- Not one that was released, has expired, or is of a dead holder: there is nobody to wait for.
    is_live := share.released_at is null and share.expires_at > clock_timestamp()
      and not leasehold_internal._is_dead(share.session_id, share.takeover_ms);
    if is_live and not p_immediate then
      free_at := greatest(free_at, share.expires_at);
    else
      is_released := true;
    end if;
    update leasehold.shares s
       set revoked_at = coalesce(s.revoked_at, clock_timestamp()),
           session_id = case when is_live and not p_immediate then s.session_id end,
           released_at = case when not is_live or p_immediate then clock_timestamp() end,
           hold_until = null
     where s.key = p_key and s.token = share.token;
    if share.released_at is null then
      taken := taken || json_build_object(
        'owner', share.owner, 'fence', share.fence::text, 'weight', share.weight, 'session', share.session_id,
        'expires', leasehold_internal._ms(share.expires_at));
    end if;
  end loop;
  holders := array_to_json(taken)::text;
end
$$;
--> statement-breakpoint
-- The part of detach_lock that is about a share. Changes no key column, so it passes the guards of the share.
create function leasehold_internal._detach_share(
  p_key text, p_token uuid, p_fence bigint, p_ttl_ms integer, out outcome text, out expires float8, out reason text)
language plpgsql volatile
as $$
declare
  share leasehold.shares;
  version tid;
  moment timestamptz;
begin
  -- A renewal that is about to commit has it locked for a moment.
  for attempt in 1..3 loop
    select s.ctid into version
      from leasehold.shares s
     where s.key = p_key and s.token = p_token and s.fence = p_fence
       for no key update skip locked;
    exit when found or attempt = 3;
    perform pg_sleep(0.002);
  end loop;
  select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  reason := case
    when share.token is distinct from p_token then 'taken'
    else leasehold_internal._share_loss(share, null, p_fence)
  end;
  if reason is not null then
    outcome := 'lost';
  elsif version is null then
    outcome := 'busy';
  else
    moment := clock_timestamp();
    update leasehold.shares s
       set session_id = null,
           takeover_ms = null,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           expires_at = greatest(s.expires_at, least(moment + p_ttl_ms * interval '1 millisecond', s.max_hold_until))
     where s.ctid = version
    returning leasehold_internal._ms(s.expires_at) into expires;
    outcome := 'renewed';
  end if;
end
$$;
--> statement-breakpoint
-- The part of adopt that is about a share. Its token is part of a key, so the row is locked as for a deletion: whoever guards
-- the share in an open transaction is waited for.
create function leasehold_internal._adopt_share(
  p_session integer,
  p_takeover_ms integer,
  p_key text,
  p_token uuid,
  p_fence bigint,
  p_new_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_max_hold_ms bigint,
  p_not_after float8,
  p_former integer[],
  out outcome text,
  out reason text,
  out holder text,
  out acquired float8,
  out expires float8,
  out maxhold float8,
  out metadata text,
  out weight integer,
  out capacity integer
)
language plpgsql volatile
as $$
declare
  share leasehold.shares;
  version tid;
  successor integer;
  moment timestamptz;
begin
  -- A renewal that is about to commit has it locked for a moment.
  for attempt in 1..3 loop
    select s.ctid into version from leasehold.shares s where s.key = p_key and s.fence = p_fence for update skip locked;
    exit when found or attempt = 3;
    perform pg_sleep(0.002);
  end loop;
  select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  reason := case
    when share.token in (p_token, p_new_token) then leasehold_internal._share_loss(share, null, p_fence)
    else 'taken' -- by another who has adopted it
  end;
  successor := case
    when reason is null and version is not null then leasehold_internal._session_after_renewal(
      share.session_id, share.takeover_ms, p_session, p_former) end;
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
    reason := null;
  elsif reason is not null then
    outcome := 'lost';
  elsif version is null then
    outcome := 'busy';
  elsif successor <> p_session or successor is not null and p_session is null then
    outcome := 'attached';
    holder := share.owner;
  else
    outcome := 'adopted';
    moment := clock_timestamp();
    update leasehold.shares s
       set token = p_new_token,
           owner = p_owner,
           session_id = p_session,
           takeover_ms = case when p_session is not null then p_takeover_ms end,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           max_hold_until = least(s.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'),
           expires_at = greatest(
             case when s.token = p_new_token then s.expires_at end, -- its new holder believes in what it was answered
             least(
               moment + p_ttl_ms * interval '1 millisecond', s.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'))
     where s.ctid = version
    returning s.* into share;
    acquired := leasehold_internal._ms(share.acquired_at);
    expires := leasehold_internal._ms(share.expires_at);
    maxhold := leasehold_internal._ms(share.max_hold_until);
    metadata := share.metadata::text;
    weight := share.weight;
    capacity := share.capacity;
  end if;
end
$$;
--> statement-breakpoint
-- The part of renew that is about shares: answers for those of these items that have one, and for no others. Strict, as renew
-- is. Takes no lock of the root.
create function leasehold_internal._renew_shares(
  p_session integer, p_takeover_ms integer, p_ttl_ms integer, p_keys text[], p_tokens uuid[], p_fences bigint[],
  p_former integer[])
returns table (item integer, outcome text, expires float8, reason text)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  renewed integer[];
begin
  for item, expires in
    with locked as materialized (
      select w.item::integer, s.version, s.session_id, s.takeover_ms
        from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
        join lateral (
          select k.key, k.ctid as version, k.session_id, k.takeover_ms
            from leasehold.shares k
           where k.key = w.key and k.token >= w.token and k.token <= w.token and k.fence = w.fence
           order by k.token
           limit 1
             for no key update skip locked) s on s.key = w.key
    ),
    drawn as materialized (
      select clock_timestamp() as at, count(*) from locked
    )
    update leasehold.shares s
       set expires_at = case
             when p_ttl_ms is null then s.expires_at
             else greatest(s.expires_at, least(d.at + p_ttl_ms * interval '1 millisecond', s.max_hold_until))
           end,
           renewed_at = d.at,
           ttl_ms = coalesce(p_ttl_ms, s.ttl_ms),
           session_id = x.successor,
           takeover_ms = case when x.successor = p_session then p_takeover_ms when x.successor is not null then s.takeover_ms end
      from drawn d
     cross join (
        select k.item, k.version,
               case
                 when k.session_id is null or k.session_id = p_session then k.session_id
                 else leasehold_internal._session_after_renewal(k.session_id, k.takeover_ms, p_session, p_former)
               end as successor
          from locked k
         offset 0) x
     where s.ctid = x.version and s.expires_at > d.at and s.revoked_at is null and s.released_at is null
    returning x.item, leasehold_internal._ms(s.expires_at)
  loop
    outcome := 'renewed';
    renewed := renewed || item;
    return next;
  end loop;
  return query
    select w.item::integer, case when l.reason is null then 'busy' else 'lost' end, null::float8, l.reason
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join leasehold.shares s on s.key = w.key and s.token = w.token and s.fence = w.fence
     cross join lateral (select leasehold_internal._share_loss(s, null, w.fence) as reason) l
     where w.item <> all (coalesce(renewed, '{}'));
end
$$;
--> statement-breakpoint
-- The answers of _acquire_shares to those that were not granted: they join the queue, or are told who has the key. outcomes:
-- null, busy or late; those that are granted have their answer. Busy because somebody else has the root, or inserts it: worth
-- waiting for (acquire_busy); because of a share that an open transaction has locked: not.
create function leasehold_internal._refuse_shares(
  p_key text,
  p_session integer,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[],
  p_capacities integer[],
  outcomes text[],
  is_root_locked boolean
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
  nextlook float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  is_worth_waiting boolean;
  keeper integer; -- the process whose open transaction has a share locked
  places integer[] := array(
    select p.place
      from unnest(p_waits, outcomes) with ordinality p (waits, outcome, place)
     where p.waits and (p.outcome is null or p.outcome = 'busy')
     order by p.place);
begin
  select l.* into lease from leasehold.leases l where l.key = p_key;
  is_worth_waiting := not is_root_locked and (lease.key is null or (lease.token is null and lease.expires_at is null and lease.fence > 0));
  now := leasehold_internal._ms(clock_timestamp());
  if cardinality(places) > 0 then
    if not is_worth_waiting and 'busy' = any (outcomes) then
      -- One look at the server's locks for all of them.
      keeper := (select b.pid from leasehold_internal._blocker(p_key) b);
    end if;
    return query
      select p_items[e.item],
             -- Busy stays busy: it is to look again soon, from the queue.
             case when e.outcome = 'queued' then coalesce(outcomes[e.item], 'queued') else e.outcome end,
             null::bigint, null::float8, e.expires, e.ticket, e.holder, e.holderfence, e.holdersession,
             case
               when (e.outcome = 'busy' or outcomes[e.item] = 'busy') and is_worth_waiting then 0
               else e.nextlook
             end,
             case when e.outcome = 'queued' and outcomes[e.item] = 'busy' then keeper else e.blocker end,
             null::text, null::float8, now, e.proof
        from leasehold_internal._enqueue(
               p_key, p_session, places,
               array(select p_tokens[p] from unnest(places) p), array(select p_owners[p] from unnest(places) p),
               array(select p_not_after[p] from unnest(places) p), array(select p_tickets[p] from unnest(places) p),
               array(select p_proofs[p] from unnest(places) p), array(select p_weights[p] from unnest(places) p),
               array(select p_capacities[p] from unnest(places) p)) e;
  end if;
  if cardinality(places) < cardinality(p_items) then
    if lease.token is not null then
      expires := leasehold_internal._ms(lease.expires_at);
    elsif lease.hold_until > clock_timestamp() then
      expires := leasehold_internal._ms(lease.hold_until);
    elsif (lease.token is null and lease.expires_at is null and lease.fence > 0) then
      select leasehold_internal._ms(case when s.released_at is null then s.expires_at else s.hold_until end), s.owner, s.fence,
             s.session_id
        into expires, holder, holderfence, holdersession
        from leasehold.shares s
       where s.key = lease.key and not case
                                         when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                         else s.expires_at <= clock_timestamp()
                                       end
       order by s.fence
       limit 1;
    end if;
    if expires is not null and holderfence is null then
      holder := lease.owner;
      holderfence := lease.fence;
      holdersession := lease.session_id;
    end if;
    return query
      select p_items[p.place], coalesce(p.outcome, 'held'), null::bigint, null::float8, expires, null::bigint, holder,
             holderfence, holdersession,
             case when p.outcome = 'busy' and is_worth_waiting then 0::float8 end, null::integer,
             null::text, null::float8, now, null::bigint
        from unnest(p_waits, outcomes) with ordinality p (waits, outcome, place)
       where p.outcome is distinct from 'granted' and (p.waits and (p.outcome is null or p.outcome = 'busy')) is not true;
  end if;
end
$$;
--> statement-breakpoint
-- Whether a share can be removed without asking whether its session is dead.
create function leasehold_internal._has_ended(s leasehold.shares) returns boolean
language plpgsql volatile
as $$
begin
  return case
           when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
           else s.expires_at <= clock_timestamp()
         end;
end
$$;
--> statement-breakpoint
-- Which of these tokens have a share of the key, by their places.
create function leasehold_internal._places_of_shares(p_key text, tokens uuid[]) returns table (place integer)
language plpgsql stable
as $$
begin
  return query
    select t.place::integer
      from unnest(tokens) with ordinality t (token, place)
      join lateral (
        select s.key
          from leasehold.shares s
         where s.key = p_key and s.token >= t.token and s.token <= t.token
         order by s.token
         limit 1) s on s.key = p_key;
end
$$;
--> statement-breakpoint
-- The same grant of a share, asked for again: written once, so that this commit too waits until it is durable. outcome null: it
-- has ended, and its row is gone, so that it is granted anew. The caller holds the lock of the root.
create function leasehold_internal._repeat_share(
  p_key text, p_token uuid, p_session integer, p_takeover_ms integer, p_former integer[],
  out outcome text, out fence bigint, out acquired float8, out expires float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  share leasehold.shares;
begin
  select s.* into share from leasehold.shares s where s.key = p_key and s.token = p_token for no key update skip locked;
  if not found then
    outcome := 'busy'; -- a renewal is about to commit
  elsif share.revoked_at is not null and share.expires_at > clock_timestamp()
    or share.released_at is not null and not leasehold_internal._has_ended(share) then
    outcome := 'late'; -- nobody's to be granted, until it would have ended anyway
  elsif share.released_at is null and share.expires_at > clock_timestamp() then
    outcome := 'granted';
    fence := share.fence;
    acquired := leasehold_internal._ms(share.acquired_at);
    expires := leasehold_internal._ms(share.expires_at);
    update leasehold.shares s
       set session_id = case when s.session_id = any (p_former) then p_session else s.session_id end,
           takeover_ms = case when s.session_id = any (p_former) then p_takeover_ms else s.takeover_ms end
     where s.key = p_key and s.token = p_token;
    perform leasehold_internal._remove_entry(p_key, p_token);
  else
    -- An open transaction may still guard it.
    delete from leasehold.shares s
     where s.ctid = (select k.ctid from leasehold.shares k where k.key = p_key and k.token = p_token for update skip locked);
    outcome := case when not found then 'busy' end;
  end if;
end
$$;
--> statement-breakpoint
-- Looks of several claims that want shares of one key, each with its own terms (decision 27): all are decided under one lock of
-- its root. Answers for each what acquire_one does. Of one that was granted, nextlook says that others of the queue may be
-- granted now (1: of this session; 0: of others, too), and blocker, which capacity those who share the key have, if another.
create function leasehold_internal._acquire_shares(
  p_session integer,
  p_takeover_ms integer,
  p_careful boolean,
  p_is_alone boolean,
  p_key text,
  p_items integer[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[],
  p_capacities integer[],
  p_former integer[]
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
  nextlook float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  size integer := cardinality(p_tokens);
  outcomes text[] := array_fill(null::text, array[size]); -- null: not decided yet
  lease leasehold.leases;
  locked record;
  is_locked boolean := false;
  counted record;
  unended record;
  fitting record;
  line record;
  lapsed leasehold.shares;
  again record;
  stands boolean[] := array[]::boolean[]; -- in the part of the queue that fits, by their place in the arrays
  chosen integer[] := array[]::integer[]; -- those that are granted one now
  moment timestamptz;
  first_fence bigint;
  may_fit boolean := false;
  has_more float8;
  has_twins boolean; -- whether a token is asked for more than once
begin
  if exists (
    select from unnest(p_weights, p_capacities, p_tokens) t (weight, capacity, token)
     where t.token is null or (t.weight >= 1 and t.weight <= coalesce(t.capacity, 1)) is not true) then
    perform leasehold_internal._refuse_terms();
  end if;
  if size > 1 then
    has_twins := (select count(distinct t.token) < size from unnest(p_tokens) t (token));
  end if;

  if p_careful then
    perform leasehold_internal._create_free_lease(p_key);
  end if;
  select l.* into lease from leasehold.leases l
                        where l.key >= p_key and l.key <= p_key
                        order by l.key desc
                        limit 1;
  if lease.key is null and not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_key)) then
    -- A free root, in the same transaction as the grant. Whoever inserts a key holds this lock (decision 20).
    insert into leasehold.leases (key, fence, ttl_ms, released_at) values (p_key, 0, 0, clock_timestamp()) on conflict do nothing;
    select l.* into lease from leasehold.leases l
                          where l.key >= p_key and l.key <= p_key
                          order by l.key desc
                          limit 1;
  end if;

  -- A hint: who cannot be granted leaves the root alone, so that looks never make others find it busy. Who joins the queue if
  -- it is not granted has to lock it anyway.
  if lease.key is null then
    outcomes := array_fill('busy'::text, array[size]);
  elsif leasehold_internal._is_root_free(lease) then
    may_fit := not lease.queued or p_waits[1] and p_tickets[1] is null
      or coalesce(leasehold_internal._queue_head(p_key) = any (p_tokens), false); -- woken, as a rule
    if not may_fit then
      counted := leasehold_internal._count_shares(p_key, false);
      line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
      may_fit := line.is_open or line.tokens && p_tokens;
    end if;
  end if;
  if may_fit or (lease.token is null and lease.expires_at is null and lease.fence > 0) and exists (select from leasehold_internal._places_of_shares(p_key, p_tokens)) then
    select l.ctid as version, l as lease into locked from leasehold.leases l
                                                     where l.key >= p_key and l.key <= p_key
                                                     order by l.key desc
                                                     limit 1 for update skip locked;
    is_locked := found;
    if not is_locked and p_is_alone then
      perform leasehold_internal._wait_for_lease(p_key, true);
      select l.ctid as version, l as lease into locked from leasehold.leases l
                                                       where l.key >= p_key and l.key <= p_key
                                                       order by l.key desc
                                                       limit 1 for update skip locked;
      is_locked := found;
    end if;
    if not is_locked then
      outcomes := array_fill('busy'::text, array[size]);
    end if;
  end if;

  -- With the lock it is a decision, each part in a statement that begins after the lock (rule 3).
  if is_locked then
    lease := locked.lease;
    if leasehold_internal._is_root_free(lease) then
      counted := leasehold_internal._count_shares(p_key, true);
      -- The same token again.
      if counted.counted > 0 then
        for again in
          select t.place, r.outcome, r.fence, r.acquired, r.expires
            from leasehold_internal._places_of_shares(p_key, p_tokens) t
           cross join lateral leasehold_internal._repeat_share(p_key, p_tokens[t.place], p_session, p_takeover_ms, p_former) r
        loop
          outcomes[again.place] := again.outcome;
          if again.outcome = 'granted' then
            item := p_items[again.place]; outcome := 'granted'; fence := again.fence;
            acquired := again.acquired; expires := again.expires; now := leasehold_internal._ms(clock_timestamp());
            return next;
          elsif again.outcome is null then
            counted := leasehold_internal._count_shares(p_key, true); -- it had ended, and is gone
          end if;
        end loop;
      end if;
      if counted.ended > 0 then
        lapsed := leasehold_internal._remove_shares(p_key, greatest(10, size), false);
        counted := leasehold_internal._count_shares(p_key, true);
      end if;
      line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
      -- None of them fits: once all that has ended is gone, perhaps.
      if counted.counted > 0 and not line.tokens && p_tokens and not (line.is_open and exists (
        select from unnest(p_weights, p_capacities) t (weight, capacity)
         where line.taken + t.weight <= coalesce(least(line.capacity, t.capacity), 2147483647))) then
        if counted.ended > 0 then
          lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, false), lapsed);
        end if;
        lapsed := coalesce(leasehold_internal._remove_shares(p_key, 1000, true), lapsed);
        if counted.ended > 0 or lapsed.key is not null then
          counted := leasehold_internal._count_shares(p_key, true);
          line := leasehold_internal._line(p_key, counted.counted, counted.taken, counted.capacity, 10000);
        end if;
      end if;
      -- Those that stand in the part of the queue that fits. An entry of the same token on other terms stands for what is not
      -- asked for any more: it goes, and is made anew.
      if line.tokens && p_tokens then
        for again in
          select t.place::integer, w.weight = t.weight and w.capacity is not distinct from t.capacity as is_same
            from unnest(p_tokens, p_weights, p_capacities) with ordinality t (token, weight, capacity, place)
            join unnest(line.tokens, line.weights, line.capacities) w (token, weight, capacity) on w.token = t.token
        loop
          if again.is_same then
            stands[again.place] := true;
          else
            perform leasehold_internal._remove_entry(p_key, p_tokens[again.place]);
            outcomes[again.place] := 'busy';
          end if;
        end loop;
      end if;
      now := leasehold_internal._ms(clock_timestamp());
      -- First they; then, if all of the queue fits, those that do not stand in it.
      for place in 1..size loop
        if outcomes[place] is not null then
          continue;
        elsif has_twins and p_tokens[place] = any (p_tokens[1:place - 1]) then
          -- One of them is decided. The others look again, and find what it was granted.
          item := p_items[place]; outcome := 'busy'; fence := null; acquired := null; expires := null;
          return next;
          outcomes[place] := 'granted'; -- answered
        elsif now >= p_not_after[place] then
          outcomes[place] := 'late';
        elsif stands[place] then
          outcomes[place] := 'granted';
          chosen := chosen || place;
        elsif line.is_open then
          if line.taken + p_weights[place] <= coalesce(least(line.capacity, p_capacities[place]), 2147483647) then
            line.taken := line.taken + p_weights[place];
            line.capacity := least(line.capacity, p_capacities[place]);
            outcomes[place] := 'granted';
            chosen := chosen || place;
          elsif p_waits[place] then
            line.is_open := false; -- it stands in the queue from now on, ahead of the rest
          end if;
        end if;
      end loop;
      -- An open transaction keeps one that has ended: it guards it, or is about to commit its end. Who fits without it has not
      -- been refused.
      if counted.ended > 0 and array_position(outcomes, null) is not null then
        unended := leasehold_internal._count_shares(p_key, false);
        fitting := leasehold_internal._line(p_key, unended.counted, unended.taken, unended.capacity, 10000);
        for place in 1..size loop
          if outcomes[place] is null
            and (p_tokens[place] = any (fitting.tokens)
                 or fitting.is_open
                   and fitting.taken + p_weights[place] <= coalesce(least(fitting.capacity, p_capacities[place]), 2147483647))
          then
            outcomes[place] := 'busy';
          end if;
        end loop;
      end if;
    end if;
  end if;

  if cardinality(chosen) > 0 then
    -- Who waits and fits, too, and is not among them.
    if cardinality(line.tokens) > 0 then
      has_more := (
        select min(case when t.session is not distinct from p_session then 1 else 0 end)
          from unnest(line.tokens, line.sessions) t (token, session)
         where t.token <> all (array(select p_tokens[c.place] from unnest(chosen) c (place))));
    end if;
    -- Also entries that have expired: one could come back, and stand for a claim that has its grant.
    if exists (select from leasehold.waiters w where w.key = p_key) then
      delete from leasehold.waiters w
       where w.ctid = any (array(
         select d.version
           from unnest(chosen) c (place)
           join lateral (
             select k.key, k.ctid as version
               from leasehold.waiters k
              where k.key = p_key and k.token >= p_tokens[c.place] and k.token <= p_tokens[c.place]
              order by k.token
              limit 1
                for update skip locked) d on d.key = p_key));
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
    elsif lapsed.key is not null then
      holder := lapsed.owner;
      holderfence := lapsed.fence;
      holdersession := lapsed.session_id;
      takeover := case when lapsed.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
      since := leasehold_internal._ms(case takeover
        when 'expired' then lapsed.expires_at
        else (select s.seen_at from leasehold.sessions s where s.id = lapsed.session_id)
      end);
    end if;

    moment := clock_timestamp();
    first_fence := greatest(lease.fence + 1, coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                                                         from leasehold.fence_epoch e
                                                        where e.id and e.server_start = pg_postmaster_start_time()
                                                          and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence()));
    -- The arrays are read in one pass: to look up each item in each of them takes a time that grows with its place.
    return query
      with asked as materialized (
        select t.*, first_fence + c.number - 1 as fence, c.number,
               moment + least(t.ttl_ms, t.max_hold_ms) * interval '1 millisecond' as until
          from unnest(chosen) with ordinality c (place, number)
          join unnest(p_items, p_tokens, p_weights, p_capacities, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata)
                 with ordinality t (item, token, weight, capacity, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, place)
            on t.place = c.place
      ),
      granted as (
        insert into leasehold.shares as s (
          key, token, fence, weight, capacity, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
          acquired_at, renewed_at, expires_at, metadata)
        select p_key, a.token, a.fence, a.weight, a.capacity, a.owner, p_session, a.ttl_ms, p_takeover_ms, a.min_hold_ms,
               moment + a.max_hold_ms * interval '1 millisecond', moment, moment, a.until, a.metadata::jsonb
          from asked a
      )
      -- The first of them took over; the last one passes the word on.
      select a.item, 'granted', a.fence, leasehold_internal._ms(moment), leasehold_internal._ms(a.until), null::bigint, f.holder,
             f.holderfence, f.holdersession, case when a.number = cardinality(chosen) then has_more end,
             case when counted.capacity <> a.capacity then counted.capacity end, f.takeover, f.since,
             leasehold_internal._ms(clock_timestamp()), null::bigint
        from asked a
        left join (values (1, holder, holderfence, holdersession, takeover, since))
          f (number, holder, holderfence, holdersession, takeover, since) on f.number = a.number;
    update leasehold.leases l
       set token = null,
           fence = first_fence + cardinality(chosen) - 1,
           owner = p_owners[chosen[1]],
           session_id = null,
           takeover_ms = null,
           min_hold_ms = 0,
           max_hold_until = null,
           acquired_at = moment,
           renewed_at = null,
           expires_at = null, -- of no exclusive grant: so none can be guarded in an open transaction
           hold_until = null,
           revoked_at = null,
           queued = true,
           metadata = null,
           released_at = moment,
           acquisitions = l.acquisitions + cardinality(chosen)
     where l.ctid = locked.version;
    holder := null; holderfence := null; holdersession := null; takeover := null; since := null;
  end if;
  -- What is left is told who has the key, and those who wait join the queue.
  if ('granted' = all (outcomes)) is not true then
    return query select a.* from leasehold_internal._refuse_shares(
      p_key, p_session, p_items, p_tokens, p_owners, p_not_after, p_waits, p_tickets, p_proofs, p_weights, p_capacities,
      outcomes, is_locked) a;
  end if;
end
$$;
--> statement-breakpoint
-- Those of a batch of looks that want shares of one key. Places: which they are.
create function leasehold_internal._look_for_shares(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_key text,
  places integer[],
  p_tokens uuid[],
  p_owners text[],
  p_ttls integer[],
  p_min_holds integer[],
  p_max_holds bigint[],
  p_metadata text[],
  p_not_after float8[],
  p_waits boolean[],
  p_tickets bigint[],
  p_proofs bigint[],
  p_weights integer[],
  p_capacities integer[],
  p_former integer[]
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
  nextlook float8,
  blocker integer,
  takeover text,
  since float8,
  now float8,
  proof bigint
)
language plpgsql volatile
as $$
#variable_conflict use_column
begin
  if p_takeover_ms < 0 or exists (
    select from unnest(places) p (place)
     where leasehold_internal._are_terms_valid(
             p_owners[p.place], p_ttls[p.place], p_min_holds[p.place], p_max_holds[p.place], p_metadata[p.place]) is not true
  ) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    return query
      select p.place, 'unproven', null::bigint, null::float8, null::float8, null::bigint, null::text, null::bigint, null::integer,
             null::float8, null::integer, null::text, null::float8, leasehold_internal._ms(clock_timestamp()), null::bigint
        from unnest(places) p (place);
    return;
  end if;
  return query
    select a.*
      from (
        select array_agg(p.place order by p.number) as items,
               array_agg(p_tokens[p.place] order by p.number) as tokens,
               array_agg(p_owners[p.place] order by p.number) as owners,
               array_agg(p_ttls[p.place] order by p.number) as ttls,
               array_agg(p_min_holds[p.place] order by p.number) as min_holds,
               array_agg(p_max_holds[p.place] order by p.number) as max_holds,
               array_agg(p_metadata[p.place] order by p.number) as metadata,
               array_agg(p_not_after[p.place] order by p.number) as not_after,
               array_agg(p_waits[p.place] order by p.number) as waits,
               array_agg(p_tickets[p.place] order by p.number) as tickets,
               array_agg(p_proofs[p.place] order by p.number) as proofs,
               array_agg(p_weights[p.place] order by p.number) as weights,
               array_agg(p_capacities[p.place] order by p.number) as capacities
          from unnest(places) with ordinality p (place, number)) x
     cross join lateral leasehold_internal._acquire_shares(
       p_session, p_takeover_ms, p_careful, false, p_key, x.items, x.tokens, x.owners, x.ttls, x.min_holds, x.max_holds,
       x.metadata, x.not_after, x.waits, x.tickets, x.proofs, x.weights, x.capacities, p_former) a;
end
$$;
--> statement-breakpoint
-- Looks of a batch of claims that ask for shares on the same terms, answered as by acquire_first. One key as a rule: then all
-- are decided under one lock of its root. p_not_after: one for all, or one for each. p_tickets, p_proofs: null for those that
-- have none yet.
create function leasehold_internal.acquire_shares(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_waits boolean,
  p_not_after float8[],
  p_keys text[],
  p_tokens uuid[],
  p_former integer[],
  p_weight integer,
  p_capacity integer,
  p_tickets bigint[],
  p_proofs bigint[],
  out fences text,
  out acquired float8,
  out expires float8,
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set extra_float_digits = 1
set lock_timeout = '100ms'
as $$
declare
  size integer := cardinality(p_keys);
  is_one_key boolean := p_keys = array_fill(p_keys[1], array[size]);
  not_after float8[] := p_not_after;
  tickets bigint[] := coalesce(p_tickets, array_fill(null::bigint, array[size]));
  proofs bigint[] := coalesce(p_proofs, array_fill(null::bigint, array[size]));
  asked record;
  plain integer[];
  drawn bigint[];
  more text;
  answers text;
  given text[] := array_fill(null::text, array[size]);
  is_granted boolean;
  has_grant boolean := false;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or size > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(size);
  end if;
  if p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    others := (
      select '['
             || string_agg('[' || i || ',"unproven",null,null,null,null,null,null,null,null,null,null,null,null]', ',' order by i)
             || ']'
        from generate_subscripts(p_keys, 1) i);
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;
  if cardinality(not_after) < size then
    not_after := array_fill(not_after[1], array[size]);
  end if;

  -- Rule 5. Of grants of several keys, the earliest end.
  for asked in
    select p_keys[1] as key, null::integer[] as items, size as count where is_one_key
    union all
    select k.* from (
      select w.key, array_agg(w.item::integer order by w.item), count(*)::integer
        from unnest(p_keys) with ordinality w (key, item)
       where not is_one_key
       group by w.key
       order by w.key) k
  loop
    select array_agg(a.item) filter (where a.is_plain), array_agg(a.fence) filter (where a.is_plain),
           least(acquire_shares.acquired, min(a.acquired) filter (where a.is_plain)),
           least(acquire_shares.expires, min(a.expires) filter (where a.is_plain)),
           string_agg(case when not a.is_plain then json_build_array(a.item, a.outcome, a.fence::text, a.acquired, a.expires, a.ticket::text, a.holder, a.holderfence::text, a.holdersession, a.nextlook,
                                                                             a.blocker, a.takeover, a.since, a.proof::text)::text end, ','),
           bool_or(a.outcome = 'granted')
      into plain, drawn, acquired, expires, more, is_granted
      from (
        select l.*, l.outcome = 'granted' and l.takeover is null and l.nextlook is null and l.blocker is null as is_plain
          from leasehold_internal._acquire_shares(
                 p_session, p_takeover_ms, false, is_one_key, asked.key,
                 case when is_one_key then array(select generate_series(1, size)) else asked.items end,
                 case when is_one_key then p_tokens else array(select p_tokens[i] from unnest(asked.items) i) end,
                 array_fill(p_owner, array[asked.count]), array_fill(p_ttl_ms, array[asked.count]),
                 array_fill(p_min_hold_ms, array[asked.count]), array_fill(p_max_hold_ms, array[asked.count]),
                 array_fill(p_metadata, array[asked.count]),
                 case when is_one_key then not_after else array(select not_after[i] from unnest(asked.items) i) end,
                 array_fill(p_waits, array[asked.count]),
                 case when is_one_key then tickets else array(select tickets[i] from unnest(asked.items) i) end,
                 case when is_one_key then proofs else array(select proofs[i] from unnest(asked.items) i) end,
                 array_fill(p_weight, array[asked.count]), array_fill(p_capacity, array[asked.count]), p_former) l
        offset 0) a;
    answers := nullif(concat_ws(',', answers, more), '');
    has_grant := has_grant or is_granted;
    for i in 1 .. coalesce(cardinality(plain), 0) loop
      given[plain[i]] := drawn[i];
    end loop;
  end loop;
  others := '[' || answers || ']';
  fences := array_to_string(given, ',', '');

  -- Rule 9.
  if not has_grant then
    perform set_config('synchronous_commit', 'off', true);
  elsif (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
    perform leasehold_internal._commit_durably();
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Waits for the root of a shared key that somebody else has locked, or is about to insert, for 200 ms at most: another grant
-- that is being committed, for nobody can guard the root while shares are granted. Under SKIP LOCKED alone 93 % of 64 readers
-- that came together were refused, and a writer needed up to 6.6 s to join the queue.
create function leasehold_internal._lock_shared_root(p_key text) returns void
language plpgsql volatile
set lock_timeout = '200ms'
as $$
begin
  perform from leasehold.leases l where l.key = p_key and l.token is null and l.expires_at is null for update;
  if not found then
    if not exists (select from leasehold.leases l where l.key = p_key) then
      perform pg_advisory_xact_lock(leasehold_internal._key_lock(p_key));
    end if;
  end if;
end
$$;
--> statement-breakpoint
-- Looks at one key that is shared and whose root somebody else had locked, once that is over. Holds nothing else meanwhile, so it
-- keeps nobody waiting in turn.
create function leasehold_internal.acquire_busy(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
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
  p_proofs bigint[],
  p_former integer[],
  p_weights integer[],
  p_capacities integer[]
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
  nextlook float8,
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
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._lock_shared_root(p_keys[1]);
  return query
    select a.*
      from leasehold_internal.acquire(
        p_session, p_nonce, p_takeover_ms, false, p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata,
        p_not_after, p_waits, p_tickets, p_proofs, p_former, p_weights, p_capacities) a;
end
$$;
--> statement-breakpoint
-- Frees shares. others: as release answers; the session of who is next may be 0, see _whom_to_tell.
create function leasehold_internal.release_shares(
  p_relaxed boolean,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  freed integer[];
  waited text;
  missed text;
  ignored text;
begin
  perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
  with locked as materialized (
    select w.item::integer, s.version
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join lateral (
        select k.key, k.ctid as version
          from leasehold.shares k
         where k.key = w.key and k.token >= w.token and k.token <= w.token and k.fence = w.fence
           and k.released_at is null and k.revoked_at is null and k.expires_at > clock_timestamp()
           and (k.min_hold_ms = 0 or k.acquired_at + k.min_hold_ms * interval '1 millisecond' <= clock_timestamp())
         order by k.token
         limit 1
           for update skip locked) s on s.key = w.key
  ),
  gone as (
    delete from leasehold.shares s using locked k where s.ctid = k.version
    returning k.item
  )
  select array_agg(g.item order by g.item) into freed from gone g;

  -- Once per key: whoever waits for it.
  waited := (
    select string_agg(json_build_array(f.item, 'released', null, f.next)::text, ',')
      from (
        select k.item, leasehold_internal._whom_to_tell(k.key, null) as next
          from (select p_keys[i] as key, min(i) as item from unnest(freed) i group by p_keys[i]) k
        offset 0) f
     where f.next is not null);
  if coalesce(cardinality(freed), 0) < cardinality(p_keys) then
    missed := (
      with left_over as (
        select array_agg(w.item::integer) as items, array_agg(w.key) as keys, array_agg(w.token) as tokens,
               array_agg(w.fence) as fences
          from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
         where w.item <> all (coalesce(freed, '{}'))
      )
      select string_agg(json_build_array(m.items[f.item], f.outcome, f.reason, f.next)::text, ',')
        from left_over m
       cross join lateral leasehold_internal._free_leases(
         m.keys, m.tokens, m.fences, array_fill(true, array[cardinality(m.keys)])) f
       where f.outcome <> 'released' or f.next is not null);
  end if;
  others := '[' || nullif(concat_ws(',', waited, missed), '') || ']';

  if p_relaxed then
    ignored := set_config('synchronous_commit', 'off', true);
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Notifies, with the commit, who may be granted a key after a release: all that fit, where shares are waited for. next: what
-- the release answered; null: nobody waits. In the transaction that releases this may miss one (decision 27), who looks
-- within a second.
create function leasehold_internal._wake_next(p_key text, next integer) returns void
language plpgsql volatile
as $$
begin
  if next is not null then
    perform leasehold_internal._wake(w.session)
       from (select unnest(leasehold_internal._sessions_to_wake(p_key)) union select nullif(next, 0)) w (session);
  end if;
end
$$;
--> statement-breakpoint
-- Notifies the sessions of those that may be granted each key now, with the commit (rule 10): of who is next, or, where shares
-- are waited for, of all that fit. It begins after the release has committed, so that of two who let go together one sees both
-- (decision 27). Not the session that asks: it is told for which keys it is meant itself (JSON; null: none), and wakes its own
-- waiters.
--
-- A transaction of its own. Commits that notify wait for each other over the whole server, also for one that waits for a
-- standby which is away. So it waits for 100 ms at most, and nothing but a hint is lost with it.
create function leasehold_internal.notify_next(p_session integer, p_keys text[]) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  asked text;
  next_session integer;
  told integer[] := array[]::integer[];
  own text[] := array[]::text[];
begin
  perform leasehold_internal._check_batch_size(cardinality(p_keys)),
          set_config('synchronous_commit', 'off', true),
          set_config('lock_timeout', '100', true); -- also while it commits: so no SET clause
  foreach asked in array p_keys loop
    foreach next_session in array leasehold_internal._sessions_to_wake(asked) loop
      if next_session = p_session then
        own := own || asked;
      elsif next_session <> all (told) then
        told := told || next_session;
        perform leasehold_internal._wake(next_session);
      end if;
    end loop;
  end loop;
  return to_json(nullif(own, '{}'))::text;
end
$$;
--> statement-breakpoint
-- The advisory lock for inserting a key (decision 20). It has 64 bits, and a seed of our own because applications lock such
-- hashes, too. With the 32 bits of the two-number form, one uncommitted key among 77,000 others held up an unrelated key with
-- even odds. Keys that share all 64 bits wait for each other until the transaction ends, but are never taken for one key.
create function leasehold_internal._key_lock(key text) returns bigint
language sql immutable parallel safe
return hashtextextended(key collate "C", 1279480141);
--> statement-breakpoint
-- Whether a key can be granted to who asks for it alone: the only predicate for that. It decides only on a row that the caller
-- has locked (rule 3), and then counts every share that is still there (decision 27).
create function leasehold_internal._is_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  -- No share outlives an exclusive grant, so a key that nobody shares costs no look at them. Not in one expression: one with a
  -- subquery costs a run of the executor, even if that is not reached.
  if (lease.token is null and lease.expires_at is null and lease.fence > 0) then
    return not exists (select from leasehold.shares s where s.key = lease.key);
  end if;
  if lease.token is null then
    return lease.hold_until is null or lease.hold_until <= clock_timestamp();
  end if;
  return lease.expires_at <= clock_timestamp() or leasehold_internal._is_dead(lease.session_id, lease.takeover_ms);
end
$$;
--> statement-breakpoint
-- The same on a row that is not locked, as a hint: shares that have ended do not count, for who locks the row removes them
-- first.
create function leasehold_internal._may_be_grantable(lease leasehold.leases) returns boolean
language plpgsql volatile
as $$
begin
  if (lease.token is null and lease.expires_at is null and lease.fence > 0) then
    return not exists (
      select from leasehold.shares s where s.key = lease.key and not case
                                                                       when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                                                       else s.expires_at <= clock_timestamp()
                                                                     end and not (s.released_at is null and s.session_id is not null
                                                                                                 and (s.takeover_ms = 0
                                                                                                      or exists (
                                                                                                        select from leasehold.sessions p
                                                                                                         where p.id = s.session_id
                                                                                                           and greatest(p.seen_at, pg_postmaster_start_time()) + s.takeover_ms * interval '1 millisecond' < clock_timestamp()))));
  end if;
  return leasehold_internal._is_grantable(lease);
end
$$;
--> statement-breakpoint
-- The session that a lease has after p_session renews it (decision 17). It changes only when the old session cannot come back:
-- it is a former one of the caller, or an attached SQL connection that has ended. A session that is confirmed dead may be a
-- process that was cut off for long and returns under its number, so that lease goes on by its TTL alone. If any renewal took
-- the lease over, the end of a helper that renews would free the key while the holder, whose heartbeats go on, still believes
-- in it (4.9 s).
create function leasehold_internal._session_after_renewal(
  session integer, takeover integer, p_session integer, p_former integer[]
) returns integer
language plpgsql volatile
as $$
begin
  if session = p_session or session = any (p_former) then
    return p_session;
  elsif session is null then
    return null;
  elsif pg_try_advisory_xact_lock_shared(1279480140, session)
    and not leasehold_internal._holds_presence(session)
    and exists (select from leasehold.sessions s where s.id = session and s.version = 'sql') then
    return p_session;
  elsif leasehold_internal._is_dead(session, takeover) then
    return null;
  end if;
  return session;
end
$$;
--> statement-breakpoint
-- The fence of a new row is drawn just before there is a row to lock (rule 4). If the server process freezes in between, the
-- key may be granted, released and purged before it goes on, and its fence would be too old. A purge comes after a minute at
-- the earliest, see leasehold.sweep.
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
--> statement-breakpoint
-- When a waiter should look again without being woken: at the expiry, at the end of a minimum hold, or when a silent session
-- counts as dead. Where others share the key: who wants it alone, when the last of them may have ended, who wants a share, the
-- first.
create function leasehold_internal._next_look(lease leasehold.leases, wants_all boolean) returns float8
language plpgsql volatile
as $$
declare
  first timestamptz;
  last timestamptz;
begin
  if lease.token is null then
    if (lease.token is null and lease.expires_at is null and lease.fence > 0) then
      select min(e.ends), max(e.ends)
        into first, last
        from leasehold.shares s
       cross join lateral (
         select case when s.released_at is not null then s.hold_until
                  else least(s.expires_at, leasehold_internal._silent_until(s.session_id, s.takeover_ms))
                end as ends) e
       where s.key = lease.key and e.ends > clock_timestamp();
      return leasehold_internal._ms(case when wants_all then last else first end);
    end if;
    return leasehold_internal._ms(lease.hold_until);
  end if;
  return leasehold_internal._ms(
    least(lease.expires_at, leasehold_internal._silent_until(lease.session_id, lease.takeover_ms)));
end
$$;
--> statement-breakpoint
-- Postgres writes out the exponents of JSON numbers: 65,536 bytes of 1e131071 would be a gigabyte for every reader. Metadata of
-- 5,000 levels would crash every program that lists leases, because JSON.stringify overflows the stack; so would a lease that
-- may be held into the year 287,000, which no Date can express. Not part of _are_terms_valid, which would prepare the regular
-- expression at each call, with or without metadata.
create function leasehold_internal._is_metadata_valid(metadata text) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return coalesce(octet_length(metadata) <= 65536
                  and (metadata !~ '[0-9][eE]' or octet_length(metadata::jsonb::text) <= 4194304), true)
     and coalesce(octet_length(metadata) - octet_length(translate(metadata, '[{', '')) <= 100
                  or not jsonb_path_exists(metadata::jsonb, 'strict $.**{101 to last}'), true);
end
$$;
--> statement-breakpoint
-- Whether the terms of an acquire are within their bounds. The client checks the same before; this is for callers without it.
create function leasehold_internal._are_terms_valid(
  owner text, ttl_ms integer, min_hold_ms integer, max_hold_ms bigint, metadata text
) returns boolean
language sql immutable parallel safe
return coalesce(octet_length(owner) between 1 and 256 and ttl_ms >= 1 and min_hold_ms >= 0, false)
   and coalesce(max_hold_ms between 1 and 2147483647, true)
   and (metadata is null or leasehold_internal._is_metadata_valid(metadata));
--> statement-breakpoint
-- A statement of a client has at most 1,000 items. A longer one would lock its rows for too long.
create function leasehold_internal._check_batch_size(items integer) returns void
language plpgsql immutable
as $$
begin
  if items > 1000 then
    raise exception using errcode = 'LH003',
      message = format('one call takes 1000 items at most, not %s', items), hint = 'Send them in parts.';
  end if;
end
$$;
--> statement-breakpoint
-- The error for terms that are not within their bounds, see _are_terms_valid.
create function leasehold_internal._refuse_terms() returns void
language plpgsql volatile
as $$
begin
  raise exception using errcode = '22023', message = 'a token, an owner, a duration or metadata is not within its bounds',
    detail = 'Owner: 1 to 256 bytes. TTL and maximum hold: 1 ms to 2147483647 ms. Minimum hold: 0 or more. '
      'Metadata: 65536 bytes of JSON and 100 levels at most.';
end
$$;
--> statement-breakpoint
-- Grants keys that have no row yet, by inserting it. The caller holds the advisory locks of the keys. One moment and one
-- fence for all of them, as in parts/grant.sql, the other place that knows what a grant writes. To insert a free row and to
-- grant that like any other was tried: the first version of a row was narrower than the next, so that pages were overfull,
-- and 8 % of all renewals of 10,000 leases were not HOT any more.
create function leasehold_internal._insert_grant(
  p_keys text[],
  p_tokens uuid[],
  p_items integer[],
  p_session integer,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  out items integer[],
  out fences text,
  out moment timestamptz,
  out until timestamptz
)
language plpgsql volatile
as $$
declare
  drawn bigint := coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                              from leasehold.fence_epoch e
                             where e.id and e.server_start = pg_postmaster_start_time()
                               and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence());
begin
  moment := clock_timestamp();
  until := moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond';
  with granted as (
    insert into leasehold.leases as l (
      key, token, fence, owner, session_id, ttl_ms, takeover_ms, min_hold_ms, max_hold_until,
      acquired_at, renewed_at, expires_at, metadata, acquisitions)
    select x.key, x.token, drawn, p_owner, p_session, p_ttl_ms, p_takeover_ms, p_min_hold_ms,
           moment + p_max_hold_ms * interval '1 millisecond', moment, moment, until, p_metadata::jsonb, 1
      from unnest(p_keys, p_tokens) as x (key, token)
     order by x.key
    on conflict do nothing
    returning l.token, l.fence
  )
  select array_agg(x.item order by x.item), string_agg(g.fence::text, ',' order by x.item)
    into items, fences
    from granted g join unnest(p_tokens, p_items) as x (token, item) on x.token = g.token;
  perform leasehold_internal._refuse_stale_insert(moment);
end
$$;
--> statement-breakpoint
-- Locks a lease that somebody else has locked, if that takes no longer than 5 ms (rule 6): a grant that is being committed, or
-- somebody who joins the queue. To come back 50 ms later instead left a hot key idle for that long after a fifth of its
-- releases.
create function leasehold_internal._wait_for_lease(waited_key text, for_grant boolean) returns void
language plpgsql volatile
set lock_timeout = '5ms'
as $$
begin
  if for_grant then
    perform from leasehold.leases l where l.key >= waited_key and l.key <= waited_key order by l.key desc limit 1 for update;
  else
    perform
       from leasehold.leases l
      where l.key >= waited_key and l.key <= waited_key
      order by l.key desc
      limit 1
        for no key update;
  end if;
exception when lock_not_available or deadlock_detected then
  null;
end
$$;
--> statement-breakpoint
-- One look at a key by a claim, with all that may come of it: the grant, a takeover, an entry in the queue. Reads before it
-- writes: a try that fails leaves no trace in the WAL. Most looks come alone, and with a scalar for each term they cost the
-- server half as much. p_is_alone: there are no others in this transaction, so it may wait for a moment. p_careful: the key has
-- no row, and to insert one would wait for another transaction (rule 6): only _create_free_lease tries, for 5 ms. nextlook:
-- when a waiter should look again. p_weight, p_capacity: a share is asked for, see _acquire_shares; null: the whole key.
create function leasehold_internal.acquire_one(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_careful boolean,
  p_key text,
  p_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_not_after float8,
  p_waits boolean,
  p_ticket bigint,
  p_proof bigint,
  p_former integer[],
  p_is_alone boolean default true,
  p_weight integer default null,
  p_capacity integer default null,
  out outcome text,
  out fence bigint,
  out acquired float8,
  out expires float8,
  out ticket bigint,
  out holder text,
  out holderfence bigint,
  out holdersession integer,
  out nextlook float8,
  out blocker integer,
  out takeover text,
  out since float8,
  out now float8,
  out proof bigint
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  locked record;
  is_locked boolean := false;
  ignored text;
  won record;
  secret bytea;
  lapsed leasehold.shares;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() then
    perform leasehold_internal._check_transaction();
  end if;
  if p_token is null or p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;

  if p_weight is not null then
    select a.outcome, a.fence, a.acquired, a.expires, a.ticket, a.holder, a.holderfence, a.holdersession, a.nextlook, a.blocker,
           a.takeover, a.since, a.now, a.proof
      into outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since, now,
           proof
      from leasehold_internal._acquire_shares(
             p_session, p_takeover_ms, p_careful, p_is_alone, p_key, array[1], array[p_token], array[p_owner], array[p_ttl_ms],
             array[p_min_hold_ms], array[p_max_hold_ms], array[p_metadata], array[p_not_after], array[p_waits], array[p_ticket],
             array[p_proof], array[p_weight], array[p_capacity], p_former) a;
    if outcome <> 'granted' then
      ignored := set_config('synchronous_commit', 'off', true);
    elsif (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
      perform leasehold_internal._commit_durably();
    end if;
    return;
  end if;

  if p_careful then
    perform leasehold_internal._create_free_lease(p_key);
  end if;
  if p_ticket is not null then
    -- A waiter that was woken, as a rule: the key is free, it is next, and nobody shared it. One statement that locks instead of
    -- one that reads, one that asks who is next, and one that locks.
    select l.ctid as version, l as lease
      into locked
      from leasehold.leases l
     where l.ctid = (select n.ctid from leasehold.leases n where n.key >= p_key and n.key <= p_key order by n.key desc limit 1)
       and l.token is null and (l.hold_until is null or l.hold_until <= clock_timestamp())
       and coalesce(
         (select w.token
            from leasehold.waiters w
           where w.key = p_key and w.alive_until > clock_timestamp()
           order by w.ticket
           limit 1) = p_token, true)
       and l.expires_at is not null -- not shared
       for update skip locked;
    is_locked := found;
    lease := locked.lease;
  end if;
  if not is_locked then
    select l.* into lease from leasehold.leases l
                          where l.key >= p_key and l.key <= p_key
                          order by l.key desc
                          limit 1;
  end if;

  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
  elsif lease.key is null then
    -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
    outcome := 'busy';
    if not p_careful and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_key)) then
      won := leasehold_internal._insert_grant(
        array[p_key], array[p_token], array[1], p_session, p_takeover_ms, p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms,
        p_metadata);
      if won.items is not null then
        outcome := 'granted';
        lease.fence := won.fences::bigint;
        lease.acquired_at := won.moment;
        lease.expires_at := won.until;
      end if;
    end if;
  elsif lease.token = p_token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
    -- The same grant, asked for again: written once, so that this commit too waits until it is durable. Once it was taken
    -- away by force it is nobody's to be granted, and this token waits for its end like the others.
    update leasehold.leases l
       set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
           takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
     where l.key = (
             select k.key from leasehold.leases k
              where k.key = p_key and k.token = p_token
                for no key update skip locked)
       and l.expires_at > clock_timestamp() and l.revoked_at is null
    returning l.* into lease;
    outcome := case when found then 'granted' else 'busy' end;
    if found then
      perform leasehold_internal._remove_entry(p_key, p_token);
    end if;
  else
    outcome := 'held';
    -- Without the lock this is a hint: who cannot be next leaves the row alone, so that looks never make the head find it
    -- busy.
    if is_locked or leasehold_internal._is_next(lease, p_token) and leasehold_internal._may_be_grantable(lease) then
      if not is_locked then
        select l.ctid as version, l as lease
          into locked
          from leasehold.leases l
          where l.key >= p_key and l.key <= p_key
          order by l.key desc
          limit 1
           for update skip locked;
        is_locked := found;
        if not is_locked and p_is_alone then
          perform leasehold_internal._wait_for_lease(p_key, true);
          select l.ctid as version, l as lease
            into locked
            from leasehold.leases l
            where l.key >= p_key and l.key <= p_key
            order by l.key desc
            limit 1
             for update skip locked;
          is_locked := found;
        end if;
        lease := locked.lease;
      end if;
      if not is_locked then
        outcome := 'busy';
        select l.* into lease from leasehold.leases l where l.key = p_key;
      -- With the lock it is a decision, each part in a statement that begins after the lock (rule 3).
      elsif leasehold_internal._ms(clock_timestamp()) >= p_not_after then
        outcome := 'late';
      elsif leasehold_internal._is_next(lease, p_token) then
        if (lease.token is null and lease.expires_at is null and lease.fence > 0) then
          lapsed := leasehold_internal._clear_shares(p_key);
        end if;
        if leasehold_internal._is_grantable(lease) then
          outcome := 'granted';
        elsif ((lease.token is null and lease.expires_at is null and lease.fence > 0) and not exists (select from leasehold.shares s where s.key = lease.key and not case
                                                                                                                 when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                                                                                                 else s.expires_at <= clock_timestamp()
                                                                                                               end)) then
          if p_waits and lapsed.key is not null then
            nextlook := 0; -- there were more of them than are removed at a time
          else
            outcome := 'busy';
          end if;
        end if;
      end if;
      if outcome = 'granted' then
        if lease.queued then
          perform leasehold_internal._leave_queue(p_key, p_token);
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
        elsif lapsed.key is not null then
          holder := lapsed.owner;
          holderfence := lapsed.fence;
          holdersession := lapsed.session_id;
          takeover := case when lapsed.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
          since := leasehold_internal._ms(case takeover
            when 'expired' then lapsed.expires_at
            else (select s.seen_at from leasehold.sessions s where s.id = lapsed.session_id)
          end);
        end if;
        update leasehold.leases l
           set token = x.token,
               fence = greatest(l.fence + 1, x.drawn),
               owner = p_owner,
               session_id = p_session,
               ttl_ms = p_ttl_ms,
               takeover_ms = p_takeover_ms,
               min_hold_ms = p_min_hold_ms,
               max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',
               acquired_at = x.moment,
               renewed_at = x.moment,
               expires_at = x.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond',
               hold_until = null,
               revoked_at = null,
               queued = x.queued,
               metadata = p_metadata::jsonb,
               released_at = null,
               acquisitions = l.acquisitions + 1
          from (
            select p_token as token, clock_timestamp() as moment, coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                                                                              from leasehold.fence_epoch e
                                                                             where e.id and e.server_start = pg_postmaster_start_time()
                                                                               and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence()) as drawn,
                   lease.queued and exists (select from leasehold.waiters w where w.key = p_key) as queued) x
         where l.ctid = locked.version
        returning l.fence, l.acquired_at, l.expires_at into lease.fence, lease.acquired_at, lease.expires_at;
      end if;
    end if;

    if p_waits and outcome in ('held', 'busy') then
      if p_ticket is not null then
        -- A look that finds its entry writes no more often than the entry needs.
        update leasehold.waiters w
           set alive_until = clock_timestamp() + interval '3 seconds', weight = null, capacity = null
         where w.ctid = (
           select a.ctid
             from leasehold.waiters a
            where a.key = p_key and a.token >= p_token and a.token <= p_token
              and (a.alive_until < clock_timestamp() + interval '2500 milliseconds' or a.weight is not null)
            order by a.token
            limit 1
              for update skip locked);
        ticket := leasehold_internal._ticket_of(p_key, p_token);
      end if;
      if ticket is null then
        secret := (select s.secret from leasehold_internal.ticket_secret s where s.id);
        -- Rule 7. This lock passes a guard's key share.
        select l.*
          into lease
          from leasehold.leases l
          where l.key >= p_key and l.key <= p_key
          order by l.key desc
          limit 1
           for no key update skip locked;
        if not found and p_is_alone then
          perform leasehold_internal._wait_for_lease(p_key, false);
          select l.*
            into lease
            from leasehold.leases l
            where l.key >= p_key and l.key <= p_key
            order by l.key desc
            limit 1
             for no key update skip locked;
        end if;
        if found then
          insert into leasehold.waiters as w (key, ticket, token, session_id, owner, enqueued_at, alive_until)
          values (p_key,
                  -- The old position, unless a crash forgot that it was given away and gave it to another.
                  case
                    when p_ticket is not null and p_proof = leasehold_internal._ticket_proof(secret, p_key, p_token, p_ticket)
                     and (
                       select o.token <> p_token
                         from leasehold.waiters o
                        where o.key = p_key and o.ticket >= p_ticket and o.ticket <= p_ticket
                        order by o.ticket
                        limit 1) is not true
                    then p_ticket
                    else (coalesce((select e.epoch from leasehold.fence_epoch e where e.id and e.server_start = pg_postmaster_start_time()), leasehold_internal._epoch()) << 40) + nextval('leasehold.tickets')
                  end,
                  p_token, p_session, p_owner, clock_timestamp(), clock_timestamp() + interval '3 seconds')
          on conflict (key, token) do update set alive_until = excluded.alive_until, weight = null, capacity = null
          returning w.ticket into ticket;
          if not lease.queued then
            update leasehold.leases l set queued = true where l.key = p_key;
          end if;
          -- Freed since the hint was read: nobody was told to wake us, so we look again at once.
          if outcome = 'held' and leasehold_internal._may_be_grantable(lease) then
            nextlook := 0;
          elsif lease.token is null then
            -- A share that is being released may have been let go without seeing us.
            nextlook := leasehold_internal._ms(clock_timestamp() + interval '50 milliseconds');
          end if;
        else
          outcome := 'busy';
          select l.* into lease from leasehold.leases l where l.key = p_key;
        end if;
      end if;
      if ticket is not null then
        proof := case
          when ticket = p_ticket then p_proof
          else leasehold_internal._ticket_proof(coalesce(secret, leasehold_internal._ticket_secret()), p_key, p_token, ticket)
        end;
      end if;
      if outcome = 'held' then
        outcome := 'queued';
        nextlook := coalesce(nextlook, leasehold_internal._next_look(lease, true));
        -- A holder who chose no delay is dead as soon as its session is. Nothing tells us, so the head of the queue looks
        -- often: it takes over in 64 ms as a rule, instead of half a second. A look that changes nothing writes nothing.
        if lease.session_id is not null and lease.takeover_ms = 0 and leasehold_internal._is_next(lease, p_token) then
          nextlook := least(nextlook, leasehold_internal._ms(clock_timestamp() + interval '80 milliseconds'));
        end if;
      end if;
    end if;
  end if;

  now := leasehold_internal._ms(clock_timestamp());
  if outcome = 'granted' then
    fence := lease.fence;
    acquired := leasehold_internal._ms(lease.acquired_at);
    expires := leasehold_internal._ms(lease.expires_at);
  else
    if lease.token is not null then
      expires := leasehold_internal._ms(lease.expires_at);
    elsif lease.hold_until > clock_timestamp() then
      expires := leasehold_internal._ms(lease.hold_until);
    elsif (lease.token is null and lease.expires_at is null and lease.fence > 0) then
      select leasehold_internal._ms(case when s.released_at is null then s.expires_at else s.hold_until end), s.owner, s.fence,
             s.session_id
        into expires, holder, holderfence, holdersession
        from leasehold.shares s
       where s.key = lease.key and not case
                                         when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                         else s.expires_at <= clock_timestamp()
                                       end
       order by s.fence
       limit 1;
    end if;
    if expires is not null and holderfence is null then
      holder := lease.owner;
      holderfence := lease.fence;
      holdersession := lease.session_id;
    end if;
    -- A try has nobody to tell it to.
    if outcome = 'busy' then
      if (lease.token is null and lease.expires_at is null and lease.fence > 0) and (not is_locked or lapsed.key is not null) then
        nextlook := 0; -- at once, by acquire_busy
      elsif p_waits then
        blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
      end if;
    end if;
  end if;

  -- Rule 9. An entry in the queue does not survive a crash anyway, and whoever holds or is next must not find the row locked
  -- while it is written to the disk.
  if outcome <> 'granted' then
    ignored := set_config('synchronous_commit', 'off', true);
  elsif (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
--> statement-breakpoint
-- Looks of several claims, each with its own terms. p_careful: see acquire_one. p_weights, p_capacities: what is asked for of a
-- key that is shared; null, or a null weight: the whole key.
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
  p_former integer[] default null,
  p_weights integer[] default null,
  p_capacities integer[] default null
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
  nextlook float8,
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
set plan_cache_mode = force_generic_plan
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  asked record;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
  durability text := current_setting('synchronous_commit');
  has_grant boolean := false;
  head uuid; -- of the queue of the last item's key
  holding uuid; -- the token that has that key
  items integer[]; -- who waits for that key behind the head
  tokens uuid[];
  owners text[];
  not_afters float8[];
  tickets bigint[];
  proofs bigint[];
  shared integer[]; -- who wants a share of that key
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_batch_size(cardinality(p_keys));
  -- One by one, in key order (rule 5).
  for asked in
    select u.*, lead(u.key) over (order by u.key, u.item) is not distinct from u.key as has_next
      from unnest(p_keys, p_tokens, p_owners, p_ttls, p_min_holds, p_max_holds, p_metadata, p_not_after, p_waits,
                  p_tickets, p_proofs, p_weights) with ordinality
        as u (key, token, owner, ttl_ms, min_hold_ms, max_hold_ms, metadata, not_after, waits, ticket, proof, weight, item)
     order by u.key, u.item
  loop
    if asked.weight is not null then
      shared := shared || asked.item::integer;
      is_done[asked.item] := true;
    end if;
    if shared is not null and not asked.has_next then
      for item, outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since,
          now, proof in
        select a.item, a.outcome, a.fence, a.acquired, a.expires, a.ticket, a.holder, a.holderfence, a.holdersession, a.nextlook,
               a.blocker, a.takeover, a.since, a.now, a.proof
          from leasehold_internal._look_for_shares(
                 p_session, p_nonce, p_takeover_ms, p_careful, asked.key, shared, p_tokens, p_owners, p_ttls, p_min_holds,
                 p_max_holds, p_metadata, p_not_after, p_waits, p_tickets, p_proofs, p_weights, p_capacities, p_former) a
      loop
        has_grant := has_grant or outcome = 'granted';
        return next;
      end loop;
      shared := null;
    end if;
    -- Behind somebody who was told his position just now: with all the others of this key, at its end.
    if head is not null and asked.weight is null and asked.waits and asked.token <> head
      and asked.token is distinct from holding then
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
        select s.item, s.outcome, null::bigint, null::float8, s.expires, s.ticket, s.holder, s.holderfence, s.holdersession,
               s.nextlook, s.blocker, null::text, null::float8, leasehold_internal._ms(clock_timestamp()), s.proof
          from leasehold_internal._enqueue(asked.key, p_session, items, tokens, owners, not_afters, tickets, proofs) s;
      items := null; tokens := null; owners := null; not_afters := null; tickets := null; proofs := null;
    end if;
    if is_done[asked.item] then
      head := case when asked.has_next then head end;
      continue;
    end if;

    item := asked.item;
    select a.*
      into outcome, fence, acquired, expires, ticket, holder, holderfence, holdersession, nextlook, blocker, takeover, since, now,
           proof
      from leasehold_internal.acquire_one(
             p_session, p_nonce, p_takeover_ms, p_careful, asked.key, asked.token, asked.owner, asked.ttl_ms,
             asked.min_hold_ms, asked.max_hold_ms, asked.metadata, asked.not_after, asked.waits, asked.ticket, asked.proof,
             p_former, false) a;
    if not asked.has_next then
      head := null;
    elsif outcome = 'queued' then
      head := leasehold_internal._queue_head(asked.key);
      holding := (
        select l.token from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1);
    end if;
    has_grant := has_grant or outcome = 'granted';
    return next;
  end loop;

  -- The last look had the last word about the commit, not the one that was granted (rule 9).
  if has_grant then
    perform set_config('synchronous_commit', durability, true);
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
--> statement-breakpoint
-- The first attempts of a batch of claims that ask for the same terms. One answer: for those that were granted at once, one
-- moment (acquired, expires) and their fences, separated by commas, empty where it was not granted. others: for each of the
-- others what acquire answers, as JSON: [[item, outcome, fence, acquired, expires, ticket, holder, holderfence,
-- holdersession, nextlook, blocker, takeover, since, proof], ...].
--
-- Rules 1, 3 and 4: first all rows are locked, each only if nobody else has it, then moment and fence are drawn, one for
-- all. The newest version of a row is found as newest_lease.sql says. Only in a batch the old versions of a held key are gone
-- through: to read first costs 0.9 us of 6.7 per row.
--
-- One key has statements of its own, and what they leave goes to acquire_one; of several, what is left goes to acquire.
create function leasehold_internal.acquire_first(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_waits boolean,
  p_not_after float8,
  p_keys text[],
  p_tokens uuid[],
  p_former integer[],
  out fences text,
  out acquired float8,
  out expires float8,
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set extra_float_digits = 1
set lock_timeout = '100ms'
as $$
declare
  items integer[]; -- what was granted
  missing integer[];
  held integer[];
  answers text;
  more text;
  new_keys text[]; -- what has no row yet, with its tokens and items
  new_tokens uuid[];
  new_items integer[];
  durability text;
begin
  -- In one condition: each costs a lone acquire 4 us.
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or cardinality(p_keys) > 1000
    or p_takeover_ms < 0 or array_position(p_tokens, null) is not null
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
    perform leasehold_internal._refuse_terms();
  end if;

  if cardinality(p_keys) = 1 then
    if not p_waits then
      -- A try of a key that is surely held: a plain read that leaves no trace, and is all that is done. The answer is put
      -- together by hand: json_build_array() takes 12 us longer.
      select '[[1,"held",null,null,' || leasehold_internal._ms(l.expires_at) || ',null,' || to_json(l.owner)
               || ',"' || l.fence || '",' || coalesce(l.session_id::text, 'null') || ',null,null,null,null,null]]',
             '', leasehold_internal._ms(clock_timestamp())
        into others, fences, now
        from (
          select k.token, k.expires_at, k.owner, k.fence, k.session_id
            from leasehold.leases k
           where k.key >= p_keys[1] and k.key <= p_keys[1]
           order by k.key desc
           limit 1) l
       where l.token <> p_tokens[1] and l.expires_at > clock_timestamp()
         and leasehold_internal._ms(clock_timestamp()) < p_not_after
         and (l.session_id is null or not pg_try_advisory_xact_lock_shared(1279480140, l.session_id))
         and (select p_session is null
                     or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                        and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                             or leasehold_internal._holds_presence(p_session)));
      if found then
        return;
      end if;
    end if;
    -- One statement of its own, and nothing else for a key that is free: 90 us of 570 less for the server.
    with locked as materialized (
      select k.ctid as version
        from leasehold.leases k
       where k.ctid = (
               select n.ctid from leasehold.leases n where n.key >= p_keys[1] and n.key <= p_keys[1] order by n.key desc limit 1)
         and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())
         and (select p_session is null
                     or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                        and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                             or leasehold_internal._holds_presence(p_session)))
         for update skip locked
    )
    update leasehold.leases l
       set token = x.token,
           fence = greatest(l.fence + 1, x.drawn),
           owner = p_owner,
           session_id = p_session,
           ttl_ms = p_ttl_ms,
           takeover_ms = p_takeover_ms,
           min_hold_ms = p_min_hold_ms,
           max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',
           acquired_at = x.moment,
           renewed_at = x.moment,
           expires_at = x.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond',
           hold_until = null,
           revoked_at = null,
           queued = x.queued,
           metadata = p_metadata::jsonb,
           released_at = null,
           acquisitions = l.acquisitions + 1
      from (
        select k.version, p_tokens[1] as token, clock_timestamp() as moment, coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                                                                                         from leasehold.fence_epoch e
                                                                                        where e.id and e.server_start = pg_postmaster_start_time()
                                                                                          and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence()) as drawn,
               false as queued
          from locked k) x
     where l.ctid = x.version and leasehold_internal._ms(x.moment) < p_not_after
    returning l.fence, leasehold_internal._ms(l.acquired_at), leasehold_internal._ms(l.expires_at),
              leasehold_internal._ms(clock_timestamp())
      into fences, acquired, expires, now;
    if found then
      if (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
        perform leasehold_internal._commit_durably();
      end if;
      return;
    end if;
    select case
             when not a.is_plain then json_build_array(json_build_array(1, a.outcome, a.fence::text, a.acquired, a.expires, a.ticket::text, a.holder, a.holderfence::text, a.holdersession, a.nextlook,
                                                                           a.blocker, a.takeover, a.since, a.proof::text))::text
           end,
           case when a.is_plain then a.fence::text else '' end, a.acquired, a.expires, a.now
      into others, fences, acquired, expires, now
      from (
        select l.*, l.outcome = 'granted' and l.takeover is null as is_plain
          from leasehold_internal.acquire_one(
                 p_session, p_nonce, p_takeover_ms, false, p_keys[1], p_tokens[1], p_owner, p_ttl_ms, p_min_hold_ms,
                 p_max_hold_ms, p_metadata, p_not_after, p_waits, null, null, p_former) l) a;
    return;
  end if;

  with locked as materialized (
    select w.token, w.item, l.version
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      join lateral (
        select k.key, k.ctid as version
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
           and k.token is null and not k.queued and (k.hold_until is null or k.hold_until <= clock_timestamp())
         order by k.key desc
         limit 1
           for update skip locked) l on l.key = w.key
     where (select p_session is null
                   or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                      and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                           or leasehold_internal._holds_presence(p_session)))
  ),
  -- Counted first: so all are locked when this is drawn.
  stamp as materialized (
    select c.moment, coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                                 from leasehold.fence_epoch e
                                where e.id and e.server_start = pg_postmaster_start_time()
                                  and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence()) as drawn
      from (select count(*) as size, clock_timestamp() as moment from locked) c
     where c.size > 0 and leasehold_internal._ms(c.moment) < p_not_after
  ),
  granted as (
    update leasehold.leases l
       set token = x.token,
           fence = greatest(l.fence + 1, x.drawn),
           owner = p_owner,
           session_id = p_session,
           ttl_ms = p_ttl_ms,
           takeover_ms = p_takeover_ms,
           min_hold_ms = p_min_hold_ms,
           max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',
           acquired_at = x.moment,
           renewed_at = x.moment,
           expires_at = x.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond',
           hold_until = null,
           revoked_at = null,
           queued = x.queued,
           metadata = p_metadata::jsonb,
           released_at = null,
           acquisitions = l.acquisitions + 1
      from (select k.version, k.token, k.item, s.moment, s.drawn, false as queued from stamp s cross join locked k) x
     where l.ctid = x.version
    returning x.item, l.fence
  )
  select array_agg(g.item::integer order by g.item), string_agg(g.fence::text, ',' order by g.item),
         (select leasehold_internal._ms(s.moment) from stamp s),
         (select leasehold_internal._ms(s.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond') from stamp s),
         leasehold_internal._ms(clock_timestamp())
    into items, fences, acquired, expires, now
    from granted g;
  if cardinality(items) = cardinality(p_keys) then
    if (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
      perform leasehold_internal._commit_durably();
    end if;
    return;
  end if;

  if leasehold_internal._ms(clock_timestamp()) < p_not_after then
    -- What has no row yet; and, for those who do not wait, what is surely held: a plain read that leaves no trace.
    select array_agg(w.item::integer) filter (where l.key is null),
           array_agg(w.item::integer) filter (where l.key is not null),
           string_agg(json_build_array(w.item, 'held', null, null, leasehold_internal._ms(l.expires_at), null, l.owner,
             l.fence::text, l.session_id, null, null, null, null, null)::text, ',') filter (where l.key is not null)
      into missing, held, answers
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      left join lateral (
        select k.key, k.token, k.expires_at, k.owner, k.fence, k.session_id
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1) l on true
     where not exists (select from unnest(items) as i (item) where i.item = w.item)
       and (l.key is null
            or not p_waits and l.token <> w.token and l.expires_at > clock_timestamp()
               and (l.session_id is null or not pg_try_advisory_xact_lock_shared(1279480140, l.session_id)))
       and (select p_session is null
                   or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                      and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                           or leasehold_internal._holds_presence(p_session)));

    if missing is not null then
      -- A twin that another transaction has inserted and not yet committed would be waited for: whoever inserts holds this
      -- advisory lock until then (decision 20). At most 100 of them, for all advisory locks of a server share one small table.
      select array_agg(m.key), array_agg(p_tokens[m.item]), array_agg(m.item)
        into new_keys, new_tokens, new_items
        from (
          select w.key, w.item, row_number() over (order by w.key) as number
            from (select distinct on (p_keys[i]) p_keys[i] as key, i as item from unnest(missing) as i order by p_keys[i], i) w
        ) m
       where m.number > 100 or pg_try_advisory_xact_lock(leasehold_internal._key_lock(m.key));
    end if;
    if new_keys is not null and leasehold_internal._ms(clock_timestamp()) < p_not_after then
      -- In the order of the items.
      select array_agg(a.item order by a.item), string_agg(a.fence, ',' order by a.item),
             coalesce(acquired, leasehold_internal._ms(min(a.moment))), coalesce(expires, leasehold_internal._ms(min(a.until)))
        into items, fences, acquired, expires
        from (
          select o.item, o.fence, null::timestamptz as moment, null::timestamptz as until
            from unnest(items, string_to_array(fences, ',')) as o (item, fence)
          union all
          select n.item, n.fence, g.moment, g.until
            from leasehold_internal._insert_grant(
                   new_keys, new_tokens, new_items, p_session, p_takeover_ms,
                   p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) g
           cross join unnest(g.items, string_to_array(g.fences, ',')) as n (item, fence)) a;
    end if;
  end if;

  -- The rest one by one: held or expired, orphaned, cooling, waited for, locked by somebody, or asked for twice.
  if items is null or cardinality(items) < cardinality(p_keys) then
    if coalesce(cardinality(items), 0) + coalesce(cardinality(held), 0) < cardinality(p_keys) then
      durability := current_setting('synchronous_commit');
      select string_agg(json_build_array(x.items[a.item], a.outcome, a.fence::text, a.acquired, a.expires, a.ticket::text, a.holder, a.holderfence::text, a.holdersession, a.nextlook,
                                                          a.blocker, a.takeover, a.since, a.proof::text)::text, ',')
        into more
        from (
          select array_agg(w.item::integer order by w.item) as items,
                 array_agg(w.key order by w.item) as keys,
                 array_agg(w.token order by w.item) as tokens,
                 array[count(*)::integer] as size
            from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
           where not exists (select from unnest(items) as i (item) where i.item = w.item)
             and not exists (select from unnest(held) as h (item) where h.item = w.item)
        ) x
       cross join lateral leasehold_internal.acquire(
         p_session, p_nonce, p_takeover_ms, false, x.keys, x.tokens, array_fill(p_owner, x.size), array_fill(p_ttl_ms, x.size),
         array_fill(p_min_hold_ms, x.size), array_fill(p_max_hold_ms, x.size), array_fill(p_metadata, x.size),
         array_fill(p_not_after, x.size), array_fill(p_waits, x.size), array_fill(null::bigint, x.size), null, p_former) a;
      answers := concat_ws(',', answers, more);
      if items is not null then
        perform set_config('synchronous_commit', durability, true);
      end if;
    end if;
    others := '[' || answers || ']';
    if items is null then
      fences := repeat(',', cardinality(p_keys) - 1);
    else
      fences := (
        select string_agg(coalesce(g.fence, ''), ',' order by w.item)
          from generate_subscripts(p_keys, 1) as w (item)
          left join unnest(items, string_to_array(fences, ',')) as g (item, fence) on g.item = w.item);
    end if;
  end if;

  if items is not null and (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
    perform leasehold_internal._commit_durably();
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Grants several keys at once: all or none, or, p_takes_prefix, the longest run of them from the first on that can be granted
-- (decision 26). The keys are distinct, and come in the order of their bytes, each with a token of its own. One answer for each
-- grant, and one for the first key that was not granted: busy, if its row is locked, else held. outcome "more": so many keys had
-- no row that only some were inserted, and nothing was granted; ask again. p_careful: as in acquire_one.
--
-- A key that somebody waits for is not granted: to ask for several is to try. Waits for nothing.
create function leasehold_internal.acquire_all(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_owner text,
  p_ttl_ms integer,
  p_min_hold_ms integer,
  p_max_hold_ms bigint,
  p_metadata text,
  p_takes_prefix boolean,
  p_careful boolean,
  p_not_after float8,
  p_keys text[],
  p_tokens uuid[],
  p_former integer[]
) returns table (
  item integer,
  outcome text,
  fence bigint,
  acquired float8,
  expires float8,
  holder text,
  holderfence bigint,
  holdersession integer,
  takeover text,
  since float8,
  now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '100ms'
as $$
#variable_conflict use_column
declare
  size integer := cardinality(p_keys); -- how many are still to be granted: a prefix becomes shorter
  absent integer; -- how many have no row
  new_keys text[]; -- some of these
  inserted integer;
  items integer[]; -- those that were locked
  doubtful record;
  refused integer; -- the first that is not granted
  is_busy boolean := false;
  ours integer[]; -- what these tokens hold already
  is_next boolean;
  lapsed leasehold.shares;
  taken integer[]; -- what is taken over, with from whom, how and since when
  holders text[];
  fences bigint[];
  sessions integer[];
  reasons text[];
  sinces float8[];
  queued integer[]; -- those that had a queue
  lease leasehold.leases;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or size > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(size);
  end if;
  if p_takeover_ms < 0 or array_position(p_tokens, null) is not null or cardinality(p_tokens) <> size
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, p_min_hold_ms, p_max_hold_ms, p_metadata) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) or leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := case when (select p_session is null
                                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                                         or leasehold_internal._holds_presence(p_session))) then 'late' else 'unproven' end;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  -- A plain read first: a try that is sure to fail leaves no trace, and what cannot be granted is not locked (rule 6).
  absent := 0;
  for doubtful in
    select w.item::integer as item, w.token, l.lease, l.queued is null as is_absent
      from unnest(p_keys, p_tokens) with ordinality as w (key, token, item)
      left join lateral (
        select k as lease, k.token, k.queued, k.hold_until
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1) l on true
     where l.queued is null or l.queued or l.token is not null or l.hold_until > clock_timestamp()
     order by w.item
  loop
    if doubtful.is_absent then
      absent := absent + 1;
      continue;
    end if;
    lease := doubtful.lease;
    if lease.token = doubtful.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
      continue;
    end if;
    if not (leasehold_internal._is_next(lease, doubtful.token) and leasehold_internal._may_be_grantable(lease)) then
      refused := doubtful.item;
      exit;
    end if;
  end loop;
  if refused is not null then
    size := case when p_takes_prefix then refused - 1 else 0 end;
  end if;

  if size > 0 and absent > 0 then
    -- At most 100 of them, for all advisory locks of a server share one small table (decision 20).
    select array_agg(m.key order by m.item)
      into new_keys
      from (
        select w.key, w.item
          from unnest(p_keys[1:size]) with ordinality as w (key, item)
         where not exists (
           select from leasehold.leases k where k.key >= w.key and k.key <= w.key order by k.key desc limit 1)
         order by w.item
         limit 100) m;
    if p_careful then
      perform leasehold_internal._create_free_lease(n.key) from unnest(new_keys) as n (key);
      inserted := (select count(*) from leasehold.leases l where l.key = any (new_keys));
    else
      -- Whoever inserts a key holds this lock until its transaction ends: a twin that is not committed yet is not waited for.
      insert into leasehold.leases (key, fence, ttl_ms, released_at)
      select n.key, 0, 0, clock_timestamp()
        from unnest(new_keys) as n (key)
       where pg_try_advisory_xact_lock(leasehold_internal._key_lock(n.key))
      on conflict do nothing;
      get diagnostics inserted = row_count;
    end if;
    if absent > 100 and inserted > 0 then
      outcome := 'more';
      now := leasehold_internal._ms(clock_timestamp());
      perform set_config('synchronous_commit', 'off', true);
      return next;
      return;
    end if;
  end if;

  if size > 0 then
    -- Rule 1. The newest version of a row is found as newest_lease.sql says.
    select array_agg(w.item::integer order by w.item)
      into items
      from unnest(p_keys[1:size]) with ordinality as w (key, item)
      join lateral (
        select k.key
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key
         order by k.key desc
         limit 1
           for update skip locked) l on l.key = w.key;
    if coalesce(cardinality(items), 0) < size then
      refused := (select min(i) from generate_series(1, size) as i where i <> all (coalesce(items, '{}')));
      is_busy := true;
      size := case when p_takes_prefix then refused - 1 else 0 end;
    end if;
  end if;

  if size > 0 then
    -- With the locks it is a decision, in statements that begin after them (rule 3).
    for doubtful in
      select w.item::integer as item, w.token, l.lease
        from unnest(p_keys[1:size], p_tokens[1:size]) with ordinality as w (key, token, item)
        join lateral (
          select k as lease, k.token, k.queued, k.hold_until
            from leasehold.leases k
           where k.key >= w.key and k.key <= w.key
           order by k.key desc
           limit 1) l on true
       where l.queued or l.token is not null or l.hold_until > clock_timestamp()
       order by w.item
    loop
      lease := doubtful.lease;
      if lease.token = doubtful.token and lease.expires_at > clock_timestamp() and lease.revoked_at is null then
        ours := ours || doubtful.item;
        continue;
      end if;
      is_next := leasehold_internal._is_next(lease, doubtful.token);
      lapsed := null;
      if is_next and (lease.token is null and lease.expires_at is null and lease.fence > 0) then
        lapsed := leasehold_internal._clear_shares(lease.key);
      end if;
      if not (is_next and leasehold_internal._is_grantable(lease)) then
        refused := doubtful.item;
        is_busy := is_next and ((lease.token is null and lease.expires_at is null and lease.fence > 0) and not exists (select from leasehold.shares s where s.key = lease.key and not case
                                                                                                                                  when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                                                                                                                  else s.expires_at <= clock_timestamp()
                                                                                                                                end));
        size := case when p_takes_prefix then refused - 1 else 0 end;
        exit;
      end if;
      takeover := null;
      if lease.token is not null then
        holder := lease.owner;
        holderfence := lease.fence;
        holdersession := lease.session_id;
        takeover := case when lease.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
        since := leasehold_internal._ms(case takeover
          when 'expired' then lease.expires_at
          else (select s.seen_at from leasehold.sessions s where s.id = lease.session_id)
        end);
      elsif lapsed.key is not null then
        holder := lapsed.owner;
        holderfence := lapsed.fence;
        holdersession := lapsed.session_id;
        takeover := case when lapsed.expires_at <= clock_timestamp() then 'expired' else 'orphaned' end;
        since := leasehold_internal._ms(case takeover
          when 'expired' then lapsed.expires_at
          else (select s.seen_at from leasehold.sessions s where s.id = lapsed.session_id)
        end);
      end if;
      if takeover is not null then
        taken := taken || doubtful.item;
        holders := holders || holder;
        fences := fences || holderfence;
        sessions := sessions || holdersession;
        reasons := reasons || takeover;
        sinces := sinces || since;
      end if;
      if lease.queued then
        queued := queued || doubtful.item;
      end if;
    end loop;
    holder := null; holderfence := null; holdersession := null; takeover := null; since := null;
  end if;

  if size > 0 and leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
    now := leasehold_internal._ms(clock_timestamp());
    perform set_config('synchronous_commit', 'off', true);
    return next;
    return;
  end if;

  if size > 0 then
    perform leasehold_internal._leave_queue(p_keys[i], p_tokens[i]) from unnest(queued) as i where i <= size;
    -- The same grant, asked for again: written once, so that this commit too waits until it is durable.
    if ours is not null then
      update leasehold.leases l
         set session_id = case when l.session_id = any (p_former) then p_session else l.session_id end,
             takeover_ms = case when l.session_id = any (p_former) then p_takeover_ms else l.takeover_ms end
       where l.key = any (array(select p_keys[i] from unnest(ours) as i where i <= size));
    end if;
    return query
      with before as materialized (
        select w.item::integer as item, w.key, w.token, l.version
          from unnest(p_keys[1:size], p_tokens[1:size]) with ordinality as w (key, token, item)
          join lateral (
            select k.ctid as version
              from leasehold.leases k
             where k.key >= w.key and k.key <= w.key
             order by k.key desc
             limit 1) l on true
         where ours is null or w.item <> all (ours)
      ),
      -- Rule 4: drawn once all are locked, one for all.
      stamp as materialized (
        select c.moment, coalesce((select (e.epoch << 48) + leasehold_internal._wal_position(e.source)
                                     from leasehold.fence_epoch e
                                    where e.id and e.server_start = pg_postmaster_start_time()
                                      and (e.source = 'manual' or leasehold_internal._may_read_wal_position())), leasehold_internal._fence()) as drawn
          from (select count(*) as size, clock_timestamp() as moment from before) c
      ),
      granted as (
        update leasehold.leases l
           set token = x.token,
               fence = greatest(l.fence + 1, x.drawn),
               owner = p_owner,
               session_id = p_session,
               ttl_ms = p_ttl_ms,
               takeover_ms = p_takeover_ms,
               min_hold_ms = p_min_hold_ms,
               max_hold_until = x.moment + p_max_hold_ms * interval '1 millisecond',
               acquired_at = x.moment,
               renewed_at = x.moment,
               expires_at = x.moment + least(p_ttl_ms, p_max_hold_ms) * interval '1 millisecond',
               hold_until = null,
               revoked_at = null,
               queued = x.queued,
               metadata = p_metadata::jsonb,
               released_at = null,
               acquisitions = l.acquisitions + 1
          from (
            select b.item, b.version, b.token, s.moment, s.drawn,
                   queued is not null and b.item = any (queued)
                     and exists (select from leasehold.waiters q where q.key = b.key) as queued
              from stamp s cross join before b) x
         where l.ctid = x.version
        returning x.item, l.fence, l.acquired_at, l.expires_at
      )
      select g.item, 'granted', g.fence, leasehold_internal._ms(g.acquired_at), leasehold_internal._ms(g.expires_at),
             t.holder, t.fence, t.session, t.reason, t.since, leasehold_internal._ms(clock_timestamp())
        from granted g
        left join unnest(taken, holders, fences, sessions, reasons, sinces) as t (item, holder, fence, session, reason, since)
          on t.item = g.item
      union all
      select w.item::integer, 'granted', l.fence, leasehold_internal._ms(l.acquired_at), leasehold_internal._ms(l.expires_at),
             null, null, null, null, null, leasehold_internal._ms(clock_timestamp())
        from unnest(p_keys[1:size]) with ordinality as w (key, item)
        join leasehold.leases l on l.key = w.key
       where w.item = any (ours);
  end if;

  if refused is not null then
    item := refused;
    outcome := case when is_busy then 'busy' else 'held' end;
    lease := null;
    select l.* into lease from leasehold.leases l where l.key = p_keys[refused];
    if lease.token is not null then
      expires := leasehold_internal._ms(lease.expires_at);
    elsif lease.hold_until > clock_timestamp() then
      expires := leasehold_internal._ms(lease.hold_until);
    elsif (lease.token is null and lease.expires_at is null and lease.fence > 0) then
      select leasehold_internal._ms(case when s.released_at is null then s.expires_at else s.hold_until end), s.owner, s.fence,
             s.session_id
        into expires, holder, holderfence, holdersession
        from leasehold.shares s
       where s.key = lease.key and not case
                                         when s.released_at is not null then s.hold_until is null or s.hold_until <= clock_timestamp()
                                         else s.expires_at <= clock_timestamp()
                                       end
       order by s.fence
       limit 1;
    end if;
    if expires is not null and holderfence is null then
      holder := lease.owner;
      holderfence := lease.fence;
      holdersession := lease.session_id;
    end if;
    now := leasehold_internal._ms(clock_timestamp());
    return next;
  end if;
  if size = 0 then
    perform set_config('synchronous_commit', 'off', true);
  elsif (current_setting('synchronous_commit') in ('off', 'local', 'remote_write') or current_setting('client_min_messages') = 'error') then
    perform leasehold_internal._commit_durably();
  end if;
end
$$;
--> statement-breakpoint
-- Frees what these tokens hold, also an expired lease. A null fence matches any: the last word of an acquire (abandon).
-- The key of a lease that was held (p_held) cannot be granted until its minimum hold has ended; that of a grant that nobody
-- heard of can.
create function leasehold_internal._free_leases(p_keys text[], p_tokens uuid[], p_fences bigint[], p_held boolean[])
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  freed record;
  asked record;
  lease leasehold.leases;
  is_done boolean[] := array_fill(false, array[cardinality(p_keys)]);
begin
  for freed in
    with locked as materialized (
      select w.item, w.held, l.version
        from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as w (key, token, fence, held, item)
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
    next := null;
    if freed.queued then
      next := leasehold_internal._session_of_next_waiter(freed.key, p_tokens[item]);
    end if;
    now := leasehold_internal._ms(clock_timestamp());
    is_done[item] := true;
    return next;
  end loop;

  if not (true = all (is_done)) then
    -- What is not in leases may be a share.
    for item, outcome, reason, next, now in
      with other as (
        select array_agg(u.item::integer) as items, array_agg(u.key) as keys, array_agg(u.token) as tokens,
               array_agg(u.fence) as fences, array_agg(u.held) as held
          from unnest(p_keys, p_tokens, p_fences, p_held) with ordinality as u (key, token, fence, held, item)
         where not is_done[u.item]
      )
      select o.items[s.item], s.outcome, s.reason, s.next, s.now
        from other o
       cross join lateral leasehold_internal._free_shares(o.keys, o.tokens, o.fences, o.held) s
    loop
      is_done[item] := true;
      return next;
    end loop;
    for asked in
      select u.* from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
    loop
      continue when is_done[asked.item];
      lease := null;
      select l.* into lease from leasehold.leases l where l.key >= asked.key and l.key <= asked.key order by l.key desc limit 1;
      item := asked.item;
      next := null;
      reason := leasehold_internal._loss_reason(lease, asked.token, asked.fence);
      -- Still there, so its row is locked. Also one that was revoked or has expired: a renewal may be on its way to its commit.
      outcome := case when reason is null or lease.token = asked.token and reason <> 'taken' then 'busy' else 'gone' end;
      now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
end
$$;
--> statement-breakpoint
-- Frees leases. others: null when all were released and nobody waits, else JSON of the others: [[item,
-- outcome, reason, session of who is next], ...].
--
-- First a plain update, which waits 5 ms at most for a row that somebody has locked: a renewal of our own that is about
-- to commit, as a rule. Rows locked first, with skip locked, cost 1.3 us of 6.7 more per row, and 55 bytes of WAL. The
-- block for the exception costs nothing that could be measured. What the update leaves goes to _free_leases, which skips what
-- is locked.
create function leasehold_internal.release(
  p_relaxed boolean,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '5ms'
as $$
declare
  moment timestamptz := clock_timestamp();
  freed integer := 0;
  is_queued boolean;
  next_session integer;
  ignored text;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() or cardinality(p_keys) > 1000 then
    perform leasehold_internal._check_transaction(), leasehold_internal._check_batch_size(cardinality(p_keys));
  end if;

  begin
    if cardinality(p_keys) = 1 then
      -- Also one with a queue: the release of a hot key comes alone, and the next holder waits for it.
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = moment,
             hold_until = case when l.min_hold_ms > 0 then l.acquired_at + l.min_hold_ms * interval '1 millisecond' end
       where l.ctid = (
               select k.ctid from leasehold.leases k where k.key >= p_keys[1] and k.key <= p_keys[1] order by k.key desc limit 1)
         and l.token = p_tokens[1] and l.fence = p_fences[1] and l.revoked_at is null and l.expires_at > clock_timestamp()
      returning l.queued into is_queued;
    else
      update leasehold.leases l
         set token = null,
             session_id = null,
             released_at = moment
        from unnest(p_keys, p_tokens, p_fences) as w (key, token, fence)
       cross join lateral (
          select k.ctid as version
            from leasehold.leases k
           where k.key >= w.key and k.key <= w.key
           order by k.key desc
           limit 1
        ) n
       where l.ctid = n.version and l.token = w.token and l.fence = w.fence
         and not l.queued and l.min_hold_ms = 0 and l.revoked_at is null and l.expires_at > clock_timestamp();
    end if;
    get diagnostics freed = row_count;
  exception when lock_not_available or deadlock_detected then
    freed := 0;
  end;

  if is_queued or freed < cardinality(p_keys) then
    -- What follows waits for no row. But whoever has locked a table is waited for, as ever.
    ignored := set_config('lock_timeout', '0', true);
  end if;
  if is_queued then
    next_session := leasehold_internal._session_of_next_waiter(p_keys[1], p_tokens[1]);
    if next_session is not null then
      others := '[[1,"released",null,' || next_session || ']]';
    end if;
  elsif freed < cardinality(p_keys) then
    others := (
      with missed as (
        select array_agg(w.item::integer) as items, array_agg(w.key) as keys, array_agg(w.token) as tokens,
               array_agg(w.fence) as fences
          from (
            select u.*
              from unnest(p_keys, p_tokens, p_fences) with ordinality as u (key, token, fence, item)
              left join lateral (
                select k.fence, k.released_at
                  from leasehold.leases k
                 where k.key >= u.key and k.key <= u.key
                 order by k.key desc
                 limit 1) l on true
             where (l.fence = u.fence and l.released_at = moment) is not true -- what was freed here
             order by u.item) w
        having count(*) > 0
      )
      select '[' || string_agg(json_build_array(m.items[f.item], f.outcome, f.reason, f.next)::text, ',' order by f.item) || ']'
        from missed m
       cross join lateral leasehold_internal._free_leases(
         m.keys, m.tokens, m.fences, array_fill(true, array[cardinality(m.keys)])) f
       where f.outcome <> 'released' or f.next is not null);
  end if;

  if p_relaxed then
    -- Not by perform, which runs a query: 5 us.
    ignored := set_config('synchronous_commit', 'off', true);
  end if;
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Ends an acquire by its token alone (rule 8): removes its entry from the queue, and frees what it was granted.
--
-- p_doubted: an attempt had no answer. It may have passed its not_after check and be about to commit (a slow disk, a
-- synchronous standby that is away). Then it holds the row or the lock for inserting the key, and the answer is busy. So the row
-- is locked before anything is freed: a share has one of its own, and one attempt could insert it anew once that of another was
-- freed (model C, H_DOUBTFOUND).
create function leasehold_internal.abandon(
  p_relaxed boolean, p_keys text[], p_tokens uuid[], p_held boolean[], p_doubted boolean[]
)
returns table (item integer, outcome text, reason text, next integer, now float8)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  freed record;
  lease leasehold.leases;
  has_left boolean := false;
  stuck integer[] := array[]::integer[];
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_batch_size(cardinality(p_keys));
  if true = any (p_doubted) then
    with locked as materialized (
      select l.key
        from leasehold.leases l
       where l.key = any (array(select p_keys[i] from generate_subscripts(p_keys, 1) i where p_doubted[i]))
       order by l.key
         for no key update skip locked
    )
    select coalesce(array_agg(i), stuck)
      into stuck
      from generate_subscripts(p_keys, 1) i
     where p_doubted[i]
       and p_keys[i] not in (select k.key from locked k)
       and exists (select from leasehold.leases l where l.key = p_keys[i]);
    foreach item in array stuck loop
      outcome := 'busy'; reason := null; next := null; now := leasehold_internal._ms(clock_timestamp());
      return next;
    end loop;
  end if;
  for freed in
    select f.*, lead(p_keys[f.item]) over (order by p_keys[f.item], f.item) is not distinct from p_keys[f.item] as has_next
      from leasehold_internal._free_leases(
             p_keys,
             case
               when cardinality(stuck) = 0 then p_tokens
               else array(select case when i <> all (stuck) then p_tokens[i] end from generate_subscripts(p_tokens, 1) i)
             end,
             array_fill(null::bigint, array[cardinality(p_keys)]),
             p_held) f
     where f.item <> all (stuck)
     order by p_keys[f.item], f.item
  loop
    item := freed.item; outcome := freed.outcome; next := freed.next; reason := freed.reason; now := freed.now;
    if outcome = 'gone' and p_doubted[item] then
      -- An attempt that is about to commit has locked the row, or holds the lock for inserting the key, or has inserted the key
      -- that _create_free_lease runs into.
      if not exists (select from leasehold.leases l where l.key = p_keys[item])
        and pg_try_advisory_xact_lock(leasehold_internal._key_lock(p_keys[item])) then
        perform leasehold_internal._create_free_lease(p_keys[item]);
      end if;
      lease := null;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item] for no key update skip locked;
      if lease.key is null or lease.token = p_tokens[item] and lease.expires_at > clock_timestamp()
        or exists (
          select from leasehold.shares s
           where s.key = p_keys[item] and s.token = p_tokens[item] and s.released_at is null) then
        outcome := 'busy';
        reason := null;
      end if;
    end if;
    if not leasehold_internal._remove_entry(p_keys[item], p_tokens[item]) then
      if outcome = 'gone' and leasehold_internal._ticket_of(p_keys[item], p_tokens[item]) is not null then
        outcome := 'busy';
        reason := null;
      end if;
    else
      has_left := true;
    end if;
    -- The next waiter may have been waiting for this entry alone. Ask once per key: thousands may leave one queue together.
    if has_left and not freed.has_next then
      has_left := false;
      select l.* into lease from leasehold.leases l where l.key = p_keys[item];
      if leasehold_internal._is_root_free(lease) then
        next := leasehold_internal._whom_to_tell(p_keys[item], null);
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
-- Why this token no longer holds the lease. Null if it still does.
create function leasehold_internal._loss_reason(lease leasehold.leases, holding uuid, held_fence bigint) returns text
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
    -- Released in time: by another who has the token, or has adopted it.
    when lease.token is null and lease.fence = held_fence and lease.released_at < lease.expires_at then 'taken'
    -- A share that is still there has another token: it was adopted.
    when lease.token is null and lease.expires_at is null
      and exists (select from leasehold.shares s where s.key = lease.key and s.fence = held_fence) then 'taken'
    when lease.token is null and coalesce(lease.fence = held_fence, true) then 'expired'
    else 'taken'
  end;
end
$$;
--> statement-breakpoint
-- Renews leases. Strict (decision 22): a lease that has expired is lost, even if nobody took it. Never creates, steals or
-- shortens.
--
-- p_ttl_ms: null only proves the lease. p_former: ids that the caller's session had before. expires: the earliest expiry of the
-- leases that were renewed plainly, all at one moment. others: null if that was all of them, else JSON of the others: [[item,
-- outcome, expires, reason], ...].
create function leasehold_internal.renew(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_ttl_ms integer,
  p_keys text[],
  p_tokens uuid[],
  p_fences bigint[],
  p_former integer[],
  out expires float8,
  out others text,
  out now float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
set extra_float_digits = 1
as $$
declare
  moment timestamptz;
  renewed integer;
  special text;
  missed text;
begin
  if current_setting('transaction_isolation') <> 'read committed' or pg_is_in_recovery() then
    perform leasehold_internal._check_transaction();
  end if;
  if cardinality(p_keys) > 1000 then
    perform leasehold_internal._check_batch_size(cardinality(p_keys));
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    others := (
      select '[' || string_agg('[' || i || ',"unproven",null,null]', ',' order by i) || ']'
        from generate_subscripts(p_keys, 1) i);
    now := leasehold_internal._ms(clock_timestamp());
    return;
  end if;

  with locked as materialized (
    select w.item::integer, l.version, l.session_id, l.takeover_ms
      from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
      join lateral (
        select k.key, k.ctid as version, k.session_id, k.takeover_ms
          from leasehold.leases k
         where k.key >= w.key and k.key <= w.key and k.token = w.token and k.fence = w.fence
         order by k.key desc
         limit 1
           for no key update skip locked
      ) l on l.key = w.key
  ),
  drawn as materialized (
    select clock_timestamp() as at, count(*) from locked
  ),
  renewed as (
    update leasehold.leases l
       set expires_at = case
             when p_ttl_ms is null then l.expires_at
             else greatest(l.expires_at, least(d.at + p_ttl_ms * interval '1 millisecond', l.max_hold_until))
           end,
           renewed_at = d.at,
           ttl_ms = coalesce(p_ttl_ms, l.ttl_ms),
           session_id = x.successor,
           takeover_ms = case when x.successor = p_session then p_takeover_ms when x.successor is not null then l.takeover_ms end
      from drawn d
     cross join (
        select k.item, k.version, k.session_id,
               case
                 when k.session_id is null or k.session_id = p_session then k.session_id
                 else leasehold_internal._session_after_renewal(k.session_id, k.takeover_ms, p_session, p_former)
               end as successor
          from locked k
         offset 0
      ) x
     where l.ctid = x.version and l.expires_at > d.at and l.revoked_at is null
    returning x.item, l.expires_at,
              l.expires_at = d.at + p_ttl_ms * interval '1 millisecond'
                and x.session_id is not distinct from x.successor as is_plain
  )
  select (select d.at from drawn d),
         count(*),
         leasehold_internal._ms(min(r.expires_at) filter (where r.is_plain)),
         string_agg(json_build_array(r.item, 'renewed', leasehold_internal._ms(r.expires_at), null)::text, ',')
           filter (where r.is_plain is not true)
    into moment, renewed, expires, special
    from renewed r;

  if renewed < cardinality(p_keys) then
    missed := (
      with missed as materialized (
        select w.item::integer, w.key, w.token, w.fence, l.lease
          from unnest(p_keys, p_tokens, p_fences) with ordinality as w (key, token, fence, item)
          left join lateral (
            select k as lease, k.renewed_at = moment and k.token = w.token and k.fence = w.fence as is_renewed
              from leasehold.leases k
             where k.key >= w.key and k.key <= w.key
             order by k.key desc
             limit 1) l on true
         where l.is_renewed is not true
      ),
      -- What is not in leases may be a share.
      other as materialized (
        select array_agg(m.item order by m.item) as items, array_agg(m.key order by m.item) as keys,
               array_agg(m.token order by m.item) as tokens, array_agg(m.fence order by m.item) as fences
          from missed m
         where m.lease is null or (m.lease).token is distinct from m.token
      ),
      shared as materialized (
        select o.items[s.item] as item, s.outcome, s.expires, s.reason
          from other o
         cross join lateral leasehold_internal._renew_shares(
           p_session, p_takeover_ms, p_ttl_ms, o.keys, o.tokens, o.fences, p_former) s
         where o.items is not null
      )
      select string_agg(
               json_build_array(m.item, coalesce(s.outcome, case when r.reason is null then 'busy' else 'lost' end), s.expires,
                                case when s.item is null then r.reason else s.reason end)::text, ',' order by m.item)
        from missed m
        left join shared s on s.item = m.item
       cross join lateral (select leasehold_internal._loss_reason(m.lease, m.token, m.fence) as reason) r);
  end if;
  others := '[' || nullif(concat_ws(',', special, missed), '') || ']';

  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
end
$$;
--> statement-breakpoint
-- Renews one lease whose row was busy, and waits for it briefly (rule 6). Under SKIP LOCKED alone 94 % of renewals starved.
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
  perform from leasehold.shares s where s.key = p_key and s.token = p_token and s.fence = p_fence for no key update;
  return query
    select 1,
           coalesce(r.others::json #>> '{0,1}', 'renewed'),
           coalesce((r.others::json #>> '{0,2}')::float8, r.expires),
           r.others::json #>> '{0,3}',
           r.now
      from leasehold_internal.renew(
        p_session, p_nonce, p_takeover_ms, p_ttl, array[p_key], array[p_token], array[p_fence], p_former) r;
end
$$;
--> statement-breakpoint
-- Takes a lease off its session, so that it lives by its TTL alone, a full one from now on: its holder is about to hand it over
-- (decision 25). Whoever has the token may do so: a lease without a session can be granted later than one with, never earlier.
-- Like a renewal it never creates, revives or shortens.
create function leasehold_internal.detach_lock(
  p_session integer, p_nonce uuid, p_key text, p_token uuid, p_fence bigint, p_ttl_ms integer
) returns table (outcome text, expires float8, reason text, now float8)
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
  is_locked boolean;
  moment timestamptz;
begin
  perform leasehold_internal._check_transaction();
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  if exists (select from leasehold.shares s where s.key = p_key and s.fence = p_fence) then
    select s.outcome, s.expires, s.reason
      into outcome, expires, reason
      from leasehold_internal._detach_share(p_key, p_token, p_fence, p_ttl_ms) s;
    perform leasehold_internal._commit_durably();
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  for attempt in 1..2 loop
    select l.* into lease
      from leasehold.leases l
     where l.key = p_key and l.token = p_token and l.fence = p_fence
       for no key update skip locked;
    is_locked := found;
    exit when is_locked or attempt = 2;
    perform leasehold_internal._wait_for_lease(p_key, false);
  end loop;
  if not is_locked then
    select l.* into lease from leasehold.leases l where l.key = p_key;
  end if;
  reason := leasehold_internal._loss_reason(lease, p_token, p_fence);

  if reason is not null then
    outcome := 'lost';
  elsif not is_locked then
    outcome := 'busy';
  else
    moment := clock_timestamp();
    update leasehold.leases l
       set session_id = null,
           takeover_ms = null,
           ttl_ms = p_ttl_ms,
           renewed_at = moment,
           expires_at = greatest(
             l.expires_at, least(moment + p_ttl_ms * interval '1 millisecond', l.max_hold_until))
     where l.key = p_key
    returning leasehold_internal._ms(l.expires_at) into expires;
    outcome := 'renewed';
  end if;
  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
--> statement-breakpoint
-- Hands a lease to who asks: the grant gets a token that only the new holder knows, and its session; the fence stays (decision
-- 25). So it can be handed over once, and nothing that was sent under the old token reaches it any more. Asked again with the
-- same new token it is the same adoption, and never shortens: it may come late. attached: its session is another's and not dead,
-- so its holder has not let go.
--
-- As before a grant, whoever guards the key in an open transaction is waited for (rule 1): what the old holder writes there
-- must be done. A maximum hold counts from now on, and never beyond the one that the lease has.
--
-- weight: of a share; null: the lock is exclusive.
create function leasehold_internal.adopt(
  p_session integer,
  p_nonce uuid,
  p_takeover_ms integer,
  p_key text,
  p_token uuid,
  p_fence bigint,
  p_new_token uuid,
  p_owner text,
  p_ttl_ms integer,
  p_max_hold_ms bigint,
  p_not_after float8,
  p_former integer[] default null
) returns table (
  outcome text,
  reason text,
  holder text,
  blocker integer,
  acquired float8,
  expires float8,
  maxhold float8,
  metadata text,
  now float8,
  weight integer,
  capacity integer
)
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
  is_locked boolean;
  successor integer;
  moment timestamptz;
begin
  perform leasehold_internal._check_transaction();
  if p_token is null or p_new_token is null or p_takeover_ms < 0
    or not leasehold_internal._are_terms_valid(p_owner, p_ttl_ms, 0, p_max_hold_ms, null) then
    perform leasehold_internal._refuse_terms();
  end if;
  if not (select p_session is null
                 or exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
                    and (not pg_try_advisory_xact_lock_shared(1279480140, p_session)
                         or leasehold_internal._holds_presence(p_session))) then
    outcome := 'unproven';
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;

  if exists (select from leasehold.shares s where s.key = p_key and s.fence = p_fence) then
    select s.outcome, s.reason, s.holder, s.acquired, s.expires, s.maxhold, s.metadata, s.weight, s.capacity
      into outcome, reason, holder, acquired, expires, maxhold, metadata, weight, capacity
      from leasehold_internal._adopt_share(
             p_session, p_takeover_ms, p_key, p_token, p_fence, p_new_token, p_owner, p_ttl_ms, p_max_hold_ms, p_not_after,
             p_former) s;
    if outcome = 'busy' then
      blocker := (select b.pid from leasehold_internal._blocker(p_key, p_fence) b);
    end if;
    perform leasehold_internal._commit_durably();
    now := leasehold_internal._ms(clock_timestamp());
    return next;
    return;
  end if;
  for attempt in 1..2 loop
    select l.* into lease
      from leasehold.leases l
     where l.key = p_key and l.token in (p_token, p_new_token) and l.fence = p_fence
       for update skip locked;
    is_locked := found;
    exit when is_locked or attempt = 2;
    perform leasehold_internal._wait_for_lease(p_key, true);
  end loop;
  if not is_locked then
    select l.* into lease from leasehold.leases l where l.key = p_key;
  end if;

  -- Each decision in a statement that begins after the lock (rule 3).
  if leasehold_internal._ms(clock_timestamp()) >= p_not_after then
    outcome := 'late';
  else
    reason := leasehold_internal._loss_reason(
      lease, case when lease.token = p_new_token then p_new_token else p_token end, p_fence);
    successor := case
      when reason is null and is_locked then leasehold_internal._session_after_renewal(
        lease.session_id, lease.takeover_ms, p_session, p_former) end;
    if reason is not null then
      outcome := 'lost';
    elsif not is_locked then
      outcome := 'busy';
      blocker := (select b.pid from leasehold_internal._blocker(p_key) b);
    elsif successor <> p_session or successor is not null and p_session is null then
      outcome := 'attached';
      holder := lease.owner;
    else
      outcome := 'adopted';
      moment := clock_timestamp();
      update leasehold.leases l
         set token = p_new_token,
             owner = p_owner,
             session_id = p_session,
             takeover_ms = case when p_session is not null then p_takeover_ms end,
             ttl_ms = p_ttl_ms,
             renewed_at = moment,
             max_hold_until = least(l.max_hold_until, moment + p_max_hold_ms * interval '1 millisecond'),
             expires_at = greatest(
               case when l.token = p_new_token then l.expires_at end, -- its new holder believes in what it was answered
               least(
                 moment + p_ttl_ms * interval '1 millisecond', l.max_hold_until,
                 moment + p_max_hold_ms * interval '1 millisecond'))
       where l.key = p_key
      returning l.* into lease;
      acquired := leasehold_internal._ms(lease.acquired_at);
      expires := leasehold_internal._ms(lease.expires_at);
      maxhold := leasehold_internal._ms(lease.max_hold_until);
      metadata := lease.metadata::text;
    end if;
  end if;
  perform leasehold_internal._commit_durably();
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
--> statement-breakpoint
-- The transactions that have locked rows of leases or of shares and are still open, as arrays with a place for each number
-- that such a transaction has (its subtransactions have their own): the number, the server process, or the name of a prepared
-- transaction (which has no process), and the virtual number. The lowest process comes first, our own transaction last. All
-- null when there is none, as on a standby.
--
-- lone: the place of the only transaction but our own; 0 if there are several, null if there is none. oldest: the age of the
-- oldest transaction that is open at all. oldest_multixact: the tables have none before that one. Not its age, which grows with
-- each multixact that is made meanwhile: the first one would be taken for one that the tables cannot have. One row, and one
-- look at the locks, for a view over all keys as for one key.
create function leasehold_internal._open_transactions(
  out xids xid[], out pids integer[], out gids text[], out transactions text[], out lone integer, out oldest integer,
  out oldest_multixact xid)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  with lock as materialized (
    select k.locktype, k.transactionid as xid, k.virtualtransaction, k.pid
      from pg_locks k
     where k.granted
       and (k.locktype = 'transactionid'
            -- A transaction that has locked a row has also locked the table.
            or k.locktype = 'relation' and k.relation in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)
               and k.mode in ('RowShareLock', 'RowExclusiveLock')
               and k.database = (select d.oid from pg_database d where d.datname = current_database()))
  ),
  open as (
    select t.xid, t.pid, p.gid, t.virtualtransaction,
           row_number() over (order by t.pid is not distinct from pg_backend_pid(), t.pid, p.gid, t.xid::text) as place
      from lock t
      left join pg_prepared_xacts p on t.pid is null and p.transaction = t.xid
     where t.locktype = 'transactionid'
       and t.virtualtransaction in (select r.virtualtransaction from lock r where r.locktype = 'relation')
  ),
  other as (
    select min(o.place) as place, count(distinct o.virtualtransaction) as count
      from open o
     where o.pid is distinct from pg_backend_pid()
  )
  select array_agg(o.xid order by o.place), array_agg(o.pid order by o.place), array_agg(o.gid order by o.place),
         array_agg(o.virtualtransaction order by o.place),
         (select case when r.count > 1 then 0 else r.place end from other r)
    into xids, pids, gids, transactions, lone
    from open o;
  if xids is not null then
    oldest := age(pg_snapshot_xmin(pg_current_snapshot())::xid);
    oldest_multixact := (
      select c.relminmxid
        from pg_class c
       where c.oid in ('leasehold.leases'::regclass, 'leasehold.shares'::regclass)
       order by mxid_age(c.relminmxid) desc
       limit 1);
  end if;
end
$$;

comment on function leasehold_internal._open_transactions() is
  'Open transactions that have locked rows of leases or of shares, prepared ones too. All null on a standby.';
--> statement-breakpoint
-- Who has a row locked whose xmax is "locked": a place in the arrays of _open_transactions; 0 if it is one of them and cannot
-- be told which, or one that began after they were looked for; null if nobody has. xmax stays in the row when its transaction
-- has ended, so most of them mean nothing.
create function leasehold_internal._locker(locked xid, xids xid[], lone integer, oldest_multixact xid) returns integer
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  place integer := array_position(xids, locked);
  suspects xid[] := array[locked];
  edge numeric; -- all transactions before it have ended, but for those that were open already; the newest are beyond it
  oldest numeric;
  running xid8[];
begin
  if place is not null then
    return place;
  end if;
  -- xmax is a transaction, or a multixact of several (guards) of which some may have ended. Nothing says which. No open
  -- transaction has that number, so take it for a multixact if the table can have one with that number.
  if mxid_age(locked) between 1 and mxid_age(oldest_multixact) then
    suspects := suspects || array(select m.xid from pg_get_multixact_members(locked) m);
    place := (select min(array_position(xids, s.xid)) from unnest(suspects) s (xid));
    if place is not null then
      return place;
    end if;
  end if;
  -- A subtransaction that was released no longer has a lock of its own, and nothing leads from it to its transaction. But if
  -- only one other transaction has locked rows, it is that one.
  if lone is not null then
    edge := pg_snapshot_xmax(pg_current_snapshot())::text;
    oldest := pg_snapshot_xmin(pg_current_snapshot())::text;
    running := array(
      select x.full_xid::text::xid8
        from unnest(suspects) s (xid)
       cross join lateral (
         -- With its epoch: the number nearest to the edge that ends in these 32 bits.
         select edge - 2147483648 + mod(s.xid::text::numeric - mod(edge, 4294967296) + 6442450944, 4294967296) as full_xid
         offset 0) x
       -- Of a number that was not given to anybody yet, pg_xact_status makes an error.
       where case when x.full_xid >= oldest and age(s.xid) > 0
               then pg_xact_status(x.full_xid::text::xid8) = 'in progress' end);
    if running = '{}' then
      return null;
    end if;
    -- One that has a lock of its own began after the look at the locks, and is none of those. One that has none was released,
    -- unless it has ended since it was asked for.
    if exists (
      select from pg_locks k
       where k.locktype = 'transactionid' and k.granted
         and k.transactionid in (select r.xid::xid from unnest(running) r (xid))) then
      return 0;
    end if;
    if exists (select from unnest(running) r (xid) where pg_xact_status(r.xid) = 'in progress') then
      return lone;
    end if;
  end if;
  return null;
end
$$;

comment on function leasehold_internal._locker(xid, xid[], integer, xid) is
  'Which of some open transactions has a row locked: its place among them, 0 if it is not known which, null if none has.';
--> statement-breakpoint
-- Which open transaction keeps the row of a key locked, or that of one of its shares, or has not committed its first grant:
-- its server process, or the name of a prepared transaction. Both null: it is not known which, or is_blocked is false.
-- p_fence: of a share; then it is asked about that share alone.
create function leasehold_internal._blocker(
  p_key text, p_fence bigint default null, out is_blocked boolean, out pid integer, out gid text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
declare
  newest record;
  open record;
  place integer;
  places integer[];
begin
  is_blocked := false;
  if p_fence is not null then
    select s.xmin as version, s.xmax as locked into newest from leasehold.shares s where s.key = p_key and s.fence = p_fence;
  else
    select l.xmin as version, l.xmax as locked into newest from leasehold.leases l
                                                           where l.key >= p_key and l.key <= p_key
                                                           order by l.key desc
                                                           limit 1;
  end if;
  -- Who has written the version that everybody sees has ended, or is this transaction.
  if newest.locked in ('0'::xid, newest.version)
    and (p_fence is not null
         or not exists (select from leasehold.shares s where s.key = p_key and s.xmax <> '0'::xid and s.xmax <> s.xmin)) then
    return;
  end if;
  select o.* into open from leasehold_internal._open_transactions() o;
  if open.xids is null then
    return;
  end if;
  if newest.version is null and p_fence is null then
    -- A transaction that inserts a key holds its advisory lock until it ends (decision 20).
    place := (
      select min(array_position(open.transactions, k.virtualtransaction))
        from pg_locks k
       where k.locktype = 'advisory' and k.objsubid = 1 and k.mode = 'ExclusiveLock' and k.granted
         and k.objid = (leasehold_internal._key_lock(p_key) & 4294967295)::oid
         and k.classid = (leasehold_internal._key_lock(p_key) >> 32 & 4294967295)::oid
         and k.database = (select d.oid from pg_database d where d.datname = current_database()));
  elsif newest.locked <> '0'::xid and newest.locked <> newest.version then
    place := leasehold_internal._locker(newest.locked, open.xids, open.lone, open.oldest_multixact);
  end if;
  places := place || case when p_fence is null then array(
    select leasehold_internal._locker(s.xmax, open.xids, open.lone, open.oldest_multixact)
      from leasehold.shares s
     where s.key = p_key and s.xmax <> '0'::xid and s.xmax <> s.xmin) end;
  -- One that can be told, and our own transaction only if there is no other.
  place := (
    select p from unnest(places) p
     where p is not null
     order by open.pids[p] is not distinct from pg_backend_pid(), p = 0, p
     limit 1);
  is_blocked := place is not null;
  pid := open.pids[place];
  gid := open.gids[place];
end
$$;
--> statement-breakpoint
-- The detail of an error about a row that somebody keeps locked, from what _blocker answers.
create function leasehold_internal._where_open(is_blocked boolean, pid integer, gid text) returns text
language sql immutable
return case
  when pid is not null then format('It is open in the server process %s.', pid)
  when gid is not null then format('It is the prepared transaction %L.', gid)
  when is_blocked then 'It cannot be told which of several it is.'
  else 'It has ended meanwhile.'
end;
--> statement-breakpoint
-- Only reads, and takes no lock that anybody could notice: whether a session is alive comes from pg_locks (see the view
-- _leases).
--
-- Of several who share the key the first columns tell of one: the oldest that holds it, or else what keeps it (see the view
-- _keys). free: when the last of them lets go at the latest. holders: JSON of all that hold it, the oldest first, or of those
-- that held it when nobody has it any more.
create function leasehold_internal.inspect(p_key text)
returns table (
  state text, owner text, fence bigint, session integer, alive boolean, acquired float8, renewed float8, free float8,
  ttl integer, metadata text, waiters integer, blocked boolean, blocker integer, gid text, now float8, mode text, holders text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set extra_float_digits = 1
as $$
#variable_conflict use_column
declare
  key record;
  restricted text;
begin
  restricted := leasehold_internal._allow_views();
  with known as materialized (
    select k.* from leasehold_internal._keys k where k.key = p_key
  )
  select f.*, c.blocking_pid as pid_of_any, c.blocking_transaction as gid_of_any,
         (select bool_or(k.is_blocked) from known k) as is_any_blocked,
         (select max(case k.state when 'cooling' then k.hold_until else k.expires_at end) from known k where k.rank <= 2)
           as kept_until,
         (select json_agg(json_build_object(
                   'state', k.state, 'owner', k.owner, 'fence', k.fence::text,
                   'mode', k.mode, 'weight', k.weight, 'capacity', k.capacity,
                   'session', k.session_id, 'alive', k.is_session_alive,
                   'acquired', leasehold_internal._ms(k.acquired_at),
                   'expires', leasehold_internal._ms(k.expires_at)) order by k.fence)
            from known k
           where k.is_taken and (k.rank = 1) = (f.rank = 1) and f.state in ('held', 'revoked', 'orphaned', 'expired'))::text
           as taken_by
    into key
    from (select k.* from known k order by k.rank, k.fence limit 1) f
    left join (
           select k.blocking_pid, k.blocking_transaction
             from known k
            where k.is_blocked
            order by k.blocking_pid is null and k.blocking_transaction is null, k.rank, k.fence
            limit 1) c on true;
  perform leasehold_internal._restrict_views(restricted);
  state := key.state;
  blocked := key.is_any_blocked;
  blocker := key.pid_of_any;
  gid := key.gid_of_any;
  mode := key.mode;
  holders := key.taken_by;
  if state is null then
    -- A key without a row: free, unless somebody's first grant of it is not committed.
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    state := case when blocked then 'blocked' else 'free' end;
  end if;
  waiters := (select count(*) from leasehold.waiters w where w.key = p_key and w.alive_until > clock_timestamp());
  owner := key.owner;
  fence := nullif(key.fence, 0); -- 0: its first grant is not committed
  session := key.session_id;
  alive := key.is_session_alive;
  acquired := leasehold_internal._ms(key.acquired_at);
  renewed := leasehold_internal._ms(key.renewed_at);
  free := leasehold_internal._ms(
    case when key.rank <= 2 then key.kept_until when state <> 'blocked' then key.expires_at end);
  ttl := key.ttl_ms;
  metadata := key.metadata::text;
  now := leasehold_internal._ms(clock_timestamp());
  return next;
end
$$;
--> statement-breakpoint
-- Takes a lease from its holder. Not immediate: renewals are answered with `forced`, and the key is free when the holder
-- releases it or it expires. Immediate: the key is free now, while the holder may still believe that it has the lock.
--
-- A minimum hold is ended by either: its holder has let go, so nobody believes to have the lock.
--
-- Of a key that is shared it takes the share with the fence, or all of them.
--
-- freeat: when what was taken is free at the latest; null: now. blocked, blocker, gid: an open transaction keeps the key beyond
-- that, or has its row locked (busy, detail). holders: JSON of whom it was taken from; null for the end of a minimum hold.
-- p_notifies: not for a client, which notifies in a statement of its own (rule 10).
create function leasehold_internal.admin_force_release(p_key text, p_fence bigint, p_immediate boolean, p_notifies boolean)
returns table (
  outcome text, freeat float8, holders text, next integer, blocked boolean, blocker integer, gid text, detail text)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set extra_float_digits = 1
as $$
#variable_conflict use_column
declare
  lease leasehold.leases;
  has_ended boolean;
  is_meant boolean := true; -- whether there is a grant with that fence
  forced record;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(p_key);
  if p_fence < 1 then
    raise exception using errcode = 'LH003', message = format('a fence is 1 or more, not %s', p_fence),
      hint = 'Give the fence of the grant that is meant, as leasehold.active_leases shows it, or leave it out.';
  end if;
  if p_immediate is null then
    raise exception using errcode = 'LH003',
      message = 'immediate is null', hint = 'Give true or false, or leave it out for false.';
  end if;

  -- This lock passes a guard's key share. A renewal that is about to commit is waited for, half a second in all.
  for attempt in 1..100 loop
    select l.* into lease from leasehold.leases l where l.key = p_key for no key update skip locked;
    exit when found or attempt = 100 or not exists (select from leasehold.leases l where l.key = p_key);
    perform leasehold_internal._wait_for_lease(p_key, false);
  end loop;
  if lease.key is null then
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    -- Without a row: somebody is about to be granted it, or it is as free as it can be.
    if blocked or exists (select from leasehold.leases l where l.key = p_key) then
      outcome := 'busy';
      detail := leasehold_internal._where_open(blocked, blocker, gid);
    else
      outcome := 'gone';
    end if;
  elsif exists (select from leasehold.shares s where s.key = p_key and (p_fence is null or s.fence = p_fence)) then
    begin
      forced := leasehold_internal._force_shares(p_key, p_fence, p_immediate);
      outcome := case when forced.free_at is not null then 'revoked' when forced.is_released then 'released' else 'gone' end;
      holders := forced.holders;
      freeat := leasehold_internal._ms(forced.free_at);
      if forced.is_released then
        next := leasehold_internal._whom_to_tell(p_key, null);
        if p_notifies then
          perform leasehold_internal._wake_next(p_key, next);
        end if;
      end if;
    exception when lock_not_available or deadlock_detected then
      outcome := 'busy';
    end;
  elsif p_fence is not null and lease.fence <> p_fence then
    outcome := 'gone';
    is_meant := false;
  else
    if lease.token is null and not coalesce(lease.hold_until > clock_timestamp(), false) then
      outcome := 'gone';
    else
      -- Released, expired, or of a dead holder: there is nobody to wait for.
      has_ended := lease.token is null or leasehold_internal._is_grantable(lease);
      outcome := case when p_immediate or has_ended then 'released' else 'revoked' end;
      update leasehold.leases l
         set revoked_at = coalesce(l.revoked_at, clock_timestamp()),
             token = case when outcome = 'revoked' then l.token end,
             session_id = case when outcome = 'revoked' then l.session_id end,
             released_at = case when outcome = 'released' then clock_timestamp() end,
             hold_until = null
       where l.key = p_key;
      if outcome = 'revoked' then
        freeat := leasehold_internal._ms(lease.expires_at);
      else
        next := leasehold_internal._session_of_next_waiter(p_key, null);
      end if;
      if lease.token is not null then
        holders := json_build_array(json_build_object(
          'owner', lease.owner, 'fence', lease.fence::text, 'weight', null, 'session', lease.session_id,
          'expires', leasehold_internal._ms(lease.expires_at)))::text;
      end if;
      if p_notifies then
        perform leasehold_internal._wake(next);
      end if;
    end if;
  end if;
  if lease.key is not null and is_meant then
    select b.is_blocked, b.pid, b.gid into blocked, blocker, gid from leasehold_internal._blocker(p_key) b;
    if blocker = pg_backend_pid() then
      blocked := false;
      blocker := null;
    end if;
    if outcome = 'busy' then
      detail := leasehold_internal._where_open(blocked, blocker, gid);
    end if;
  end if;
  return next;
end
$$;
--> statement-breakpoint
-- Identifies this database. Two databases of one cluster differ in their oid, restored copies in their cluster. If the service
-- hides the cluster's identifier, the random id of the tables stands in for it.
create function leasehold_internal.database_id() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  known leasehold.fence_epoch;
  identifier bigint;
begin
  select * into known from leasehold.fence_epoch e where e.id;
  if not found then
    perform leasehold_internal._refuse_missing_rows();
  end if;
  -- Until the first grant on this server the row may be another server's. Find out now what that grant will.
  identifier := case
    when known.server_start = pg_postmaster_start_time() then known.system_identifier
    else (select s.identifier from leasehold_internal._server_identity() s)
  end;
  return coalesce(identifier::text, known.database_id::text) || '/'
    || (select d.oid from pg_database d where d.datname = current_database());
end
$$;
--> statement-breakpoint
-- The setting that records the guard of a key, one of 256 (decision 21). Each holds few keys, so a lookup costs the same with a
-- thousand guarded keys as with one. Not one setting per key: a session keeps the name of every setting it ever had (0.2 kB).
create function leasehold_internal._guards_setting(p_key text) returns text
language sql immutable
return 'leasehold.guards_' || (hashtextextended(p_key collate "C", 0) & 255)::text;
--> statement-breakpoint
-- The keys that this transaction guards, with their fences, from the setting of one key (_guards_setting). The setting is local
-- to the transaction, and rolling back to a savepoint undoes what was written after it. It contains the transaction's number,
-- because anybody may set it for a whole session.
create function leasehold_internal._guarded_keys(p_key text) returns jsonb
language plpgsql volatile
as $$
declare
  recorded jsonb := nullif(current_setting(leasehold_internal._guards_setting(p_key), true), '')::jsonb;
begin
  return case when recorded ->> 'xid' = pg_current_xact_id_if_assigned()::text then recorded -> 'keys' else '{}' end;
end
$$;
--> statement-breakpoint
-- Lowers a timeout of this transaction, in milliseconds, if it is longer or off (0).
create function leasehold_internal._lower_timeout(setting text, bound_ms numeric, spent_ms numeric default 0) returns void
language plpgsql volatile
as $$
declare
  current_ms numeric := extract(epoch from current_setting(setting)::interval) * 1000;
begin
  if current_ms = 0 or current_ms - spent_ms > bound_ms then
    -- A running transaction_timeout restarts only when it is set from 0.
    if current_ms > 0 and spent_ms > 0 then
      perform set_config(setting, '0', true);
    end if;
    perform set_config(setting, bound_ms::text, true);
  end if;
end
$$;
--> statement-breakpoint
-- Raises the error that explains why the key is not held with this fence.
create function leasehold_internal._refuse_guard(
  lease leasehold.leases, share leasehold.shares, p_key text, p_fence bigint, at timestamptz
) returns void
language plpgsql volatile
as $$
declare
  holder text := coalesce(share.owner, lease.owner, 'Somebody without a name');
begin
  raise exception using
    errcode = 'LH001',
    message = format('the lease of %L with fence %s is not held any more', p_key, p_fence),
    detail = case
      when share.revoked_at is not null then format('It was taken from %s by force at %s.', holder, share.revoked_at)
      when share.released_at is not null then format('%s released its share at %s.', holder, share.released_at)
      when share.key is not null then format('The share of %s expired at %s.', holder, share.expires_at)
      when coalesce(lease.fence, 0) = 0 then
        'Nobody holds the key: it was never granted in this database, or released so long ago that it is forgotten.'
      when lease.fence < p_fence then
        format('The last fence of this key is %s: fence %s was never granted in this database.', lease.fence, p_fence)
      when lease.fence > p_fence and lease.token is not null and lease.expires_at > at
        then format('%s holds the key since %s, with fence %s.', holder, lease.acquired_at, lease.fence)
      when lease.fence > p_fence and lease.expires_at is null -- the last grant was a share
        then format('%s was granted a share of the key at %s, with fence %s.', holder, lease.acquired_at, lease.fence)
      when lease.fence > p_fence
        then format('%s was granted the key at %s, with fence %s. Nobody holds it now.', holder, lease.acquired_at, lease.fence)
      when lease.revoked_at is not null then format('It was taken from %s by force at %s.', holder, lease.revoked_at)
      when lease.token is null then format('%s released it at %s. Nobody holds the key now.', holder, lease.released_at)
      else format('The lease of %s expired at %s. Nobody holds the key now.', holder, lease.expires_at)
    end,
    hint = 'Roll back: what this transaction was to write may be another''s by now. Acquire the lock again before you repeat it.';
end
$$;
--> statement-breakpoint
-- With one snapshot for the whole transaction, a row that was locked just now may still be read as it was. Postgres itself
-- objects to a grant since then, but not to a renewal, a release or a revocation: they change no key column, so a key share
-- lock does not conflict with them.
create function leasehold_internal._refuse_old_snapshot(relation regclass, version tid) returns void
language plpgsql volatile
as $$
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable')
    and currtid2(relation::text, version) <> version then
    raise exception using errcode = 'serialization_failure',
      message = 'could not serialize access: the lease was renewed, released or revoked since the snapshot of this transaction',
      hint = 'Repeat the transaction. As its first statement, a guard hardly ever meets this.';
  end if;
end
$$;
--> statement-breakpoint
-- The name under which the guard of a share is recorded among the keys that a transaction guards. No key is so long.
create function leasehold_internal._share_guard(key text) returns text
language sql immutable
return rpad('share of ', 513) || key;
--> statement-breakpoint
-- Guards a key until the end of the transaction (decision 21).
create function leasehold_internal._guard(p_key text, p_fence bigint, p_timeout_ms numeric) returns void
language plpgsql volatile
as $$
declare
  lease leasehold.leases;
  share leasehold.shares;
  version tid;
  at timestamptz;
  is_held boolean;
  bound_ms numeric;
begin
  if p_key is null or octet_length(p_key) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'a key has 1 to 512 bytes, this one has ' || coalesce(octet_length(p_key)::text, 'none: it is null'),
      hint = 'Give lock.key, the full key with its prefix.';
  end if;
  if p_fence is null or p_fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(p_fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;
  if p_timeout_ms <= 0 or p_timeout_ms > 2147483647 then
    raise exception using errcode = 'LH003',
      message = format('the timeout of a guard is more than nothing and at most 2147483647 ms, not %s ms', p_timeout_ms),
      hint = 'Leave it out for the TTL of the lease.';
  end if;

  -- A share has a row of its own, and only that is locked: else each reader's transaction would block all later grants of the
  -- key.
  select s.ctid into version from leasehold.shares s where s.key = p_key and s.fence = p_fence for key share;
  if found then
    select s.* into share from leasehold.shares s where s.key = p_key and s.fence = p_fence;
    perform leasehold_internal._refuse_old_snapshot('leasehold.shares', version);
    at := clock_timestamp();
    is_held := share.released_at is null and share.revoked_at is null and share.expires_at > at;
  else
    -- To the end of the transaction this lock blocks every grant (rule 1), but no renewal, release or other guard (rule 2). It
    -- waits only for a grant of this very key that is about to commit.
    select l.ctid into version from leasehold.leases l where l.key = p_key for key share;
    if found then
      -- A snapshot is older than the locks of its statement: read the row again, in one that begins after the lock (rule 3).
      select l.* into lease from leasehold.leases l where l.key = p_key;
      perform leasehold_internal._refuse_old_snapshot('leasehold.leases', version);
    elsif current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
      -- The snapshot does not show a key that was first granted since then. If there is such a row, Postgres objects to this
      -- insert. If there is none, the refusal below rolls the insert back.
      insert into leasehold.leases (key, fence, ttl_ms) values (p_key, 0, 0) on conflict do nothing;
    end if;
    at := clock_timestamp();
    is_held := lease.fence = p_fence and lease.token is not null and lease.revoked_at is null and lease.expires_at > at;
  end if;
  if is_held is not true then
    perform leasehold_internal._refuse_guard(lease, share, p_key, p_fence, at);
  end if;

  -- Bound the transaction: an abandoned one would block the key for ever.
  bound_ms := ceil(coalesce(p_timeout_ms, greatest(coalesce(share.ttl_ms, lease.ttl_ms), 1000)));
  perform leasehold_internal._lower_timeout('idle_in_transaction_session_timeout', bound_ms);
  perform leasehold_internal._lower_timeout('statement_timeout', bound_ms);
  if current_setting('server_version_num')::integer >= 170000 then
    perform leasehold_internal._lower_timeout(
      'transaction_timeout', bound_ms, extract(epoch from at - transaction_timestamp()) * 1000);
  end if;

  -- Tells the trigger of guard_table that this transaction has guards at all. A share's guard is recorded under a name that no
  -- key has: two who share a key may not write what is guarded by it alone.
  perform set_config('leasehold.guards', pg_current_xact_id()::text, true);
  perform set_config(
    leasehold_internal._guards_setting(p_key),
    jsonb_build_object(
      'xid', pg_current_xact_id()::text,
      'keys', leasehold_internal._guarded_keys(p_key) || jsonb_build_object(
        case when share.key is null then p_key else leasehold_internal._share_guard(p_key) end, p_fence))::text,
    true);
end
$$;
--> statement-breakpoint
-- The guard of the client, which knows in which database its lease is.
create function leasehold_internal.guard(p_key text, p_fence bigint, p_timeout_ms integer, p_database_id text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
begin
  if p_database_id is distinct from leasehold_internal.database_id() then
    raise exception using errcode = 'LH007',
      message = format('the lease of %L is in another database than %I, where this transaction writes',
                       p_key, current_database()),
      detail = 'A guard works where the lease and the data are in one database.',
      hint = 'Make the lock with a locker for this database, or protect the writes with fence_table or check_fence.';
  end if;
  perform leasehold_internal._guard(p_key, p_fence, p_timeout_ms);
end
$$;
--> statement-breakpoint
-- The client's second statement. Outside a transaction the guard has ended with the first one, and a single statement cannot
-- notice that (decision 21).
create function leasehold_internal.require_guard(p_key text, p_fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  guarded jsonb;
begin
  guarded := leasehold_internal._guarded_keys(p_key);
  if ((guarded ->> p_key)::bigint = p_fence
      or (guarded ->> leasehold_internal._share_guard(p_key))::bigint = p_fence) is not true then
    raise exception using errcode = 'LH005',
      message = format('the guard of %L has already ended: there is no open transaction', p_key),
      hint = 'Guard and write in one transaction: begin; select leasehold.guard(...); ...; commit;';
  end if;
end
$$;
--> statement-breakpoint
-- The quoted name of a table that can be fenced and guarded. fence_table and guard_table run with the rights of their caller,
-- and their triggers with those of the writer (rule 11).
create function leasehold_internal.check_table(target regclass) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation record;
begin
  select c.relkind, format('%I.%I', n.nspname, c.relname) as name into relation
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where c.oid = target;
  if not found then
    raise exception using errcode = 'LH003',
      message = 'the table is ' || coalesce(format('not there: no relation has the oid %s', target::oid), 'null'),
      hint = 'Give its name, with its schema: ''public.accounts''.';
  end if;
  if relation.relkind not in ('r', 'p') then
    raise exception using errcode = 'LH003',
      message = format('%s is not a table but %s', relation.name, case relation.relkind
        when 'v' then 'a view' when 'm' then 'a materialized view' when 'f' then 'a foreign table' when 'S' then 'a sequence'
        when 'i' then 'an index' when 'I' then 'an index' when 'c' then 'a composite type' else 'something else' end),
      hint = case relation.relkind
        when 'v' then 'Name the table that the view writes to.'
        when 'f' then 'Protect the table where it is: on its own server.'
        else 'Name a table.' end;
  end if;
  return relation.name;
end
$$;
--> statement-breakpoint
-- Partitions get the triggers of their table. Tables that inherit from it do not.
create function leasehold_internal.warn_of_children(target regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  children text := (
    select string_agg(i.inhrelid::regclass::text, ', ' order by i.inhrelid)
      from pg_inherits i join pg_class c on c.oid = i.inhparent
     where i.inhparent = target and c.relkind = 'r');
begin
  if children is not null then
    raise warning using message = format('tables that inherit from %s are not protected with it: %s', target, children),
      hint = 'Protect each of them by itself.';
  end if;
end
$$;
--> statement-breakpoint
create function leasehold_internal.check_fence_column(target regclass, column_name name) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  col pg_attribute;
begin
  select a.* into col from pg_attribute a
   where a.attrelid = target and a.attname = column_name and a.attnum > 0 and not a.attisdropped;
  if not found then
    raise exception using errcode = 'LH003',
      message = format('%s has no column %s', quoted, coalesce(quote_ident(column_name), 'without a name')),
      hint = format('Add it: alter table %s add column %I bigint;', quoted, coalesce(column_name, 'fence'));
  end if;
  if col.atttypid <> 'bigint'::regtype then
    raise exception using errcode = 'LH003',
      message = format('the column %I of %s is of type %s, a fence is a bigint',
                       column_name, quoted, format_type(col.atttypid, col.atttypmod)),
      detail = 'A fence is a position in the write-ahead log, and soon larger than any integer.',
      hint = format('alter table %s alter column %I type bigint;', quoted, column_name);
  end if;
  if col.attgenerated <> '' then
    raise exception using errcode = 'LH003',
      message = format('the column %I of %s is generated: nobody can write a fence into it', column_name, quoted),
      hint = format('Take an ordinary column: alter table %s add column fence bigint;', quoted);
  end if;
end
$$;
--> statement-breakpoint
-- Called when the trigger's condition has found that the fence of the row would decrease.
create function leasehold.refuse_old_fence() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  fence_column name;
  was bigint;
  comes bigint;
begin
  -- The column may have been renamed. Only the trigger of the whole table depends on it, not those of its partitions.
  with recursive fencing as (
    select t.oid, t.tgrelid, t.tgparentid from pg_trigger t where t.tgrelid = tg_relid and t.tgname = tg_name
    union all
    select p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select a.attname into fence_column
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid
                     and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attnum > 0
   limit 1;
  if fence_column is not null then
    execute format('select ($1).%1$I, ($2).%1$I', fence_column) into was, comes using old, new;
  end if;
  raise exception using
    errcode = 'LH006',
    message = case
      when comes is null then format('a row of %I.%I cannot lose its fence', tg_table_schema, tg_table_name)
      else format('fence %s is too old for a row of %I.%I', comes, tg_table_schema, tg_table_name) end,
    detail = format('The row was written with fence %s. "%s" takes the same fence or a larger one.', was, fence_column),
    hint = 'A later holder of the lock has written this row: acquire the lock again, read again, then write.',
    schema = tg_table_schema, table = tg_table_name, column = coalesce(fence_column, '');
end
$$;

comment on function leasehold.refuse_old_fence() is 'Trigger function of fence_table.';
--> statement-breakpoint
-- The trigger that fences a column, found by its dependency and not by its name: a column can be renamed, and a restore changes
-- column numbers. The trigger of a partition comes from that of its table, and only the latter has the dependency.
create function leasehold_internal.fence_trigger(target regclass, fence_column name) returns pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  with recursive fencing as (
    select t.oid as id, t.oid, t.tgrelid, t.tgparentid
      from pg_trigger t
     where t.tgrelid = target and t.tgfoid = 'leasehold.refuse_old_fence()'::regprocedure
    union all
    select f.id, p.oid, p.tgrelid, p.tgparentid from fencing f join pg_trigger p on p.oid = f.tgparentid
  )
  select t
    from fencing f
    join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = f.oid
                     and d.refclassid = 'pg_class'::regclass and d.refobjid = f.tgrelid
    join pg_attribute a on a.attrelid = f.tgrelid and a.attnum = d.refobjsubid and a.attname = fence_column
    join pg_trigger t on t.oid = f.id
   order by t.tgname
   limit 1;
end;
--> statement-breakpoint
-- Checks that the expression of guard_table gives a text. The expression is parsed but never run, because it may fail for a row
-- of nulls. The table is not read either: the planner would run immutable functions of its row policies with the caller's
-- rights (rule 11).
create function leasehold_internal.check_key_expression(target regclass, key text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- as in require_guard
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  columns text := (
    select string_agg(format('(whole."row").%I', a.attname), ', ')
      from pg_attribute a
     where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v');
  key_type regtype;
begin
  if coalesce(key, '') !~ '[^[:space:]]' then
    raise exception using errcode = 'LH003', message = format('the key of %s is empty: there is nothing to guard it by', quoted),
      hint = 'Give an SQL expression over the columns of the table, such as: ''account:'' || id';
  end if;
  begin
    execute format(
      'select pg_typeof(k.key) from (values (true)) as one (row) left join (select (%s
       ) as key from (select %s from (select null::%s as "row" offset 0) as whole) as %I where false) as k on true',
      key, columns, quoted, (select c.relname from pg_class c where c.oid = target))
      into strict key_type;
  exception
    when insufficient_privilege then
      raise;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception
      or cardinality_violation or no_data_found or too_many_rows then
      raise exception using errcode = 'LH003',
        message = format('the key of %s is no expression over its columns: %s', quoted, key),
        detail = sqlerrm,
        hint =
          'Give an SQL expression such as: ''account:'' || id. Virtual generated columns have no value in a trigger; your own '
          'functions need their schema.';
  end;
  if (select t.typcategory from pg_type t where t.oid = key_type) <> 'S' then
    raise exception using errcode = 'LH003',
      message = format('the key of %s is of type %s, a key is a text: %s', quoted, key_type, key),
      hint = format('Write it as the lock''s full key: ''account:'' || (%s)', key);
  end if;
end
$$;
--> statement-breakpoint
-- Runs after the row is written, when it has its final values: other triggers have changed it, generated columns are computed.
create function leasehold.require_guard() returns trigger
language plpgsql volatile
set search_path = pg_catalog, pg_temp
-- For every writer the expression must mean the same and give the same text, of a date or a float8 for example.
set standard_conforming_strings = on
set datestyle = 'ISO, MDY'
set intervalstyle = postgres
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = hex
as $$
declare
  -- The expression may name columns with or without the table's name. It has a line of its own, since it may end in a comment.
  key_of text := '(select (' || tg_argv[0] || E'\n)::text from (select ($';
  row_named text := ').*) as ' || quote_ident(tg_argv[1]) || ')';
  keys text[];
  key text;
  is_guarded boolean;
  guards_share boolean;
begin
  if tg_op = 'TRUNCATE' then
    raise exception using errcode = 'LH005',
      message = format('%I.%I is a guarded table: it cannot be truncated', tg_table_schema, tg_table_name),
      detail = 'That would write the rows of every key, and no guard covers them all.',
      hint = format('Delete row by row under guards, or take the protection off first: select leasehold.unguard_table(%L);',
                    format('%I.%I', tg_table_schema, tg_table_name)),
      schema = tg_table_schema, table = tg_table_name;
  elsif tg_op = 'INSERT' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using new;
  elsif tg_op = 'DELETE' then
    execute 'select array[' || key_of || '1' || row_named || ']' into keys using old;
  else
    -- An update that changes the key needs a guard for both keys.
    execute 'select array[' || key_of || '1' || row_named || ',' || key_of || '2' || row_named || ']' into keys using old, new;
    if keys[1] = keys[2] then
      keys := keys[1:1];
    end if;
  end if;

  foreach key in array keys loop
    if key is null then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: it has no key', tg_table_schema, tg_table_name),
        detail = format('The table is guarded, and %s is null for this row.', tg_argv[0]),
        hint = 'Give every row a key, or guard the table with an expression that is never null.',
        schema = tg_table_schema, table = tg_table_name;
    end if;
    -- A writer without guards may lack the right to call is_guarded. Then its name must not even be resolved.
    is_guarded := false;
    guards_share := false;
    if coalesce(current_setting('leasehold.guards', true), '') <> '' then
      is_guarded := leasehold.is_guarded(key, tg_nargs > 2);
      if not is_guarded then
        guards_share := leasehold.is_guarded(key, true);
      end if;
    end if;
    if not is_guarded then
      raise exception using errcode = 'LH005',
        message = format('a row of %I.%I cannot be written: this transaction does not guard the key %L',
                         tg_table_schema, tg_table_name, key),
        hint = case
          when guards_share then format(
            'It guards a share of the key, and others who share it may write this row, too: acquire the key alone. Where '
            'each of them '
            'writes rows of its own: select leasehold.guard_table(%L, %L, shared => true);',
            format('%I.%I', tg_table_schema, tg_table_name), tg_argv[0])
          else format('Run this first, in the same transaction: select leasehold.guard(%L, <fence>);', key)
        end,
        schema = tg_table_schema, table = tg_table_name;
    end if;
  end loop;
  return null;
end
$$;

comment on function leasehold.require_guard() is 'Trigger function of guard_table.';
--> statement-breakpoint
-- The triggers of guard_table on a table: the one for rows, which partitions inherit, and those for truncate, which they do
-- not.
create function leasehold_internal.guard_triggers(target regclass) returns setof pg_trigger
language sql stable
set search_path = pg_catalog, pg_temp
begin atomic
  select t.*
    from pg_trigger t
   where t.tgfoid = 'leasehold.require_guard()'::regprocedure
     and (t.tgrelid = target
       or t.tgname = 'zz_leasehold_guard_truncate'
         and t.tgrelid in (select s.relid from pg_partition_tree(target) s)
         -- a partition may have a guard of its own
         and not exists (
           select from pg_trigger o where o.tgrelid = t.tgrelid and o.tgname = 'zz_leasehold_guard' and o.tgparentid = 0));
end;
--> statement-breakpoint
-- Writes the whole row anew, so that a flush can be repeated. A role that may lock can write only its own rows (it knows no
-- other id), and nothing of arbitrary size: impossible counts are refused, or left out of a list. Lines with a counter
-- variable are repeated for each counter (scripts/sql-counters.ts).
create function leasehold_internal.flush_counters(p_id uuid, p_sequence integer, p_counts text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set lock_timeout = '100ms'
as $$
declare
  most constant bigint := 1000000000000;
  most_ms constant float8 := 1e15;
  counts jsonb;
  given leasehold.counters;
begin
  perform leasehold_internal._check_transaction();
  if octet_length(p_counts) > 1048576 then
    raise exception using errcode = 'LH003',
      message = format('counters take 1 MiB at most, these have %s bytes', octet_length(p_counts));
  end if;
  counts := p_counts::jsonb;
  given := jsonb_populate_record(null::leasehold.counters, counts - 'prefixes' - 'hot_keys');
  given.id := p_id;
  given.sequence := p_sequence;
  given.started_at := clock_timestamp();
  given.flushed_at := given.started_at;
  given.prefixes := (
    select coalesce(jsonb_agg(to_jsonb(p)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'prefixes') as x (
            prefix text,
            acquired bigint,
            refused bigint,
            timed_out bigint,
            contended bigint,
            taken_over bigint,
            wait_ms float8)
         where coalesce(octet_length(x.prefix), 0) <= 512
           and x.acquired between 0 and most
           and x.refused between 0 and most
           and x.timed_out between 0 and most
           and x.contended between 0 and most
           and x.taken_over between 0 and most
           and x.wait_ms between 0 and most_ms
         limit 101
      ) p);
  given.hot_keys := (
    select coalesce(jsonb_agg(to_jsonb(k)), '[]')
      from (
        select x.*
          from jsonb_to_recordset(counts -> 'hot_keys') as x (
            key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
         where octet_length(x.key) between 1 and 512
           and x.contended between 0 and x.contended_at_most and x.contended_at_most <= most
           and x.acquired between 0 and most and x.wait_ms between 0 and most_ms
         limit 100
      ) k);
  if p_id = '00000000-0000-0000-0000-000000000000'
     or array_ndims(given.waits) <> 1 or cardinality(given.waits) <> 28 or array_position(given.waits, null) is not null
     or array_ndims(given.holds) <> 1 or cardinality(given.holds) <> 28 or array_position(given.holds, null) is not null
     or given.wait_ms not between 0 and most_ms or given.hold_ms not between 0 and most_ms
     or jsonb_path_exists(
          to_jsonb(given) - 'prefixes' - 'hot_keys' - 'wait_ms' - 'hold_ms',
          '$.** ? (@.type() == "number" && (@ < 0 || @ > $most))', jsonb_build_object('most', most)) then
    raise exception using errcode = 'LH003', message = 'these are no counters',
      hint = 'This function is for the Leasehold client. Nothing else needs to call it.';
  end if;

  -- If a crash loses this row, the next flush writes it again.
  perform set_config('synchronous_commit', 'off', true);
  insert into leasehold.counters as c values (given.*)
  on conflict (id) do update
    set sequence = excluded.sequence, flushed_at = excluded.flushed_at,
        acquired = excluded.acquired,
        refused = excluded.refused,
        timed_out = excluded.timed_out,
        cancelled = excluded.cancelled,
        failed = excluded.failed,
        contended = excluded.contended,
        released = excluded.released,
        renewed = excluded.renewed,
        checked = excluded.checked,
        swept = excluded.swept,
        errors = excluded.errors,
        lost_expired = excluded.lost_expired,
        lost_taken = excluded.lost_taken,
        lost_max_hold = excluded.lost_max_hold,
        lost_forced = excluded.lost_forced,
        taken_over_expired = excluded.taken_over_expired,
        taken_over_orphaned = excluded.taken_over_orphaned,
        wait_ms = excluded.wait_ms, hold_ms = excluded.hold_ms, waits = excluded.waits, holds = excluded.holds,
        prefixes = excluded.prefixes, hot_keys = excluded.hot_keys
    where c.sequence < excluded.sequence;
end
$$;
--> statement-breakpoint
-- A sum that fits a bigint: a client that flushes nonsense must not be able to stop the sweeper.
create function leasehold_internal._capped(summed numeric) returns bigint
language sql immutable
return least(summed, 1000000000000000000)::bigint;
--> statement-breakpoint
-- Adds rows that nobody writes any more to the one permanent row. A client that could not flush for three hours begins a new
-- row. Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
create function leasehold_internal._purge_counters(most integer) returns integer
language plpgsql volatile
as $$
declare
  rest constant uuid := uuid '00000000-0000-0000-0000-000000000000';
  old uuid[];
begin
  old := array(
    select c.id from leasehold.counters c
     where c.id <> rest and c.flushed_at < clock_timestamp() - interval '6 hours'
     limit most
       for update skip locked);
  if cardinality(old) = 0 then
    return 0;
  end if;
  with gone as materialized (
    delete from leasehold.counters c where c.id = any (old || rest) returning c.*
  ),
  prefix as materialized (
    select x.prefix,
           sum(x.acquired) as acquired,
           sum(x.refused) as refused,
           sum(x.timed_out) as timed_out,
           sum(x.contended) as contended,
           sum(x.taken_over) as taken_over,
           sum(x.wait_ms) as wait_ms,
           row_number() over (order by x.prefix is null, sum(x.contended) desc, sum(x.acquired) desc, x.prefix) as number
      from gone g
     cross join lateral jsonb_to_recordset(g.prefixes) as x (
             prefix text,
             acquired bigint,
             refused bigint,
             timed_out bigint,
             contended bigint,
             taken_over bigint,
             wait_ms float8)
     group by x.prefix
  )
  insert into leasehold.counters (
    id, sequence, started_at, flushed_at,
    acquired,
    refused,
    timed_out,
    cancelled,
    failed,
    contended,
    released,
    renewed,
    checked,
    swept,
    errors,
    lost_expired,
    lost_taken,
    lost_max_hold,
    lost_forced,
    taken_over_expired,
    taken_over_orphaned,
    wait_ms, hold_ms, waits, holds, prefixes, hot_keys)
  select rest, 0, min(g.started_at), max(g.flushed_at),
         leasehold_internal._capped(sum(g.acquired)),
         leasehold_internal._capped(sum(g.refused)),
         leasehold_internal._capped(sum(g.timed_out)),
         leasehold_internal._capped(sum(g.cancelled)),
         leasehold_internal._capped(sum(g.failed)),
         leasehold_internal._capped(sum(g.contended)),
         leasehold_internal._capped(sum(g.released)),
         leasehold_internal._capped(sum(g.renewed)),
         leasehold_internal._capped(sum(g.checked)),
         leasehold_internal._capped(sum(g.swept)),
         leasehold_internal._capped(sum(g.errors)),
         leasehold_internal._capped(sum(g.lost_expired)),
         leasehold_internal._capped(sum(g.lost_taken)),
         leasehold_internal._capped(sum(g.lost_max_hold)),
         leasehold_internal._capped(sum(g.lost_forced)),
         leasehold_internal._capped(sum(g.taken_over_expired)),
         leasehold_internal._capped(sum(g.taken_over_orphaned)),
         sum(g.wait_ms), sum(g.hold_ms),
         (select array_agg(b.n order by b.number)
            from (select u.number, leasehold_internal._capped(sum(u.n)) as n
                    from gone o cross join unnest(o.waits) with ordinality u (n, number) group by u.number) b),
         (select array_agg(b.n order by b.number)
            from (select u.number, leasehold_internal._capped(sum(u.n)) as n
                    from gone o cross join unnest(o.holds) with ordinality u (n, number) group by u.number) b),
         -- The thousand most important prefixes keep their names.
         (select coalesce(jsonb_agg(to_jsonb(s)), '[]')
            from (
              select case when p.number <= 1000 then p.prefix end as prefix,
                     leasehold_internal._capped(sum(p.acquired)) as acquired,
                     leasehold_internal._capped(sum(p.refused)) as refused,
                     leasehold_internal._capped(sum(p.timed_out)) as timed_out,
                     leasehold_internal._capped(sum(p.contended)) as contended,
                     leasehold_internal._capped(sum(p.taken_over)) as taken_over,
                     sum(p.wait_ms) as wait_ms
                from prefix p
               group by 1
            ) s),
         '[]'
    from gone g;
  return cardinality(old);
end
$$;
--> statement-breakpoint
-- Null if there was nothing to average. Bounded as intervals are: a client that flushes nonsense must not break the views.
create function leasehold_internal._mean(summed_ms float8, times numeric) returns interval
language sql immutable
return case when times > 0 then least(summed_ms / times::float8, 1e15) * interval '1 millisecond' end;

comment on function leasehold_internal._mean(float8, numeric) is 'How long something took, on average.';
--> statement-breakpoint
-- Allows views to functions that read one, and returns the old value for _restrict_views. A role or a database may forbid views
-- (restrict_nonsystem_relation_kind, as pg_dump does), but ours belong to the functions' owner. Not a SET clause of those
-- functions: a server without that setting could not create them.
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
-- Which waits cannot end before one of the sessions that are stuck in such a wait gives up something: a deadlock, and who
-- waits for it. Returned as places in the arrays of waits, which are in the order of the queues. Weight null: an exclusive
-- wait or holder. Holders without a session are left out of the arrays: nobody knows that they wait.
--
-- Assume of everybody who waits and holds that he is stuck, then take out whose wait could end if all others let go: until
-- nobody is left to take out. A wait is blocked if what the stuck holders have leaves no room for it: one of them is enough
-- for an exclusive wait, or if it is an exclusive holder. For a part of a semaphore it takes as many as leave too little, so
-- that a holder who is not stuck and could make room ends it. Whoever stands behind a wait that is blocked is blocked with
-- it. What a session has itself counts only beside what others have: who waits for himself may be doing two things at once.
create function leasehold_internal._stuck_waits(
  wait_sessions integer[],
  wait_keys integer[],
  wait_weights integer[],
  wait_capacities integer[],
  hold_sessions integer[],
  hold_keys integer[],
  hold_weights integer[],
  hold_capacities integer[]
) returns table (place integer)
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  sessions integer[];
  places integer[];
  before integer;
  -- Where each holder is enough to block, a cycle is one whoever is left in: a few rounds leave fewer to look at.
  rounds integer := case
    when exists (select from unnest(wait_weights) w (weight) where w.weight is not null) then 1000000 else 3 end;
begin
  sessions := array(select unnest(wait_sessions) intersect select unnest(hold_sessions));
  for round in 1 .. rounds loop
    exit when cardinality(sessions) < 2;
    before := cardinality(sessions);
    with held as materialized (
      select h.key, bool_or(h.weight is null) as is_exclusive, sum(h.weight) as taken, min(h.capacity) as capacity,
             min(h.session) as lowest, max(h.session) as highest
        from unnest(hold_sessions, hold_keys, hold_weights, hold_capacities) h (session, key, weight, capacity)
        join unnest(sessions) s (session) on s.session = h.session
       group by h.key
    ),
    wait as (
      select w.place, w.session,
             bool_or(case
               when h.lowest is not distinct from w.session and h.highest is not distinct from w.session then false
               when w.weight is null or h.is_exclusive then true
               else h.taken + w.weight > least(h.capacity, w.capacity)
             end) over (partition by w.key order by w.place) as is_blocked,
             h.lowest <> w.session or h.highest <> w.session as is_of_others
        from unnest(wait_sessions, wait_keys, wait_weights, wait_capacities) with ordinality
          w (session, key, weight, capacity, place)
        join held h on h.key = w.key
    )
    select array_agg(w.place::integer order by w.place), array_agg(distinct w.session)
      into places, sessions
      from wait w
      join unnest(sessions) s (session) on s.session = w.session
     where w.is_blocked and w.is_of_others;
    exit when cardinality(sessions) = before or sessions is null;
  end loop;
  return query select p from unnest(places) p where cardinality(sessions) >= 2;
end
$$;

comment on function leasehold_internal._stuck_waits(
  integer[], integer[], integer[], integer[], integer[], integer[], integer[], integer[]) is
  'The waits that are part of a deadlock, or wait for one, as places in the arrays of waits.';
--> statement-breakpoint
-- Cycles in a graph of who waits for what and who holds it. A key may have several holders, and who waits for it waits for
-- each of them. Listing all cycles would take for ever in a dense graph, so return a shortest one for each session that is in
-- one. A breadth-first search from each session: in a dense graph cycles are short and soon found. Over the keys, of which
-- each is followed once: with 1,000 who wait for a key that 1,000 share there are a million pairs.
--
-- Keys are numbers from 1. The order of waiting is that in which the waits of a session are followed.
create function leasehold_internal._cycles(waiting integer[], wanted integer[], holding integer[], held integer[])
returns table (sessions integer[], keys integer[])
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
  nodes integer[];
  size integer; -- of the keys
  wants integer[]; -- the keys that are waited for, in the order of the nodes that wait
  first_want integer[]; -- for each node, the index in wants of its first
  holders integer[]; -- the nodes that hold, as indexes into nodes, in the order of the keys
  first_holder integer[]; -- for each key
  owned integer[]; -- the keys that are held, in the order of the nodes that hold
  first_owned integer[]; -- for each node
  is_own boolean[]; -- whether a key is held by the node from which the search began
  is_followed boolean[];
  reached_from integer[];
  reached_by integer[];
  queue integer[];
  looked integer;
  node integer;
  next integer;
  key integer;
  cycle integer[];
  path integer[];
  least integer;
begin
  -- A node that waits for nobody, or that nobody waits for, is in no cycle. Usually no node is left.
  nodes := array(select unnest(waiting) intersect select unnest(holding) order by 1);
  if cardinality(nodes) < 2 then
    return;
  end if;
  size := (select max(k) from unnest(wanted || held) k);
  with number as materialized (
    select n.id, n.number from unnest(nodes) with ordinality n (id, number)
  ),
  want as materialized (
    select n.number, w.key, min(w.place) as place
      from unnest(waiting, wanted) with ordinality w (session, key, place)
      join number n on n.id = w.session
     group by n.number, w.key
  ),
  hold as materialized (
    select distinct n.number, h.key
      from unnest(holding, held) h (session, key)
      join number n on n.id = h.session
  )
  select array(select w.key from want w order by w.number, w.place),
         array(select 1 + sum(count(w.number)) over (order by n.number) - count(w.number)
                 from number n left join want w on w.number = n.number group by n.number order by n.number),
         array(select h.number from hold h order by h.key, h.number),
         array(select 1 + sum(count(h.key)) over (order by k) - count(h.key)
                 from generate_series(1, size) k left join hold h on h.key = k group by k order by k),
         array(select h.key from hold h order by h.number, h.key),
         array(select 1 + sum(count(h.number)) over (order by n.number) - count(h.number)
                 from number n left join hold h on h.number = n.number group by n.number order by n.number)
    into wants, first_want, holders, first_holder, owned, first_owned;
  first_want := first_want || cardinality(wants) + 1;
  first_holder := first_holder || cardinality(holders) + 1;
  first_owned := first_owned || cardinality(owned) + 1;

  for start in 1 .. cardinality(nodes) loop
    reached_from := array_fill(0, array[cardinality(nodes)]);
    reached_by := reached_from;
    is_followed := array_fill(false, array[size]);
    is_own := is_followed;
    for place in first_owned[start] .. first_owned[start + 1] - 1 loop
      is_own[owned[place]] := true;
    end loop;
    queue := array[start];
    looked := 0;
    cycle := null;
    while cycle is null and looked < cardinality(queue) loop
      looked := looked + 1;
      node := queue[looked];
      for place in first_want[node] .. first_want[node + 1] - 1 loop
        key := wants[place];
        -- Who waits for himself alone may be doing two things at once.
        if is_own[key] and node <> start then
          cycle := array[nodes[node]];
          path := array[key];
          while node <> start loop
            path := reached_by[node] || path;
            node := reached_from[node];
            cycle := nodes[node] || cycle;
          end loop;
          exit;
        end if;
        continue when is_followed[key];
        is_followed[key] := true;
        for holder in first_holder[key] .. first_holder[key + 1] - 1 loop
          next := holders[holder];
          if next <> start and reached_from[next] = 0 then
            reached_from[next] := node;
            reached_by[next] := key;
            queue := queue || next;
          end if;
        end loop;
      end loop;
    end loop;
    -- Begin with the smallest node, so that the same cycle is always the same array.
    if cycle is not null then
      least := array_position(cycle, (select min(c) from unnest(cycle) c));
      sessions := cycle[least:] || cycle[:least - 1];
      keys := path[least:] || path[:least - 1];
      return next;
    end if;
  end loop;
end
$$;

comment on function leasehold_internal._cycles(integer[], integer[], integer[], integer[]) is
  'Cycles in a graph that is given as who waits for which key, and who holds it: a shortest one for each session that is in one, '
  'beginning with its smallest number, and the keys that they wait for. The same cycle may be returned several times.';
--> statement-breakpoint
-- Every grant of a key with its state, by the predicates of the protocol (_is_grantable, _is_dead) but for all rows at once:
-- a row for each lease, and one for each share. The other views are based on it. The row of a key that is shared is there,
-- too, as one that is free: nobody shows those, unless a transaction has them locked.
create view leasehold_internal._leases as
select l.key, l.mode, l.weight, l.capacity, l.is_share, l.fence, l.owner, l.session_id, l.ttl_ms, l.takeover_ms, l.acquired_at,
       l.renewed_at, l.expires_at, l.max_hold_until, l.hold_until, l.revoked_at, l.metadata, l.acquisitions, l.is_taken,
       case
         when not l.is_taken and l.hold_until > clock.now then 'cooling'
         when not l.is_taken then 'free'
         when l.expires_at <= clock.now then 'expired'
         when l.session_id is not null and not clock.is_standby and not coalesce(p.is_connected, false)
          and (l.takeover_ms = 0
               or greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' < clock.now
                    and p.seen_at is not null)
           then 'orphaned'
         when l.revoked_at is not null then 'revoked'
         else 'held'
       end as state,
       case when l.session_id is not null and not clock.is_standby then
         coalesce(p.is_connected and p.seen_at is not null, false) end as is_session_alive,
       p.pid, p.host, p.client_address, p.application_name,
       greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' as takeover_at,
       l.version, l.locked,
       clock.now, clock.is_standby
  from (
    -- Without an expiry there was no grant yet, or the last one was a share.
    select e.key, case when e.expires_at is not null then 'exclusive' end as mode, null::integer as weight,
           null::integer as capacity, false as is_share, e.fence, e.owner, e.session_id, e.ttl_ms, e.takeover_ms, e.acquired_at,
           e.renewed_at, e.expires_at, e.max_hold_until, e.hold_until, e.revoked_at, e.metadata, e.acquisitions,
           e.token is not null as is_taken, e.xmin as version, e.xmax as locked
      from leasehold.leases e
    union all
    select s.key, case when s.capacity is null then 'shared' else 'semaphore' end, s.weight, s.capacity, true, s.fence, s.owner,
           s.session_id, s.ttl_ms, s.takeover_ms, s.acquired_at, s.renewed_at, s.expires_at, s.max_hold_until, s.hold_until,
           s.revoked_at, s.metadata, (select r.acquisitions from leasehold.leases r where r.key = s.key), s.released_at is null,
           s.xmin, s.xmax
      from leasehold.shares s
  ) l
 cross join (select clock_timestamp() as now, pg_is_in_recovery() as is_standby) clock
  left join leasehold_internal._presence() p on p.id = l.session_id;

comment on view leasehold_internal._leases is
  'Every row of leases and of shares with its state, as a client would judge it. The other views are based on it.';
--> statement-breakpoint
-- Every lease and share with its state, and the open transaction that keeps its row locked. What is free and has its row
-- locked is blocked. rank: of the rows of one key, which says most about who keeps it: 1, a holder; 2, one that is cooling;
-- 3, an open transaction; 4, what has ended; 5, what is free.
--
-- A row costs some comparisons of numbers: only one that may be locked asks _locker, which takes 8 us (0.8 s for 100,000
-- leases). In most, the lock that is still noted is that of the transaction which wrote the version, and that has ended.
-- "offset 0": or an expression is worked out anew for each column that needs it.
create view leasehold_internal._keys as
select l.key, l.mode, l.weight, l.capacity, l.fence, l.owner, l.session_id, l.ttl_ms, l.acquired_at, l.renewed_at,
       l.expires_at, l.max_hold_until, l.hold_until, l.revoked_at, l.metadata, l.acquisitions, l.is_taken,
       s.state,
       case when s.state in ('held', 'revoked') then 1 when s.state = 'cooling' then 2 when b.place is not null then 3
            when s.state = 'free' then 5 else 4 end as rank,
       b.place is not null as is_blocked,
       open.pids[b.place] as blocking_pid,
       open.gids[b.place] as blocking_transaction,
       l.is_session_alive, l.pid, l.host, l.client_address, l.application_name, l.takeover_at, l.now, l.is_standby
  from leasehold_internal._leases l
 cross join leasehold_internal._open_transactions() open
 cross join lateral (
   select case
            when open.xids is not null and l.locked <> '0'::xid and l.locked <> l.version
             and (age(l.locked) <= open.oldest or mxid_age(l.locked) between 1 and mxid_age(open.oldest_multixact))
              then leasehold_internal._locker(l.locked, open.xids, open.lone, open.oldest_multixact)
          end as place
   offset 0) b
 cross join lateral (
   select case when l.state = 'free' and b.place is not null then 'blocked' else l.state end as state offset 0) s;

comment on view leasehold_internal._keys is
  'Every row of leases and of shares with its state, and the open transaction that keeps it from being granted.';
--> statement-breakpoint
create view leasehold.active_leases as
select k.key, k.state, k.mode, k.weight, k.capacity,
       nullif(k.fence, 0) as fence,
       k.owner, k.session_id, k.is_session_alive, k.acquired_at,
       case when k.is_taken then k.renewed_at end as renewed_at,
       case when k.is_taken then k.expires_at end as expires_at,
       f.free_at,
       f.free_at - k.now as remaining,
       case when k.is_taken then k.now - k.acquired_at end as held_for,
       case when k.is_taken then k.ttl_ms * interval '1 millisecond' end as ttl,
       case when k.is_taken then k.max_hold_until end as max_hold_until,
       case when k.is_taken then k.revoked_at end as revoked_at,
       case when not k.is_standby then coalesce(queue.waiters, 0) end as waiters,
       k.blocking_pid, k.blocking_transaction,
       k.pid, k.host, k.client_address, k.application_name, k.metadata, k.acquisitions
  from leasehold_internal._keys k
 cross join lateral (
   select case when k.state in ('held', 'revoked') then k.expires_at when k.state = 'cooling' then k.hold_until end as free_at
 ) f
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = k.key
 where k.state in ('held', 'revoked', 'cooling') or k.is_blocked;

comment on view leasehold.active_leases is
  'Every key that cannot be granted now, whatever keeps it: who holds what, and what else is not free. A key that is shared '
  'has a row for each of its holders, and may be granted to others who share it. A lease that has ended is here while an '
  'open transaction keeps its key, else in expired_leases. A key whose very first grant is not committed is not here, for '
  'nobody can see its name: ask leasehold.check(key).';
comment on column leasehold.active_leases.key is 'What is locked, prefix included.';
comment on column leasehold.active_leases.state is
  'held. revoked: an operator took it away, and its holder has not let go yet. cooling: released, and kept until its minimum '
  'hold ends. blocked: released, and kept by an open transaction (blocking_pid, blocking_transaction), which guards it or is '
  'about to be granted it. expired, orphaned: not renewed in time, or its holder is dead; only an open transaction still keeps '
  'it.';
comment on column leasehold.active_leases.mode is
  'exclusive: alone. shared: a read lock, beside any number of others. semaphore: beside others as long as their weights '
  'fit into the capacity. Null: not known, for the grant is in an open transaction.';
comment on column leasehold.active_leases.weight is
  'What it takes of the capacity. Null: exclusive, which takes the whole key.';
comment on column leasehold.active_leases.capacity is
  'The capacity that it was acquired with. While several differ, the smallest counts. Null: not a semaphore.';
comment on column leasehold.active_leases.fence is
  'The fencing token of this grant. A later grant of the key has a larger one. Null: there was none yet.';
comment on column leasehold.active_leases.owner is
  'Who holds it, as the client named itself (by default host:pid); while cooling or blocked, who held it last.';
comment on column leasehold.active_leases.session_id is
  'Its session, see live_sessions. Null: without presence; if its process dies, the key is free at expires_at.';
comment on column leasehold.active_leases.is_session_alive is
  'Whether its session is connected. False: the process has died or is reconnecting; the lease is kept for takeover_ms after '
  'its last heartbeat. Null without presence, when it was released, and on a standby.';
comment on column leasehold.active_leases.acquired_at is 'When it was last granted.';
comment on column leasehold.active_leases.renewed_at is
  'When it was last renewed; the time of the grant if not since. Null: it was released.';
comment on column leasehold.active_leases.expires_at is 'When it expires unless it is renewed. Null: it was released.';
comment on column leasehold.active_leases.free_at is
  'When this ends at the latest: a lease that is held unless it is renewed, one that is revoked for sure, and the end of a '
  'minimum hold. Null: when the open transaction ends. One that is named keeps the key beyond this time, too.';
comment on column leasehold.active_leases.remaining is 'Time until free_at.';
comment on column leasehold.active_leases.held_for is 'Time since acquired_at. Null: it was released.';
comment on column leasehold.active_leases.ttl is 'Time to live, as last granted or renewed. Null: it was released.';
comment on column leasehold.active_leases.max_hold_until is 'No renewal goes beyond this time. Null: no bound.';
comment on column leasehold.active_leases.revoked_at is
  'When an operator took it away: it can no longer be renewed, and is free when its holder releases it or at expires_at. Null: '
  'not revoked.';
comment on column leasehold.active_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.active_leases.blocking_pid is
  'Server process whose open transaction (mostly a guarded one) keeps the key, whatever becomes of the lease. Null: none, or not '
  'known.';
comment on column leasehold.active_leases.blocking_transaction is
  'The same for a prepared transaction, which has no process: its name. End it with COMMIT PREPARED or ROLLBACK PREPARED.';
comment on column leasehold.active_leases.pid is
  'Server process of the session, as in pg_stat_activity. It is not the one that writes under the lock. Null without presence.';
comment on column leasehold.active_leases.host is 'Name of the client''s machine. Null without presence.';
comment on column leasehold.active_leases.client_address is
  'Address that the session comes from. Null without presence, or over a Unix socket.';
comment on column leasehold.active_leases.application_name is 'application_name of the session. Null without presence.';
comment on column leasehold.active_leases.metadata is 'Metadata from the holder, or the last one.';
comment on column leasehold.active_leases.acquisitions is 'How many times the key was granted since its row was created.';
--> statement-breakpoint
-- The keys in the collation of the table: only then a condition on the key is one on the key of who keeps it, too.
create view leasehold.waiting as
select w.key, w."position", w.mode, w.weight, w.capacity, w.ticket, w.owner, w.session_id,
       w.enqueued_at as waiting_since,
       clock.now - w.enqueued_at as waiting_for,
       w.alive_until, w.is_alive,
       blocking.owner as blocked_by,
       blocking.fence as blocked_by_fence,
       case when blocking.key is not null then greatest(blocking.acquired_at, w.enqueued_at) end as blocked_since,
       blocking.blocking_pid, blocking.blocking_transaction,
       p.pid, p.host
  from (select q.key collate "C" as key, q."position", q.mode, q.weight, q.capacity, q.ticket, q.owner, q.session_id,
               q.enqueued_at, q.alive_until, q.is_alive
          from leasehold_internal._queue() q) w
 cross join (select clock_timestamp() as now) clock
  left join (
         select distinct on (k.key) k.key, k.owner, k.fence, k.acquired_at,
                first_value(k.blocking_pid) over any_of_key as blocking_pid,
                first_value(k.blocking_transaction) over any_of_key as blocking_transaction
           from leasehold_internal._keys k
          where (k.state in ('held', 'revoked', 'cooling') or k.is_blocked)
            -- As a list: or each waiter is joined with all sessions, to find that of the holder.
            and k.key = any (array(select distinct q.key from leasehold_internal._queue() q))
         -- Of several who share the key any may be guarded: that keeps it whoever of them goes.
         window any_of_key as (
           partition by k.key order by k.blocking_pid is null and k.blocking_transaction is null, k.rank, k.fence)
          order by k.key, k.rank, k.fence
       ) blocking on blocking.key = w.key
  left join leasehold_internal._presence() p on p.id = w.session_id;

comment on view leasehold.waiting is 'Who waits for what, behind how many others, and who is in the way. Empty on a standby.';
comment on column leasehold.waiting.key is 'What is waited for, prefix included.';
comment on column leasehold.waiting."position" is
  'Position in the queue of the key: 1 is next. Null for a waiter that is not alive: the others pass it.';
comment on column leasehold.waiting.mode is
  'What it waits for. exclusive: the key for itself. shared: a read lock. semaphore: a part of the capacity.';
comment on column leasehold.waiting.weight is 'What it will take of the capacity. Null: exclusive, which takes the whole key.';
comment on column leasehold.waiting.capacity is 'The capacity that it asks with. Null: not a semaphore.';
comment on column leasehold.waiting.ticket is 'The number that orders the queue.';
comment on column leasehold.waiting.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiting.session_id is 'Its session, see live_sessions. Null without presence.';
comment on column leasehold.waiting.waiting_since is
  'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiting.waiting_for is 'Time since waiting_since.';
comment on column leasehold.waiting.alive_until is 'Each look of the waiting client extends this, every second or so.';
comment on column leasehold.waiting.is_alive is 'Whether alive_until is in the future. False: the client is dead or frozen.';
comment on column leasehold.waiting.blocked_by is
  'Who keeps the key: its holder (of several who share it, the oldest), or its last holder while the minimum hold lasts or '
  'an open transaction guards the key. Null: the key is free for the head of the queue.';
comment on column leasehold.waiting.blocked_by_fence is 'The fencing token of that grant.';
comment on column leasehold.waiting.blocked_since is 'Since when that holder has kept this waiter waiting.';
comment on column leasehold.waiting.blocking_pid is
  'Server process whose open transaction (a guarded one) keeps the key, whoever holds it. Null: none, or not known.';
comment on column leasehold.waiting.blocking_transaction is
  'The same for a prepared transaction, which has no process: its name. End it with COMMIT PREPARED or ROLLBACK PREPARED.';
comment on column leasehold.waiting.pid is 'Server process of the waiting session. Null without presence.';
comment on column leasehold.waiting.host is 'Name of the waiting client''s machine. Null without presence.';
--> statement-breakpoint
create view leasehold.live_sessions as
select p.id, p.owner, p.pid, p.host, p.client_address, p.application_name, p.version, p.started_at, p.seen_at,
       clock.now - p.seen_at as silent_for,
       p.is_connected as is_alive,
       coalesce(held.leases, 0) as leases,
       coalesce(queue.waits, 0) as waits
  from leasehold_internal._presence() p
 cross join (select clock_timestamp() as now) clock
  left join (select l.session_id, count(*)::integer as leases
               from leasehold_internal._leases l where l.state in ('held', 'revoked') group by l.session_id) held
    on held.session_id = p.id
  left join (select w.session_id, count(*)::integer as waits
               from leasehold_internal._queue() w where w.is_alive group by w.session_id) queue
    on queue.session_id = p.id
 where p.seen_at is not null;

comment on view leasehold.live_sessions is
  'Processes that take locks with presence, including those that ended without closing and were not swept yet. Empty on a '
  'standby.';
comment on column leasehold.live_sessions.id is 'Number of the session, which active_leases and waiting refer to.';
comment on column leasehold.live_sessions.owner is 'Who it is, as the client named itself.';
comment on column leasehold.live_sessions.pid is 'Server process of its connection, as in pg_stat_activity.';
comment on column leasehold.live_sessions.host is 'Name of the client''s machine.';
comment on column leasehold.live_sessions.client_address is 'Address that the connection comes from. Null: a Unix socket.';
comment on column leasehold.live_sessions.application_name is 'application_name of the connection.';
comment on column leasehold.live_sessions.version is 'Version of the Leasehold client.';
comment on column leasehold.live_sessions.started_at is 'When the session was opened.';
comment on column leasehold.live_sessions.seen_at is 'Its last heartbeat.';
comment on column leasehold.live_sessions.silent_for is 'Time since seen_at.';
comment on column leasehold.live_sessions.is_alive is
  'Whether it is connected, that is, holds its presence lock. False: the process has died or is reconnecting.';
comment on column leasehold.live_sessions.leases is 'How many leases it holds: in active_leases as held or revoked.';
comment on column leasehold.live_sessions.waits is 'In how many queues it waits.';
--> statement-breakpoint
create view leasehold.expired_leases as
select k.key, k.mode, k.weight, k.capacity, k.fence, k.owner, k.session_id,
       k.state as reason,
       k.expires_at,
       k.now - case when k.state = 'expired' then k.expires_at else k.takeover_at end as expired_for,
       case when not k.is_standby then coalesce(queue.waiters, 0) end as waiters
  from leasehold_internal._keys k
  left join (
         select w.key, count(*)::integer as waiters from leasehold_internal._queue() w where w.is_alive group by w.key) queue
    on queue.key = k.key
 where k.state in ('expired', 'orphaned') and not k.is_blocked;

comment on view leasehold.expired_leases is
  'Leases that have ended without a release: expired, or their holder has died. Their keys are granted to the next who '
  'asks. A key that was shared has a row for each share that has ended, while others may still hold theirs. While an open '
  'transaction keeps such a key, it is in active_leases.';
comment on column leasehold.expired_leases.key is 'What was locked, prefix included.';
comment on column leasehold.expired_leases.mode is 'exclusive, shared (a read lock) or semaphore.';
comment on column leasehold.expired_leases.weight is 'What it took of the capacity. Null: exclusive.';
comment on column leasehold.expired_leases.capacity is 'The capacity that it was acquired with. Null: not a semaphore.';
comment on column leasehold.expired_leases.fence is 'The fencing token of that grant.';
comment on column leasehold.expired_leases.owner is 'Who held it.';
comment on column leasehold.expired_leases.session_id is 'Its session. Null without presence.';
comment on column leasehold.expired_leases.reason is
  'expired: it was not renewed in time. orphaned: its process is confirmed dead. A standby only knows the first.';
comment on column leasehold.expired_leases.expires_at is 'When it expired, or would have expired had its process lived.';
comment on column leasehold.expired_leases.expired_for is 'Time since it ended.';
comment on column leasehold.expired_leases.waiters is 'How many wait for the key. Null on a standby.';
--> statement-breakpoint
create view leasehold.deadlocks as
with wait as materialized (
  select w.session_id, coalesce(p.owner, w.owner) as owner, w.key, w.ticket, w.enqueued_at, w.weight, w.capacity,
         dense_rank() over (order by w.key)::integer as number,
         row_number() over (order by w.key, w.ticket)::integer as place
    from leasehold_internal._queue() w
    left join leasehold_internal._presence() p on p.id = w.session_id
   where w.is_alive
),
hold as materialized (
  select k.number, l.session_id, l.weight, l.capacity
    from (select distinct w.key, w.number from wait w) k
    join leasehold_internal._leases l on l.key = k.key
   where l.state in ('held', 'revoked') and l.session_id is not null
),
stuck as materialized (
  select w.*
    from leasehold_internal._stuck_waits(
           array(select w.session_id from wait w order by w.place),
           array(select w.number from wait w order by w.place),
           array(select w.weight from wait w order by w.place),
           array(select w.capacity from wait w order by w.place),
           array(select h.session_id from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.number from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.weight from hold h order by h.number, h.session_id, h.weight, h.capacity),
           array(select h.capacity from hold h order by h.number, h.session_id, h.weight, h.capacity)) s
    join wait w on w.place = s.place
)
select step.keys, step.owners, c.sessions as session_ids, step.path, step.since
  from (
    select distinct found.sessions, found.keys
      from leasehold_internal._cycles(
             array(select s.session_id from stuck s order by s.session_id, s.ticket),
             array(select s.number from stuck s order by s.session_id, s.ticket),
             array(select h.session_id from hold h order by h.number, h.session_id),
             array(select h.number from hold h order by h.number, h.session_id)) found
  ) c
 cross join lateral (
   select array_agg(w.key order by s.number) as keys,
          array_agg(w.owner order by s.number) as owners,
          string_agg(format('%s waits for %s, held by %s', w.owner, w.key, holder.owner), '; ' order by s.number) as path,
          max(w.enqueued_at) as since
     from unnest(c.sessions, c.keys) with ordinality s (id, key, number)
    cross join lateral (select c.sessions[s.number % cardinality(c.sessions) + 1] as id) follower
     join lateral (
            select w.key, w.owner, w.enqueued_at
              from stuck w where w.session_id = s.id and w.number = s.key order by w.ticket limit 1) w on true
     join lateral (select h.owner from stuck h where h.session_id = follower.id limit 1) holder on true
 ) step;

comment on view leasehold.deadlocks is
  'Sessions that hold a key and wait for another in a cycle. A process may do several things at once, so a cycle that comes '
  'and goes need not be a deadlock; one that stays is. Who waits for a key that is shared waits for all who hold it; for a '
  'part of a semaphore only if all are stuck that leave too little room for it, so that nobody of a cycle goes on before '
  'somebody of a cycle gives up. Who stands in the queue behind another waits for what that one waits for: a reader behind '
  'a writer for the other readers. Contains a shortest cycle for each session that is in one. Only sessions: without '
  'presence it is not known which holder is which waiter. Empty on a standby.';
comment on column leasehold.deadlocks.keys is
  'What is waited for: the first session waits for the first key, which the second session holds, alone or with others, and so '
  'on; the last key is held by the first session.';
comment on column leasehold.deadlocks.owners is 'The sessions as they named themselves.';
comment on column leasehold.deadlocks.session_ids is 'The sessions, beginning with the smallest number.';
comment on column leasehold.deadlocks.path is 'The cycle in words.';
comment on column leasehold.deadlocks.since is 'When the last wait began, which closed the cycle.';
--> statement-breakpoint

-- For a wait that has timed out, see WaitTimeoutError. The role that waits may not read the view, and sees only what it is part
-- of: the nonce proves that it asks about a session of its own.
create function leasehold_internal.find_deadlock(p_session integer, p_nonce uuid, p_key text)
returns table (keys text, owners text)
language sql stable security definer rows 1
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
begin atomic
  select array_to_json(d.keys)::text, array_to_json(d.owners)::text
    from leasehold.deadlocks d
   where p_session = any (d.session_ids) and p_key = any (d.keys)
     and exists (select from leasehold.sessions s where s.id = p_session and s.nonce = p_nonce)
   limit 1;
end;

comment on function leasehold_internal.find_deadlock(integer, uuid, text) is
  'The deadlock that a session is in because it waits for this key; no row: it is in none. JSON arrays, as in '
  'leasehold.deadlocks.';
--> statement-breakpoint
-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
create view leasehold.stats as
with bucket as materialized (
  select h.kind, u.number, sum(u.n) as n,
         sum(sum(u.n)) over (partition by h.kind order by u.number) as reached,
         sum(sum(u.n)) over (partition by h.kind) as total
    from leasehold.counters c
   cross join lateral (values ('wait', c.waits), ('hold', c.holds)) h (kind, counts)
   cross join lateral unnest(h.counts) with ordinality u (n, number)
   group by h.kind, u.number
),
-- The bucket in which each percentile is reached. The last bucket has no upper bound.
times as materialized (
  select b.kind, max(b.total) as total, array_agg(b.n::bigint order by b.number) as histogram,
         min(b.number) filter (where b.reached >= 0.5 * b.total and b.total > 0) as p50,
         min(b.number) filter (where b.reached >= 0.95 * b.total and b.total > 0) as p95,
         min(b.number) filter (where b.reached >= 0.99 * b.total and b.total > 0) as p99
    from bucket b
   group by b.kind
),
total as (
  select min(c.started_at) as since, max(c.flushed_at) as flushed_at,
         coalesce(sum(c.acquired), 0) as acquired,
         coalesce(sum(c.refused), 0) as refused,
         coalesce(sum(c.timed_out), 0) as timed_out,
         coalesce(sum(c.cancelled), 0) as cancelled,
         coalesce(sum(c.failed), 0) as failed,
         coalesce(sum(c.contended), 0) as contended,
         coalesce(sum(c.released), 0) as released,
         coalesce(sum(c.renewed), 0) as renewed,
         coalesce(sum(c.checked), 0) as checked,
         coalesce(sum(c.swept), 0) as swept,
         coalesce(sum(c.errors), 0) as errors,
         coalesce(sum(c.lost_expired), 0) as lost_expired,
         coalesce(sum(c.lost_taken), 0) as lost_taken,
         coalesce(sum(c.lost_max_hold), 0) as lost_max_hold,
         coalesce(sum(c.lost_forced), 0) as lost_forced,
         coalesce(sum(c.taken_over_expired), 0) as taken_over_expired,
         coalesce(sum(c.taken_over_orphaned), 0) as taken_over_orphaned,
         coalesce(sum(c.wait_ms), 0) as wait_ms, coalesce(sum(c.hold_ms), 0) as hold_ms
    from leasehold.counters c
)
select t.acquired::bigint, t.refused::bigint, t.timed_out::bigint, t.cancelled::bigint, t.failed::bigint,
       t.contended::bigint, t.released::bigint, t.renewed::bigint, t.checked::bigint,
       (t.lost_expired + t.lost_taken + t.lost_max_hold + t.lost_forced)::bigint as lost,
       t.lost_expired::bigint, t.lost_taken::bigint, t.lost_max_hold::bigint, t.lost_forced::bigint,
       (t.taken_over_expired + t.taken_over_orphaned)::bigint as taken_over,
       t.taken_over_expired::bigint, t.taken_over_orphaned::bigint, t.swept::bigint, t.errors::bigint,
       (select count(*) from leasehold_internal._leases l where l.state in ('held', 'revoked'))::integer as active_leases,
       case when not pg_is_in_recovery()
         then (select count(*) from leasehold_internal._queue() w where w.is_alive) end::integer as waiters,
       case when not pg_is_in_recovery() then
         (select count(*) from leasehold_internal._presence() p where p.is_connected and p.seen_at is not null)
       end::integer as sessions,
       leasehold_internal._mean(t.wait_ms, w.total) as wait_mean,
       case when w.p50 < 28 then 2 ^ (w.p50 - 1) * interval '1 millisecond' end as wait_p50,
       case when w.p95 < 28 then 2 ^ (w.p95 - 1) * interval '1 millisecond' end as wait_p95,
       case when w.p99 < 28 then 2 ^ (w.p99 - 1) * interval '1 millisecond' end as wait_p99,
       w.histogram as wait_histogram,
       leasehold_internal._mean(t.hold_ms, h.total) as hold_mean,
       case when h.p50 < 28 then 2 ^ (h.p50 - 1) * interval '1 millisecond' end as hold_p50,
       case when h.p95 < 28 then 2 ^ (h.p95 - 1) * interval '1 millisecond' end as hold_p95,
       case when h.p99 < 28 then 2 ^ (h.p99 - 1) * interval '1 millisecond' end as hold_p99,
       h.histogram as hold_histogram,
       t.since, t.flushed_at
  from total t
  left join times w on w.kind = 'wait'
  left join times h on h.kind = 'hold';

comment on view leasehold.stats is
  'What all lockers have counted since the schema was created, as of some seconds ago (statsFlushMs), and what there is now. '
  'One row. Calls of the SQL functions are not counted.';
comment on column leasehold.stats.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats.cancelled is 'Acquires that were cancelled by their signal, or because their process was closing.';
comment on column leasehold.stats.failed is 'Acquires that ended with another error.';
comment on column leasehold.stats.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats.released is 'Leases that their holders have released.';
comment on column leasehold.stats.renewed is 'Renewals that were confirmed, one for each lease.';
comment on column leasehold.stats.checked is 'Calls that asked who holds a key.';
comment on column leasehold.stats.swept is 'Rows that sweeps have purged.';
comment on column leasehold.stats.errors is 'What failed in the background.';
comment on column leasehold.stats.lost_expired is 'Leases that their holders knew to have run out.';
comment on column leasehold.stats.lost_taken is 'Leases that their holders found taken by somebody else.';
comment on column leasehold.stats.lost_max_hold is 'Leases that ran into their longest hold.';
comment on column leasehold.stats.lost_forced is 'Leases that were taken away by force.';
comment on column leasehold.stats.taken_over_expired is 'Grants that took the key from a lease that had run out.';
comment on column leasehold.stats.taken_over_orphaned is 'Grants that took the key from a process that was confirmed dead.';
comment on column leasehold.stats.lost is 'Leases that their holders know to be lost: the sum of the next four.';
comment on column leasehold.stats.taken_over is 'Grants of a key that its last holder had not released: the sum of the next two.';
comment on column leasehold.stats.active_leases is 'Leases that are held now: in active_leases as held or revoked.';
comment on column leasehold.stats.waiters is 'Acquires that are waiting now. Null on a standby.';
comment on column leasehold.stats.sessions is 'Sessions that are alive now. Null on a standby.';
comment on column leasehold.stats.wait_mean is
  'How long granted acquires took from the call to the grant, on average. Null: there were none.';
comment on column leasehold.stats.wait_p50 is
  'Half of them took no longer. The upper bound of a bucket: at most twice the exact time. Null: none, or longer than 18 hours.';
comment on column leasehold.stats.wait_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.wait_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.wait_histogram is
  'How many took up to 1, 2, 4, ... 2^26 milliseconds, and how many longer: 28 numbers. Histograms can be added up. Null: '
  'nothing was counted yet.';
comment on column leasehold.stats.hold_mean is 'How long released and lost leases were held, on average.';
comment on column leasehold.stats.hold_p50 is 'Half of them were held no longer, as with wait_p50.';
comment on column leasehold.stats.hold_p95 is 'The same for 95 % of them.';
comment on column leasehold.stats.hold_p99 is 'The same for 99 % of them.';
comment on column leasehold.stats.hold_histogram is 'How many were held for how long, in the buckets of wait_histogram.';
comment on column leasehold.stats.since is 'When the first counters were flushed. Null: none were.';
comment on column leasehold.stats.flushed_at is 'When the last counters were flushed.';
--> statement-breakpoint
-- Lines with a counter variable are repeated for each counter (scripts/sql-counters.ts).
create view leasehold.stats_by_prefix as
select p.prefix,
       sum(p.acquired)::bigint as acquired,
       sum(p.refused)::bigint as refused,
       sum(p.timed_out)::bigint as timed_out,
       sum(p.contended)::bigint as contended,
       sum(p.taken_over)::bigint as taken_over,
       leasehold_internal._mean(sum(p.wait_ms), sum(p.acquired)) as wait_mean
  from leasehold.counters c
 cross join lateral jsonb_to_recordset(c.prefixes) as p (
         prefix text,
         acquired bigint,
         refused bigint,
         timed_out bigint,
         contended bigint,
         taken_over bigint,
         wait_ms float8)
 group by p.prefix;

comment on view leasehold.stats_by_prefix is
  'Acquires by the first part of their key (up to the first ":" after the locker''s own prefix, unless statsPrefix says '
  'otherwise), over all lockers since the schema was created.';
comment on column leasehold.stats_by_prefix.prefix is
  'What the keys begin with. Null: the sum of all prefixes beyond the hundred that a process tells apart.';
comment on column leasehold.stats_by_prefix.acquired is 'Acquires and tries that were granted.';
comment on column leasehold.stats_by_prefix.refused is 'Tries, and acquires that did not wait, that found the key taken.';
comment on column leasehold.stats_by_prefix.timed_out is 'Acquires that waited in vain.';
comment on column leasehold.stats_by_prefix.contended is 'Acquires and tries that did not get the key at their first look, whatever became of them.';
comment on column leasehold.stats_by_prefix.taken_over is 'Grants that took the key from somebody who had not released it.';
comment on column leasehold.stats_by_prefix.wait_mean is 'How long granted acquires took from the call to the grant, on average.';
--> statement-breakpoint
create view leasehold.hot_keys as
with recent as materialized (
  select c.id, c.hot_keys,
         -- How often a key that is not in a full list may have been contended.
         case when jsonb_array_length(c.hot_keys) = 100
           then (select min((k ->> 'contended_at_most')::bigint) from jsonb_array_elements(c.hot_keys) k) else 0
         end as unseen
    from leasehold.counters c
   where c.flushed_at > clock_timestamp() - interval '1 hour'
)
select k.key,
       sum(k.contended)::bigint as contended,
       (sum(k.contended_at_most - r.unseen) + (select sum(u.unseen) from recent u))::bigint as contended_at_most,
       sum(k.acquired)::bigint as acquired,
       leasehold_internal._mean(sum(k.wait_ms), sum(k.acquired)) as wait_mean
  from recent r
 cross join lateral jsonb_to_recordset(r.hot_keys) as k (
         key text, contended bigint, contended_at_most bigint, acquired bigint, wait_ms float8)
 group by k.key
 order by contended desc, k.key
 limit 100;

comment on view leasehold.hot_keys is
  'The hundred most contended keys of the last hour or two, over all lockers, the hottest first. Each process knows its hundred '
  'most contended keys: a key with less than a hundredth of its contention may be missing.';
comment on column leasehold.hot_keys.key is 'The key, prefix included.';
comment on column leasehold.hot_keys.contended is 'Acquires and tries that did not get it at once: at least this many.';
comment on column leasehold.hot_keys.contended_at_most is
  'At most this many. The same, unless more than a hundred keys of a process were contended.';
comment on column leasehold.hot_keys.acquired is 'Grants since it became one of the hottest of its process.';
comment on column leasehold.hot_keys.wait_mean is 'How long those took from the call to the grant, on average.';
--> statement-breakpoint
-- Whether a key has been free, or its lease expired, since before that moment. On a row that is not locked this is a hint.
create function leasehold_internal._is_unused_since(lease leasehold.leases, before timestamptz) returns boolean
language sql stable
return case
  when lease.token is null then lease.released_at < before and (lease.hold_until is null or lease.hold_until < before)
  else lease.expires_at < before
end;
--> statement-breakpoint
-- Wakes the head of each queue whose key can be granted without a release having announced it: after an expiry, the death of a
-- process, or the end of a minimum hold. A hint (rule 10): the key may be granted already, and a waiter without a session looks
-- by itself.
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
    select distinct coalesce(t.session, h.session_id)
      from heads h
      join leasehold_internal._leases l on l.key = h.key and not l.is_share
      -- A key that is shared is free for as many as fit.
      left join lateral unnest(
        case when exists (select from leasehold.shares s where s.key = h.key) then leasehold_internal._sessions_to_wake(h.key) end
      ) t (session) on true
     where l.state in ('free', 'expired', 'orphaned')
       and case
             when exists (select from leasehold.shares s where s.key = h.key) then t.session
             else h.session_id
           end is not null);
  perform leasehold_internal._restrict_views(restricted);
  perform pg_notify('leasehold_' || s, '') from unnest(sessions) s;
  return cardinality(sessions);
end
$$;
--> statement-breakpoint
-- One batch of leases in key order: deletes "most" at most, and looks at twenty times as many. Looking locks nothing, and rows
-- are locked only for as long as their deletion takes. Returns the key to continue after; null at the end.
--
-- An insert of a missing key takes an advisory lock first, because it would wait for an uncommitted insert of the same key
-- (decision 20). A delete needs none: the row has been visible for a minute at least, so others find it, and find it locked
-- (busy, as always) until the delete is committed and the row is gone.
--
-- A key whose last fence is larger than this server has reached (its data came from another one) continues from that fence. Its
-- row stays, because nothing else knows the fence, and without it the next one would be smaller.
create function leasehold_internal._purge_leases(
  start text, before timestamptz, most integer, out purged integer, out reached text)
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
    select l.key, l.fence <= last and leasehold_internal._is_unused_since(l, before) as is_forgotten
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

  -- The lock of a grant (rule 1), without waiting (rule 6). The decision comes in a statement that begins after it (rule 3): a
  -- key that was renewed, granted or queued for since then stays.
  locked := array(select l.key from leasehold.leases l where l.key = any (forgotten) order by l.key for update skip locked);
  delete from leasehold.leases l
   where l.key = any (locked)
     and l.fence <= last
     and leasehold_internal._is_unused_since(l, before)
     and not exists (select from leasehold.waiters w where w.key = l.key)
     and not exists (select from leasehold.shares s where s.key = l.key);
  get diagnostics purged = row_count;
end
$$;
--> statement-breakpoint
-- Deletes shares that were released, or have expired, before that moment. Whoever wants room on a key removes those of that key
-- itself; these are of keys that nobody asks for. One that is locked belongs to an open transaction, and stays. A root goes
-- once its shares are gone.
create function leasehold_internal._purge_shares(before timestamptz, most integer) returns integer
language plpgsql volatile
as $$
declare
  purged integer;
begin
  delete from leasehold.shares s
   where s.ctid = any (array(
     select d.ctid
       from leasehold.shares d
      where case
              when d.released_at is not null then d.released_at < before and (d.hold_until is null or d.hold_until < before)
              else d.expires_at < before
            end
      limit most
        for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
--> statement-breakpoint
-- Deletes entries of waiters that have not looked for twenty times as long as an entry lasts. A waiter that comes back queues
-- again with its old ticket.
create function leasehold_internal._purge_waiters(most integer) returns integer
language plpgsql volatile
as $$
declare
  purged integer;
begin
  delete from leasehold.waiters w
   where w.ctid = any (array(
     select d.ctid from leasehold.waiters d
      where d.alive_until < clock_timestamp() - interval '1 minute' limit most for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
--> statement-breakpoint
-- Deletes dead sessions that no lease names. Without its session's row a lease would end by its TTL alone. In the order of
-- _is_dead (decision 15): while we have the presence lock, the session cannot come back or be granted a lease. At most 100,
-- because all advisory locks share one small table.
create function leasehold_internal._purge_sessions(before timestamptz) returns integer
language plpgsql volatile
as $$
declare
  silent integer[];
  named integer[];
  purged integer;
begin
  -- is_connected also excludes sessions of this backend, which always gets a lock that it holds itself.
  silent := array(
    select p.id from leasehold_internal._presence() p
     where not p.is_connected and p.seen_at < before order by p.seen_at limit 100);
  if cardinality(silent) = 0 then
    return 0;
  end if;
  silent := array(select s from unnest(silent) s where pg_try_advisory_xact_lock_shared(1279480140, s));
  named := array(
    select l.session_id from leasehold.leases l where l.session_id = any (silent) and l.token is not null
    union
    select s.session_id from leasehold.shares s where s.session_id = any (silent));
  delete from leasehold.sessions s
   where s.id = any (array(
     select d.id from leasehold.sessions d
      where d.id = any (silent) and d.id <> all (named) and d.seen_at < before for update skip locked));
  get diagnostics purged = row_count;
  return purged;
end
$$;
--> statement-breakpoint
-- Sweeps one batch. p_quiet_ms: does nothing if the last batch was done less than this long ago.
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
  shares_purged integer;
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
  -- Nobody continued that pass: start a new one.
  if state.swept_at < clock_timestamp() - interval '10 minutes' then
    state.after_key := null;
  end if;

  before := clock_timestamp() - p_retention;
  if state.after_key is null then
    woken := leasehold_internal._wake_heads(p_most);
  end if;
  waiters_purged := leasehold_internal._purge_waiters(p_most);
  counters_purged := leasehold_internal._purge_counters(p_most);
  shares_purged := leasehold_internal._purge_shares(before, p_most);
  -- Last, because others can run into its locks.
  select p.purged, p.reached into leases_purged, state.after_key
    from leasehold_internal._purge_leases(state.after_key, before, p_most) p;
  leases_purged := leases_purged + shares_purged;
  -- Once per pass, because it reads every lease. At the end, when leases that nobody will renew are gone.
  if state.after_key is null then
    sessions_purged := leasehold_internal._purge_sessions(before);
  end if;
  has_more := state.after_key is not null or waiters_purged = p_most or counters_purged = p_most or sessions_purged = 100
    or shares_purged = p_most;
  update leasehold.sweeper s set after_key = state.after_key, swept_at = clock_timestamp() where s.id;
  return next;
end
$$;
--> statement-breakpoint
-- What every locker runs. Any role that may lock can call it, so it lets the caller choose only how often.
create function leasehold_internal.sweep(p_quiet_ms integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
begin
  -- Rows that a crash brings back are swept again.
  perform set_config('synchronous_commit', 'off', true);
  return query select * from leasehold_internal._sweep(interval '10 minutes', 500, p_quiet_ms);
end
$$;
--> statement-breakpoint
-- One batch, as an administrator asks for it.
create function leasehold_internal.admin_sweep(retention interval, batch integer)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
declare
  -- Postgres compares intervals as if all months had 30 days, but subtracts real months: -12 months 360 days is 5 days ahead.
  seconds numeric := extract(epoch from retention);
begin
  if seconds is null or seconds not between 60 and 3155760000 then
    raise exception using errcode = 'LH003',
      message = format('the retention is 1 minute to 100 years, not %s', coalesce(retention::text, 'null')),
      detail =
        'A released key keeps its row for so long, and an expired lease stays known: who comes late is told what became of it.',
      hint = 'Leave it out for 10 minutes: select * from leasehold.sweep();';
  end if;
  if batch is null or batch not between 1 and 10000 then
    raise exception using errcode = 'LH003',
      message = format('a batch has 1 to 10000 rows, not %s', coalesce(batch::text, 'null')),
      detail =
        'So many rows of each kind are purged at most, in one transaction, and the keys among them are busy until it ends.',
      hint = 'Leave it out for 500 rows, and call again while has_more is true.';
  end if;
  return query select * from leasehold_internal._sweep(seconds * interval '1 second', batch, null);
end
$$;
--> statement-breakpoint
-- The role to grant something to. Also takes a name as psql would.
create function leasehold_internal._role(given text) returns name
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  target name;
begin
  -- Two concurrent grants on one object fail with "tuple concurrently updated". migrate() takes this lock, too.
  perform pg_advisory_xact_lock(1279480142, 0);

  -- First try the exact name, so that 'App' needs no quotes of its own. Then try what psql users write: app, "App".
  select rolname into target from pg_roles where rolname = given;
  if target is null then
    begin
      select rolname into target from pg_roles where oid = to_regrole(given);
    exception when invalid_name or syntax_error or name_too_long then
      target := null; -- not an identifier, so not the name of a role
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
-- Everything in the two schemas that has privileges of its own, with its ACL. The row types of tables and views count as types.
create function leasehold_internal._objects()
returns table (kind text, id oid, part smallint, name text, owner oid, acl aclitem[])
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with space as (select n.* from pg_namespace n where n.nspname in ('leasehold', 'leasehold_internal'))
  select 'schema', n.oid, 0::smallint, quote_ident(n.nspname), n.nspowner,
         coalesce(n.nspacl, acldefault('n', n.nspowner)) from space n
  union all
  select case when c.relkind = 'S' then 'sequence' else 'table' end, c.oid, 0::smallint,
         format('%I.%I', n.nspname, c.relname), c.relowner,
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
  -- array types follow their element types
  select 'type', t.oid, 0::smallint, format('%I.%I', n.nspname, t.typname), t.typowner,
         coalesce(t.typacl, acldefault('T', t.typowner))
    from pg_type t join space n on n.oid = t.typnamespace
   where not exists (select from pg_type e where e.typarray = t.oid);
$$;
--> statement-breakpoint
-- Holds the marks of _profiles.
create view leasehold_internal._granted as select null::boolean as usage, null::boolean as monitoring, null::boolean as admin;

comment on view leasehold_internal._granted is
  'A role that may read a column of this view was given the rights of that name, by grant_usage, grant_monitoring or '
  'grant_admin. It has no other content.';
--> statement-breakpoint
-- The privileges that grant_usage, grant_monitoring and grant_admin give. Each profile includes a mark: the right to read one
-- column of a view, which default privileges, a restore or a wholesale grant never give. It shows that the other privileges
-- were given on purpose. The mark stays with a role that is renamed, and is lost with the other privileges in a restore that
-- drops them. A table with the names of roles would do neither.
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
  -- A leading underscore marks functions that only other functions call; "admin_" those for administrators. force_release and
  -- sweep tell anybody which right they need.
  select 'usage', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold_internal' and left(p.proname, 1) <> '_' and left(p.proname, 6) <> 'admin_'
      or n.nspname = 'leasehold' and p.proname in (
           'try_acquire', 'acquire', 'renew', 'release', 'check', 'attach', 'detach', 'detach_lock', 'adopt', 'force_release',
           'sweep',
           'guard', 'is_guarded', 'check_fence', 'fence_table', 'unfence_table', 'guard_table', 'unguard_table',
           'refuse_old_fence', 'require_guard') -- create trigger needs the right to execute its function
  union all
  select 'monitoring', 'schema', n.oid, 0::smallint, 'USAGE' from space n where n.nspname = 'leasehold'
  union all
  select 'monitoring', 'table', c.oid, 0::smallint, 'SELECT'
    from pg_class c join space n on n.oid = c.relnamespace
   where n.nspname = 'leasehold' and c.relkind = 'v'
  union all
  -- Tells of a key without a row, which no view can.
  select 'monitoring', 'routine', p.oid, 0::smallint, 'EXECUTE'
    from pg_proc p join space n on n.oid = p.pronamespace
   where n.nspname = 'leasehold' and p.proname = 'check'
  union all
  -- A role that reads a view must be able to execute the functions in it. It cannot call them by name: that needs usage on
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
   where n.nspname = 'leasehold' and p.proname in ('bump_epoch', 'reset_fence')
      or n.nspname = 'leasehold_internal' and left(p.proname, 6) = 'admin_';
$$;
--> statement-breakpoint
-- Privileges that deviate from the profiles. is_missing false: neither the owner's nor granted by grant_usage and the like.
-- They come from default privileges, or from a restore without privileges, which lets everybody execute every function.
-- is_missing true: part of what a role was granted, but gone. Reads only the catalog.
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
      from given g
      join profile p on p.kind = 'column' and g.kind = 'column' and p.id = g.id and p.part = g.part
                    and p.privilege = g.privilege_type
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
-- The text of a grant or revoke. Names must be quoted already.
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
-- Revokes and grants what deviates from the profiles. With "cascade", because a role that could pass a right on may have done
-- so.
create function leasehold_internal._tidy_rights() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  stray record;
  mark text;
  -- Revoking a right to a view revokes it for all its columns, so the marks are granted again.
  marks text[] := array(
    select format('grant select (%I) on leasehold_internal._granted to %I', p.profile, r.rolname)
      from leasehold_internal._profiles() p
      join pg_attribute a on a.attrelid = p.id and a.attnum = p.part
     cross join lateral aclexplode(a.attacl) given
      join pg_roles r on r.oid = given.grantee
     where given.privilege_type = p.privilege);
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
  -- Query again: a right that could be passed on was revoked above, and is now missing.
  for stray in
    select s.*, quote_ident(s.grantee) as who from leasehold_internal.stray_rights() s where s.is_missing
  loop
    execute leasehold_internal._grant_text('grant', stray.kind, stray.name, stray.privilege, stray.who);
  end loop;
end
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
-- Fails with the line to run if the caller may not execute a function for administrators. The rights themselves are those of
-- that function.
create function leasehold_internal.require_admin(needed text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if not has_function_privilege(needed, 'execute') then
    raise exception using errcode = 'insufficient_privilege',
      message = format('the role %I is no administrator of the schema leasehold', current_user),
      detail = 'Taking locks from their holders and sweeping by hand is for administrators.',
      hint = format('As the owner of the schema, run: select leasehold.grant_admin(%L);', current_user);
  end if;
end
$$;
--> statement-breakpoint
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
-- The bounds of metadata, as an error that says them.
create function leasehold_internal._check_metadata(metadata jsonb) returns void
language plpgsql volatile
as $$
begin
  if octet_length(metadata::text) > 65536 then
    raise exception using errcode = 'LH003',
      message = format('metadata has at most 65536 bytes as JSON, not %s', octet_length(metadata::text)),
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
  if not leasehold_internal._are_terms_valid('-', 1, 0, null, metadata::text) then
    raise exception using errcode = 'LH003', message = 'metadata has 100 levels at most, and numbers that can be written out',
      hint = 'Store what is large elsewhere, and a reference to it here.';
  end if;
end
$$;
--> statement-breakpoint
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
--> statement-breakpoint
-- How long to wait, in milliseconds: infinity for null. Intervals have an infinity of their own since Postgres 17.
create function leasehold_internal._wait_ms(wait interval) returns float8
language plpgsql immutable
as $$
declare
  ms float8 := extract(epoch from wait)::float8 * 1000;
begin
  if ms < 0 then
    raise exception using errcode = 'LH003',
      message = format('a wait is 0 or longer, not %s', wait),
      hint = 'Give an interval such as ''10 s''. Null waits without end.';
  end if;
  return coalesce(ms, 'infinity');
end
$$;
--> statement-breakpoint
-- The weight of what is asked for; null: the whole key. Refuses what is no way to share a key, with an error that says what is.
create function leasehold_internal._check_share(shared boolean, capacity integer, weight integer) returns integer
language plpgsql immutable
as $$
begin
  if shared is null then
    raise exception using errcode = 'LH003',
      message = 'shared is null', hint = 'Give true for a read lock, or false, or leave it out for false.';
  elsif shared and capacity is not null then
    raise exception using errcode = 'LH003',
      message = 'a lock is either shared or has a capacity, not both',
      hint = 'Give shared => true for a read lock, or capacity for a part of a semaphore.';
  elsif weight is not null and capacity is null then
    raise exception using errcode = 'LH003',
      message = 'a weight is a part of a capacity, and there is none',
      hint = 'Give capacity too. A read lock and an exclusive lock have no weight.';
  elsif capacity < 1 then
    raise exception using errcode = 'LH003',
      message = format('a capacity is 1 to 2147483647, not %s', capacity), hint = 'Give the same to all who ask for the key.';
  elsif weight < 1 or weight > capacity then
    raise exception using errcode = 'LH003',
      message = format('a weight is 1 up to the capacity (%s), not %s', capacity, weight),
      hint = 'Leave it out for 1.';
  end if;
  return case when capacity is not null then coalesce(weight, 1) when shared then 1 end;
end
$$;
--> statement-breakpoint
-- How others see a holder: by the name it gives itself, else by what the server knows about it.
create function leasehold_internal._owner(given text) returns text
language plpgsql stable
as $$
begin
  if octet_length(given) not between 1 and 256 then
    raise exception using errcode = 'LH003',
      message = format('an owner has 1 to 256 bytes, this one has %s', octet_length(given)),
      hint = 'Leave it out for role@address:pid of this connection.';
  end if;
  return coalesce(given, format('%s@%s:%s', session_user, coalesce(host(inet_client_addr()), 'local'), pg_backend_pid()));
end
$$;
--> statement-breakpoint
-- The session that the caller names as its own (decision 17). It must belong to this very connection. A session that is not
-- named never counts, because the next user of a pooled connection inherits whatever the last one left.
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
        detail =
          'It is another connection''s, or its advisory lock was released: by detach(), discard all, or '
          'pg_advisory_unlock_all(). Locks that were acquired under it may be another''s by now.',
        hint = 'Attach this connection, and name the number that it gives: select leasehold.attach();';
    end if;
  end if;
  return own;
end
$$;
--> statement-breakpoint
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
--> statement-breakpoint
-- Raises the error that explains why the key is not held with this token.
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
      when (select c.counted > 0 from leasehold_internal._count_shares(p_key, false) c)
        then 'It was released, or it expired. Others share the key now.'
      else 'It was released, or it expired and others have had the key since. Nobody holds it now.'
    end,
    hint = 'Stop what the lock was for. To go on, take it again: select * from leasehold.try_acquire(...);';
end
$$;
--> statement-breakpoint
-- Raises the error that explains why nothing can be done with a lease now, or with the share that has this fence.
create function leasehold_internal._refuse_busy(p_key text, p_fence bigint, what text) returns void
language plpgsql volatile
as $$
begin
  raise exception using errcode = 'lock_not_available',
    message = format('the lease of %L cannot be %s now: a transaction keeps its row locked', p_key, what),
    detail = (
      select leasehold_internal._where_open(b.is_blocked, b.pid, b.gid)
        from leasehold_internal._blocker(
               p_key, (select s.fence from leasehold.shares s where s.key = p_key and s.fence = p_fence)) b),
    hint = 'Ask again once that transaction has ended.';
end
$$;
--> statement-breakpoint
create function leasehold.try_acquire(
  key text, ttl interval default '30 s', owner text default null, metadata jsonb default null, session integer default null,
  shared boolean default false, capacity integer default null, weight integer default null)
returns table (acquired boolean, token uuid, fence bigint, expires_at timestamptz, holder text, holder_expires_at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  own leasehold.sessions;
  ttl_ms integer;
  share_weight integer;
  answer record;
  worth_waiting boolean := false; -- for a share that is being granted
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(try_acquire.key);
  ttl_ms := leasehold_internal._ttl_ms(ttl);
  share_weight := leasehold_internal._check_share(try_acquire.shared, try_acquire.capacity, try_acquire.weight);
  perform leasehold_internal._check_metadata(metadata);
  own := leasehold_internal._own_session(try_acquire.session);

  token := gen_random_uuid();
  -- Do not give up because of a row that is locked for a moment, by a guard or by a grant that is about to commit. The client
  -- does the same.
  for attempt in 1..3 loop
    begin
      if worth_waiting then
        perform leasehold_internal._lock_shared_root(try_acquire.key collate "C");
      end if;
      select a.* into answer
        from leasehold_internal.acquire(
               own.id, own.nonce, case when own.id is not null then 5000 end, false,
               array[try_acquire.key collate "C"], array[token],
               array[leasehold_internal._owner(coalesce(try_acquire.owner, own.owner))],
               array[ttl_ms], array[0], array[null::bigint], array[metadata::text], array['infinity'::float8],
               array[false], array[null::bigint],
               p_weights => array[share_weight],
               p_capacities => array[try_acquire.capacity]) a;
      -- Undone: the locks that it took, for the caller's transaction may stay open, and the durability that it has lowered
      -- (rule 9), for the caller may write besides.
      if answer.outcome <> 'granted' then
        raise exception using errcode = 'LHX01', message = 'not granted';
      end if;
    exception
      when sqlstate 'LHX01' then
        null;
      when lock_not_available or deadlock_detected then
        if not worth_waiting then
          raise;
        end if;
        exit; -- not about to commit: a transaction that called this function and was left open
    end;
    exit when answer.outcome <> 'busy' or attempt = 3;
    worth_waiting := answer.nextlook is not distinct from 0;
    if not worth_waiting then
      perform pg_sleep(0.005 * attempt);
    end if;
  end loop;

  acquired := answer.outcome = 'granted';
  if acquired then
    fence := answer.fence;
    expires_at := to_timestamp(answer.expires / 1000);
  else
    token := null;
    holder := answer.holder;
    holder_expires_at := to_timestamp(answer.expires / 1000);
  end if;
  return next;
end
$$;

comment on function leasehold.try_acquire(text, interval, text, jsonb, integer, boolean, integer, integer) is
  'Acquires the lock if it is free and nobody waits for it: select * from leasehold.try_acquire(''report:daily'', ttl => '
  '''5 min''); Returns one row. "session": the number that attach() gave on this connection, which ties the lock to the '
  'connection. acquired: token is the secret for renew and release, fence the fencing token for guard. Otherwise holder and '
  'holder_expires_at say who has it; both are null if the key is free but others are in its queue, or a transaction keeps '
  'its row locked. It does not wait, but up to 200 ms for a grant of a share to be committed: ask again. In a transaction '
  'that stays open nobody has the lock before the commit, and until then the key is kept from everybody; so commit first. '
  '"shared": a read lock, which any number hold together: shared => true. "capacity": a part of a semaphore, which holds as '
  'many as fit: capacity => 5, and weight => 2 for a '
  'larger part than 1. Both are held beside others who share the key, never beside one who has it alone. Fails with LH003 '
  'if an argument is invalid, and with LH004 on a standby, under another isolation level than read committed, and if the '
  'session is not one of this connection.';
--> statement-breakpoint
-- How long a waiter without a listener sleeps between two looks. Nobody wakes it: a key that is released while it is the first
-- and sleeps stays free until its next look. So it looks again after a twentieth of the time for which it has waited for the
-- present holder, which costs whoever waits for long jobs 5 % at most, and after 10 ms at least. Each waiter ahead adds up to
-- 10 ms, less where half a turn takes less: the grants since the last look tell. Never more than 1 s, which its entry outlasts
-- three times. To sleep for as long as the last turns took was tried: after a job of 30 s, 20 waiters took 6 s instead of 1 s.
--
-- ticket: null without an entry. since: when the wait began. looked and grants: the last look, and the key's grants until then.
create function leasehold_internal._seconds_to_look(
  p_key text, p_ticket bigint, since float8, looked float8, now float8, inout grants bigint, out seconds float8)
language plpgsql volatile
as $$
declare
  lease record;
  ahead integer;
  place_ms float8 := 2;
begin
  select l.acquisitions, leasehold_internal._ms(greatest(l.acquired_at, l.released_at)) as changed into lease from leasehold.leases l
                                                                                                              where l.key >= p_key and l.key <= p_key
                                                                                                              order by l.key desc
                                                                                                              limit 1;
  if lease.acquisitions > grants then
    place_ms := least((now - looked) / (lease.acquisitions - grants) / 2, 10);
  end if;
  ahead := (
    select count(*)
      from (
        select from leasehold.waiters w
         where w.key = p_key and w.ticket < p_ticket and w.alive_until > clock_timestamp()
         order by w.ticket
         limit 100) a);
  seconds := least(greatest((now - greatest(since, lease.changed)) / 20, 10 + ahead * place_ms), 1000) / 1000;
  grants := lease.acquisitions;
end
$$;
--> statement-breakpoint
-- One look of call leasehold.acquire(...): what a client asks, and, where the key was not granted, how long to sleep until the
-- next one. All that the procedure must decide is decided here, because its own body runs under its caller's search_path
-- (rule 11).
--
-- From one look to the next: token, ticket and proof, as a client keeps them (decision 18); since, when the wait began; looked
-- and grants, see _seconds_to_look. is_late: the wait is over, and its entry is gone.
create function leasehold_internal.look(
  key text,
  wait interval,
  ttl interval,
  owner text,
  metadata jsonb,
  session integer,
  shared boolean,
  capacity integer,
  weight integer,
  inout token uuid,
  inout ticket bigint,
  inout proof bigint,
  inout since float8,
  inout looked float8,
  inout grants bigint,
  out fence bigint,
  out expires_at timestamptz,
  out is_done boolean,
  out is_late boolean,
  out seconds float8
)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  now float8 := leasehold_internal._ms(clock_timestamp());
  bound float8; -- when the wait is over
  ttl_ms integer;
  share_weight integer;
  own leasehold.sessions;
  outcome text := 'busy';
  expires float8;
  place bigint;
  place_proof bigint;
  nextlook float8;
  lease leasehold.leases;
begin
  perform leasehold_internal._check_transaction();
  perform leasehold_internal._check_key(look.key);
  ttl_ms := leasehold_internal._ttl_ms(ttl);
  share_weight := leasehold_internal._check_share(look.shared, look.capacity, look.weight);
  perform leasehold_internal._check_metadata(metadata);
  own := leasehold_internal._own_session(look.session);
  since := coalesce(since, now);
  bound := since + leasehold_internal._wait_ms(wait);
  token := coalesce(token, gen_random_uuid());

  -- A row or a table that somebody keeps locked, or a key that he has inserted and not committed, is waited for: ask again.
  begin
    -- The last look is made when the wait is over. One that is held up for longer than a second is too late (rule 8).
    select a.outcome, a.fence, a.expires, a.ticket, a.proof, a.nextlook
      into outcome, fence, expires, place, place_proof, nextlook
      from leasehold_internal.acquire_one(
             own.id, own.nonce, case when own.id is not null then 5000 end, false,
             look.key collate "C", token, leasehold_internal._owner(coalesce(look.owner, own.owner)), ttl_ms, 0, null,
             metadata::text, bound + 1000, now < bound, ticket, proof, null,
             p_weight => share_weight,
             p_capacity => look.capacity) a;
  exception when lock_not_available or deadlock_detected then
    null; -- busy
  end;

  is_done := false;
  is_late := false;
  if outcome = 'granted' then
    expires_at := to_timestamp(expires / 1000);
    is_done := true;
    -- Others of the queue fit beside it.
    if nextlook = 0 then
      perform leasehold_internal._wake(s.session)
         from unnest(leasehold_internal._sessions_to_wake(look.key collate "C")) s (session);
    end if;
  elsif now >= bound then
    -- As abandon does, but for the lease: no look of this wait was granted one, and one of this token is from before.
    if leasehold_internal._remove_entry(look.key collate "C", token) then
      select l.* into lease from leasehold.leases l where l.key = look.key collate "C";
      if leasehold_internal._is_root_free(lease) then
        perform leasehold_internal._wake(s.session)
           from unnest(leasehold_internal._sessions_to_wake(look.key collate "C")) s (session);
      end if;
    end if;
    is_done := true;
    is_late := true;
  else
    if place is not null then
      ticket := place;
      proof := place_proof;
    end if;
    select s.grants, s.seconds into grants, seconds
      from leasehold_internal._seconds_to_look(look.key collate "C", ticket, since, looked, now, grants) s;
    -- Sooner, where it is known when the key may be free: when a lease ends, or at once.
    seconds := greatest(least(
      seconds,
      (bound - now) / 1000,
      case when outcome <> 'busy' and (nextlook = 0 or nextlook > now) then (nextlook - now) / 1000 end), 0);
    looked := now;
  end if;
end
$$;
--> statement-breakpoint
-- Raises the error of call leasehold.acquire(...) that did not get the key in time. A statement of its own, after the commit that
-- removed the waiter's entry.
create function leasehold_internal.refuse_wait(key text, wait interval) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal._check_key(refuse_wait.key);
  select a.* into answer from leasehold_internal.inspect(refuse_wait.key collate "C") a;
  raise exception using errcode = 'LH009',
    message = format('the lock %L was not free within %s', refuse_wait.key, wait),
    detail = concat_ws(' ',
      case
        when answer.state = 'blocked' or answer.blocked
          then 'A transaction keeps it. ' || leasehold_internal._where_open(answer.blocked, answer.blocker, answer.gid)
        when answer.state = 'free' then 'Nobody has it now.'
        when answer.state = 'cooling' then
          format('%s has released it, and its minimum hold ends at %s.', answer.owner, to_timestamp(answer.free / 1000))
        else format('%s has it, with fence %s, until %s or longer.', answer.owner, answer.fence, to_timestamp(answer.free / 1000))
      end,
      case when answer.waiters > 0 then format('Others who wait for it: %s.', answer.waiters) end),
    hint = 'Wait for longer, such as wait => ''1 min''; null waits without end. Nothing of this wait is left in the queue.';
end
$$;
--> statement-breakpoint
-- Waits in the queue, and commits between its looks: so its entry is seen, and no snapshot grows older than a second. Postgres
-- lets a procedure commit only if it has its caller's rights, no SET clause and no exception block, and not within a transaction.
-- The first commit refuses that (2D000): without it a key that is free at once would be granted there, and given back by a
-- rollback.
--
-- The body runs under whatever search_path its caller has (rule 11): no operator, no cast, no name without its schema. It only
-- does what look says. Its variables have the types of the columns, or an assignment would cast.
create procedure leasehold.acquire(
  key text,
  wait interval default '10 s',
  ttl interval default '30 s',
  owner text default null,
  metadata jsonb default null,
  session integer default null,
  shared boolean default false,
  capacity integer default null,
  weight integer default null,
  inout token uuid default null,
  inout fence bigint default null,
  inout expires_at timestamptz default null
)
language plpgsql
as $$
declare
  ticket bigint;
  proof bigint;
  since double precision;
  looked double precision;
  grants bigint;
  is_done boolean;
  is_late boolean;
  seconds double precision;
begin
  commit;
  loop
    select l.token, l.ticket, l.proof, l.since, l.looked, l.grants, l.fence, l.expires_at, l.is_done, l.is_late, l.seconds
      into token, ticket, proof, since, looked, grants, fence, expires_at, is_done, is_late, seconds
      from leasehold_internal.look(
             key, wait, ttl, owner, metadata, session, shared, capacity, weight, token, ticket, proof, since, looked, grants) l;
    commit;
    exit when is_done;
    perform pg_catalog.pg_sleep(seconds);
    commit;
  end loop;
  if is_late then
    perform leasehold_internal.refuse_wait(key, wait);
  end if;
end
$$;

comment on procedure leasehold.acquire is
  'Acquires the lock, and waits for it in the queue: call leasehold.acquire(''report:daily'', wait => ''1 min''); Answers one '
  'row: token is the secret for renew and release, fence the fencing token for guard. Who waits is served in turn, beside the '
  'waiters of clients. "wait": null waits without end. "token": a uuid of your own makes the call repeatable: called again with '
  'it, it gives the same grant, so that an answer that was lost is found again, or released. "session": the number that attach() '
  'gave on this connection. "shared": true for a read lock, which others share. "capacity": for a semaphore, of which it takes '
  '"weight", 1 unless given. It commits while it waits, so it must be a statement of its own: in a transaction, in a statement '
  'with others, and in a function it fails with 2D000, before anything is granted. When it is cancelled, its place in the queue '
  'is free within 3 s. statement_timeout bounds the whole wait. Fails with LH009 if the lock was not free in time, with LH003 if '
  'an argument is invalid, and with LH004 on a standby, under another isolation level than read committed, and if the session is '
  'not one of this connection.';
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
  -- For 0.2 s: others who join the queue one after the other may keep the row from one try, and from the next.
  for attempt in 1..10 loop
    select coalesce(a.others::json #>> '{0,1}', 'released') as outcome, (a.others::json #>> '{0,3}')::integer as next
      into answer
      from leasehold_internal.release(false, array[release.key collate "C"], array[release.token], array[null::bigint]) a;
    exit when answer.outcome <> 'busy' or attempt = 10;
    perform pg_sleep(0.005 * attempt);
  end loop;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released now: a transaction keeps its row locked', release.key),
      detail = (
        select leasehold_internal._where_open(b.is_blocked, b.pid, b.gid)
          from leasehold_internal._blocker(release.key collate "C") b),
      hint = 'Release it in the transaction that renewed it, or end that one first.';
  end if;
  perform leasehold_internal._wake_next(release.key collate "C", answer.next);
  return answer.outcome = 'released';
end
$$;

comment on function leasehold.release(text, uuid) is
  'Releases a lock: select leasehold.release(''report:daily'', ''<token>''); True if it was held until now. False if it had '
  'ended before; then what was done since was not protected. Whoever is next is woken when the transaction commits.';
--> statement-breakpoint
create function leasehold.check(key text)
returns table (
  state text, owner text, fence bigint, session_id integer, is_session_alive boolean, acquired_at timestamptz,
  renewed_at timestamptz, expires_at timestamptz, remaining interval, ttl interval, metadata jsonb, waiters integer,
  blocking_pid integer, blocking_transaction text, mode text, holders jsonb)
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
  state := answer.state;
  if state <> 'free' then
    owner := answer.owner;
    fence := answer.fence;
    acquired_at := to_timestamp(answer.acquired / 1000);
    metadata := answer.metadata::jsonb;
    mode := answer.mode;
    holders := (
      select jsonb_agg(jsonb_build_object(
               'state', h.state, 'owner', h.owner, 'fence', h.fence, 'mode', h.mode, 'weight', h.weight, 'capacity', h.capacity,
               'session_id', h.session, 'is_session_alive', h.alive,
               'acquired_at', to_timestamp(h.acquired / 1000), 'expires_at', to_timestamp(h.expires / 1000)) order by h.number)
        from rows from (
               json_to_recordset(answer.holders::json) as (
                 state text, owner text, fence text, mode text, weight integer, capacity integer, session integer, alive boolean,
                 acquired float8, expires float8)) with ordinality
          h (state, owner, fence, mode, weight, capacity, session, alive, acquired, expires, number));
  end if;
  if state not in ('free', 'blocked') then
    expires_at := to_timestamp(answer.free / 1000);
    remaining := greatest(expires_at - clock_timestamp(), interval '0');
  end if;
  if state in ('held', 'revoked', 'expired', 'orphaned') then
    session_id := answer.session;
    is_session_alive := answer.alive;
    renewed_at := nullif(to_timestamp(answer.renewed / 1000), acquired_at);
    ttl := answer.ttl * interval '1 millisecond';
  end if;
  return next;
end
$$;

comment on function leasehold.check(text) is
  'Who holds the key: select * from leasehold.check(''report:daily''); Returns one row; locks and changes nothing. state: '
  'free; held; revoked (an operator took it away, and its holder has not let go yet); cooling (released, but not granted to '
  'anybody until its minimum hold ends); blocked (kept by an open transaction: one that guarded it before its release, or '
  'one in which it was granted and that is not committed); orphaned (its holder has died); expired (nobody renewed it). A '
  'key that is orphaned or expired is granted to the next who asks. blocking_pid is the server process of the open '
  'transaction that keeps the key, blocking_transaction the name of a prepared one; both null: there is none, or it cannot '
  'be told which. mode: exclusive, shared (a read lock) or semaphore. Of several who share the key these columns tell of '
  'the oldest holder, and expires_at of the last one to end; "holders" has all of them, the oldest first, each with state, '
  'owner, fence (as a text), mode, weight, capacity, session_id, is_session_alive, acquired_at and expires_at. Null: nobody '
  'holds it.';
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
       set seen_at = clock_timestamp(),
           owner = case when attach.owner is null then s.owner else leasehold_internal._owner(attach.owner) end
     where s.id = own.id;
    return own.id;
  end if;

  own.owner := leasehold_internal._owner(attach.owner);
  -- Take one lock for as long as the connection lasts. Skip a number whose last session still has its lock.
  loop
    own.id := leasehold_internal.new_session_id();
    exit when pg_try_advisory_lock(1279480140, own.id);
  end loop;
  begin
    perform leasehold_internal._register_session(
      own.id, gen_random_uuid(), own.owner, coalesce(host(inet_client_addr()), 'local'), 'sql');
  exception when others then
    perform pg_advisory_unlock(1279480140, own.id); -- a session-level lock, which no rollback releases
    raise;
  end;
  return own.id;
end
$$;

comment on function leasehold.attach(text, integer) is
  'Begins a session of this connection and returns its number: select leasehold.attach(); Locks that are acquired with it, '
  'try_acquire(..., session => <number>), are tied to the connection: when it ends, for whatever reason, they are free at once, '
  'or 5 s after the last call of attach(), whichever is later, instead of at their TTL. They still expire at their TTL unless '
  'they are renewed. It needs a connection of its own, not one behind a transaction pooler, and no open transaction. With a '
  'number, attach(session => <number>), it is a heartbeat; without one it begins another session. "owner": how others see it.';
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
  -- The row stays, because it shows that the session is dead. The sweeper deletes it.
  perform pg_advisory_unlock(1279480140, detach.session);
  return true;
end
$$;

comment on function leasehold.detach(integer) is
  'Ends the session that attach() began, before the connection goes back to a pool: select leasehold.detach(<number>); Locks '
  'that were acquired with it and are still held become free, as if the connection had ended: release them first. False if this '
  'connection has no such session.';
--> statement-breakpoint
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
--> statement-breakpoint
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
--> statement-breakpoint
-- Runs with the rights of its caller, so that it can tell a role without the right which one that is. What it calls is an
-- administrator's alone.
create function leasehold.force_release(key text, fence bigint default null, immediate boolean default false)
returns table (
  outcome text, free_at timestamptz, holder text, holder_fence bigint, blocking_pid integer, blocking_transaction text,
  holders jsonb)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  answer record;
begin
  perform leasehold_internal.require_admin('leasehold_internal.admin_force_release(text,bigint,boolean,boolean)');
  select a.* into answer
    from leasehold_internal.admin_force_release(
           force_release.key collate "C", force_release.fence, force_release.immediate, true) a;
  if answer.outcome = 'busy' then
    raise exception using errcode = 'lock_not_available',
      message = format('the lease of %L cannot be released by force now: a transaction keeps its row locked', force_release.key),
      detail = answer.detail,
      hint = 'End that transaction, then try again: select pg_terminate_backend(<process>); or rollback prepared <name>;';
  end if;
  outcome := answer.outcome;
  free_at := to_timestamp(answer.freeat / 1000);
  holder := answer.holders::json #>> '{0,owner}';
  holder_fence := (answer.holders::json #>> '{0,fence}')::bigint;
  holders := (
    select jsonb_agg(jsonb_build_object(
             'owner', h.owner, 'fence', h.fence, 'weight', h.weight, 'session_id', h.session,
             'expires_at', to_timestamp(h.expires / 1000)) order by h.number)
      from rows from (
             json_to_recordset(answer.holders::json) as (
               owner text, fence text, weight integer, session integer, expires float8)) with ordinality
        h (owner, fence, weight, session, expires, number));
  blocking_pid := answer.blocker;
  blocking_transaction := answer.gid;
  return next;
end
$$;

comment on function leasehold.force_release(text, bigint, boolean) is
  'Takes a lock from its holders: select * from leasehold.force_release(''report:daily''); outcome: revoked (its renewals fail '
  'from now on; the key is free when its holder notices, at free_at at the latest); released (free now: immediate, although its '
  'holder may still believe that it has the lock, and only fences protect what it writes; or a lease that had ended, or a '
  'minimum hold); gone (nobody held it). An open transaction that guards the key keeps it beyond that: blocking_pid, or the '
  'prepared transaction blocking_transaction. "fence": only that grant, and no later one. Of a key that is shared it takes that '
  'share, or all: "holders" lists whom it was taken from, the oldest first, and holder is the first of them. '
  'For administrators: leasehold.grant_admin().';
--> statement-breakpoint
-- With the rights of its caller, as force_release.
create function leasehold.sweep(retention interval default '10 minutes', batch integer default 500)
returns table (
  woken integer, leases_purged integer, waiters_purged integer, sessions_purged integer, counters_purged integer,
  is_busy boolean, has_more boolean)
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal.require_admin('leasehold_internal.admin_sweep(interval,integer)');
  return query select * from leasehold_internal.admin_sweep(retention, batch);
end
$$;

comment on function leasehold.sweep(interval, integer) is
  'Deletes what nobody needs any more, and wakes the next waiter of each key that can be granted: select * from '
  'leasehold.sweep(); It purges keys that have been free, and leases that have been expired, for longer than "retention" (1 '
  'minute to 100 years); waiters that stopped looking a minute ago; dead sessions that no lease names; and the counters of '
  'processes that are gone, which are added up. It never purges a live lease. "batch" bounds what one call purges of each kind: '
  'repeat it while has_more is true. is_busy: another sweeper was at work, and nothing was done. woken: sessions that were told '
  'to look. Every locker does the same in the '
  'background. For administrators: leasehold.grant_admin().';
--> statement-breakpoint
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
--> statement-breakpoint
-- For guard_table, and for triggers and policies of your own. The setting proves nothing, because anybody can set it: compare
-- the fence under a lock on the row (decision 21). A lease that has expired or was released since its guard is still guarded.
create function leasehold.is_guarded(key text, shared boolean default false) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  keys jsonb := leasehold_internal._guarded_keys(is_guarded.key);
  guarded bigint := (keys ->> is_guarded.key)::bigint;
  guarded_share bigint;
  current_fence bigint;
begin
  if is_guarded.shared then
    -- One share is guarded at a time: of two of a key the later one is recorded.
    guarded_share := (keys ->> leasehold_internal._share_guard(is_guarded.key))::bigint;
    if guarded_share is not null then
      -- Whoever guards it keeps its row, also when it has ended.
      perform from leasehold.shares s where s.key = is_guarded.key collate "C" and s.fence = guarded_share for key share;
      if found then
        return true;
      end if;
    end if;
  end if;
  if guarded is null then
    return false;
  end if;
  -- Without an expiry the last grant was a share.
  select l.fence into current_fence
    from leasehold.leases l
   where l.key = is_guarded.key collate "C" and l.expires_at is not null
     for key share;
  return coalesce(current_fence = guarded, false);
end
$$;

comment on function leasehold.is_guarded(text, boolean) is
  'Whether this transaction guards the key: select leasehold.is_guarded(''account:42''); If so, nobody else has been '
  'granted the key since leasehold.guard passed, and nobody will be until the transaction ends. The guard of a share does '
  'not count, for others who share the key may guard it, too; with shared => true it does. Then nobody has been granted the '
  'key alone since.';
--> statement-breakpoint
create function leasehold.fence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger;
  -- Triggers fire in the order of their names. This one comes late, because a later one could still change the row.
  trigger_name name := 'zz_leasehold_fence_' || column_name;
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  perform leasehold_internal.warn_of_children(target);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return;
  end if;
  execute format('lock table only %s in share row exclusive mode', quoted);
  present := leasehold_internal.fence_trigger(target, column_name);
  if present.tgenabled in ('O', 'A') then
    return; -- another transaction has created it in the meantime
  end if;
  if present.oid is not null then
    perform leasehold.unfence_table(target, column_name); -- it was disabled
  end if;
  -- The name would be truncated to 63 bytes, or is taken by the trigger of a column that was renamed.
  if octet_length('zz_leasehold_fence_' || column_name) > 63
     or exists (select from pg_trigger t where t.tgrelid = target and t.tgname = trigger_name) then
    trigger_name := 'zz_leasehold_fence_' || md5(clock_timestamp()::text);
  end if;
  -- In the trigger's condition it costs no function call for a row that passes.
  execute format(
    'create trigger %I before update on %s for each row
     when (new.%3$I < old.%3$I or (new.%3$I is null and old.%3$I is not null))
     execute function leasehold.refuse_old_fence()', trigger_name, quoted, column_name);
end
$$;

comment on function leasehold.fence_table(regclass, name) is
  'Makes a column keep the largest fence that its row was written with: select leasehold.fence_table(''public.accounts'', '
  '''fence''); An update that would lower it, or set it to null, fails with LH006. Each write must set the column to its fence.';
--> statement-breakpoint
create function leasehold.unfence_table(target regclass, column_name name) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger := leasehold_internal.fence_trigger(target, column_name);
begin
  perform leasehold_internal.check_fence_column(target, column_name);
  if present.tgparentid <> 0 then
    raise exception using errcode = 'LH003',
      message = format('%s is a partition, and fenced through the table that it is a part of', quoted),
      hint = format('Unfence that table: select leasehold.unfence_table(%L, %L);',
                    (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid), column_name);
  end if;
  if present.oid is not null then
    execute format('drop trigger %I on %s', present.tgname, quoted);
  end if;
end
$$;

comment on function leasehold.unfence_table(regclass, name) is
  'Undoes fence_table: select leasehold.unfence_table(''public.accounts'', ''fence''); The column stays.';
--> statement-breakpoint
create function leasehold.guard_table(target regclass, key text, shared boolean default false) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  table_name name := (select c.relname from pg_class c where c.oid = target);
  parent regclass;
  partition regclass;
  arguments text[]; -- of the trigger
begin
  if guard_table.shared is null then
    raise exception using errcode = 'LH003',
      message = 'shared is null', hint = 'Give true to accept the guards of shares, or false, or leave it out for false.';
  end if;
  arguments := array[key, table_name] || case when guard_table.shared then array['shared'] end;
  perform leasehold_internal.check_key_expression(target, key);
  perform leasehold_internal.warn_of_children(target);
  for attempt in 1..2 loop
    select p.tgrelid into parent
      from leasehold_internal.guard_triggers(target) t join pg_trigger p on p.oid = t.tgparentid
     where t.tgrelid = target;
    if found then
      raise exception using errcode = 'LH003',
        message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Guard that table: select leasehold.guard_table(%L, %L);', parent, key);
    end if;
    if exists (
         select from leasehold_internal.guard_triggers(target) t
          where t.tgrelid = target and t.tgname = 'zz_leasehold_guard' and t.tgenabled in ('O', 'A')
            and t.tgargs = (select string_agg(convert_to(a, getdatabaseencoding()) || E'\\000', '' order by n)
                              from unnest(arguments) with ordinality a (a, n)))
       and not exists (
         select from (select s.relid from pg_partition_tree(target) s union select target) s
          where not exists (
            select from pg_trigger t
             where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate' and t.tgenabled in ('O', 'A')))
    then
      return;
    end if;
    exit when attempt = 2;
    -- Then look again: another transaction may have guarded the table in the meantime.
    execute format('lock table only %s in share row exclusive mode', quoted);
  end loop;

  perform leasehold.unguard_table(target);
  execute format(
    'create trigger zz_leasehold_guard after insert or update or delete on %s for each row
     execute function leasehold.require_guard(%s)',
    quoted, (select string_agg(quote_literal(a), ', ' order by n) from unnest(arguments) with ordinality a (a, n)));
  for partition in
    select s.relid from (select s.relid from pg_partition_tree(target) s union select target) s
     where not exists (select from pg_trigger t where t.tgrelid = s.relid and t.tgname = 'zz_leasehold_guard_truncate')
     order by s.relid
  loop
    execute format(
      'create trigger zz_leasehold_guard_truncate before truncate on %s for each statement
       execute function leasehold.require_guard()',
      leasehold_internal.check_table(partition));
  end loop;
end
$$;

comment on function leasehold.guard_table(regclass, text, boolean) is
  'Lets a table be written only in transactions that guard the key of the row: select '
  'leasehold.guard_table(''public.accounts'', $$''account:'' || id$$); "key" is an SQL expression over the columns that '
  'gives the full key of the lock. Other writes fail with LH005, and so does every truncate. Call it again to change the '
  'expression, and after creating a partition, to protect that from truncate. The guard of a share does not count, for two '
  'who share a key would write the same row; with shared => true it does, for tables in which those who share a key write '
  'rows of their own.';
--> statement-breakpoint
create function leasehold.unguard_table(target regclass) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  quoted text := leasehold_internal.check_table(target);
  present pg_trigger;
begin
  for present in select * from leasehold_internal.guard_triggers(target) loop
    if present.tgparentid <> 0 then
      raise exception using errcode = 'LH003',
        message = format('%s is a partition, and guarded through the table that it is a part of', quoted),
        hint = format('Take it off that table: select leasehold.unguard_table(%L);',
                      (select p.tgrelid::regclass from pg_trigger p where p.oid = present.tgparentid));
    end if;
    execute format('drop trigger %I on %s', present.tgname, leasehold_internal.check_table(present.tgrelid));
  end loop;
end
$$;

comment on function leasehold.unguard_table(regclass) is
  'Undoes guard_table: select leasehold.unguard_table(''public.accounts'');';
--> statement-breakpoint
create function leasehold.check_fence(resource text, fence bigint) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  mark leasehold.resource_fences;
  last bigint;
begin
  perform leasehold_internal._check_transaction();
  if check_fence.resource is null or octet_length(check_fence.resource) not between 1 and 512 then
    raise exception using errcode = 'LH003',
      message = 'the name of a resource has 1 to 512 bytes, this one has '
        || coalesce(octet_length(check_fence.resource)::text, 'none: it is null'),
      hint = 'Give the name by which all who write to the resource call it.';
  end if;
  if check_fence.fence is null or check_fence.fence < 1 then
    raise exception using errcode = 'LH003', message = 'a fence is 1 or more, not ' || coalesce(check_fence.fence::text, 'null'),
      hint = 'Give lock.fence, which was granted with the lock.';
  end if;

  -- Repeat when another transaction was faster: each statement sees what was committed before it.
  loop
    select m.* into mark from leasehold.resource_fences m where m.resource = check_fence.resource collate "C";
    -- A mark above all fences would refuse every writer for ever. So a fence that raises the mark must be one that can have
    -- been granted. That includes the fence of a restored key, which may be larger than those of this server.
    if last is null and coalesce(mark.fence < check_fence.fence, true) then
      last := leasehold_internal._last_fence();
      if check_fence.fence > last and not exists (select from leasehold.leases l where l.fence >= check_fence.fence) then
        raise exception using errcode = 'LH003',
          message = format('fence %s was never granted in this database', check_fence.fence),
          detail = format('The largest that can have been is %s.', last),
          hint =
            'Give lock.fence, of a lock in this very database. If its data came from elsewhere without the last fences, '
            '"leasehold doctor" says what raises them.';
      end if;
    end if;
    if mark.resource is null then
      insert into leasehold.resource_fences (resource, fence, checked_at)
      values (check_fence.resource, check_fence.fence, clock_timestamp())
      on conflict do nothing;
      exit when found;
    elsif mark.fence = check_fence.fence then
      return; -- nothing is written
    elsif mark.fence > check_fence.fence then
      raise exception using
        errcode = 'LH006',
        message = format('fence %s is too old for the resource %L', check_fence.fence, check_fence.resource),
        detail = format('It was used with fence %s at %s.', mark.fence, mark.checked_at),
        hint = 'A later holder of the lock uses it: acquire the lock again, read again, then write.';
    else
      update leasehold.resource_fences m
         set fence = check_fence.fence, checked_at = clock_timestamp()
       where m.resource = check_fence.resource collate "C" and m.fence < check_fence.fence;
      exit when found;
    end if;
  end loop;

  -- If a crash took the mark back, an older fence would pass.
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end
$$;

comment on function leasehold.check_fence(text, bigint) is
  'For writers that cannot share a transaction with their data: select leasehold.check_fence(''bucket/report.csv'', 17); Passes '
  'if no larger fence was checked for the resource before, and remembers this one. Fails with LH006 otherwise, and with LH003 '
  'if no such fence can have been granted here. Call it in a transaction of its own, just before the write.';
--> statement-breakpoint
create function leasehold.reset_fence(resource text) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set debug_print_plan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  forgotten bigint;
begin
  perform leasehold_internal._check_transaction();
  if reset_fence.resource is null then
    raise exception using errcode = 'LH003', message = 'the name of a resource has 1 to 512 bytes, this one has none: it is null',
      hint = 'Give the name by which check_fence calls it, see leasehold.resource_fences.';
  end if;
  delete from leasehold.resource_fences m where m.resource = reset_fence.resource collate "C" returning m.fence into forgotten;
  return forgotten;
end
$$;

comment on function leasehold.reset_fence(text) is
  'Forgets the mark that check_fence keeps for a resource: select leasehold.reset_fence(''bucket/report.csv''); For an '
  'administrator, if a mark refuses those who hold the lock. Returns the mark; null if there was none. From then on any fence '
  'passes again: first make sure that no old writer is left, or check the fence of a held lock right afterwards.';
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
  -- Beyond 2^63 a fence would be negative. Keep half of that range for later rises of the epoch.
  if above >= 4611686018427387904 then
    raise exception using errcode = 'LH003', message = format('"above" is less than 4611686018427387904, not %s', above),
      hint = 'Give the largest fence that was ever seen, or leave it out.';
  end if;
  -- Lock the row: another call may be raising the epoch.
  perform from leasehold.fence_epoch e where e.id for update;
  current := leasehold_internal._epoch();
  raised := greatest(current, above >> 48) + 1;
  if raised > 32767 then
    raise exception using errcode = 'LH003', message = 'the epochs of fences are used up: 32767 is the last',
      hint =
        'Drop the schemas leasehold and leasehold_internal, and migrate: fences begin anew. Forget what was stored with the old '
        'ones.';
  end if;
  update leasehold.fence_epoch e
     set base = e.base + raised - current, top = greatest(e.top, raised), epoch = raised
   where e.id;
  return raised << 48;
end
$$;

comment on function leasehold.bump_epoch(bigint) is
  'Makes all later fences larger than all earlier ones, and than "above" if that is given: select leasehold.bump_epoch(); Call '
  'it after the whole server was set back to a snapshot; after restoring a dump that is older than the last move to another '
  'server, or than the last call of this function; and, with "above", if the schema was created anew, or restored without its '
  'data, on a server that the database was moved to. Where the service hides the write-ahead log (source manual in '
  'leasehold.fence_epoch), call it after every failover and every restore. Returns the lower bound of the fences that follow.';
--> statement-breakpoint
create function leasehold.grant_usage(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'usage');
$$;

comment on function leasehold.grant_usage(text) is
  'Lets a role take locks, with the Leasehold client and in SQL, and guard and fence its writes, without any right to the '
  'tables: select leasehold.grant_usage(''app'');';
--> statement-breakpoint
create function leasehold.grant_monitoring(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'monitoring');
$$;

comment on function leasehold.grant_monitoring(text) is
  'Lets a role read the views of this schema, and ask leasehold.check() about a key, and nothing else: select '
  'leasehold.grant_monitoring(''grafana'');';
--> statement-breakpoint
-- An administrator must see who holds a lock, and takes it away with a client, which needs the rights of every client.
create function leasehold.grant_admin(role text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal._grant(role, profile) from unnest(array['usage', 'monitoring', 'admin']) profile;
end
$$;

comment on function leasehold.grant_admin(text) is
  'Lets a role do what grant_usage and grant_monitoring allow, and also take locks from their holders, sweep, raise the epoch, '
  'and reset the marks of resources: select leasehold.grant_admin(''dba'');';
--> statement-breakpoint
-- The number of migrations that made this schema: as many as there are in migrations/. If the schema was restored without its
-- data, migrate() records that many as applied.
create function leasehold_internal._migration_count() returns integer
language sql immutable
set search_path = pg_catalog, pg_temp
return 2;
--> statement-breakpoint
-- Inserts the rows that every function needs where they are missing: in new tables, and in a schema that was restored without
-- its data.
create function leasehold_internal._insert_missing_rows() returns void
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
  values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
  on conflict do nothing;
  if not exists (select from leasehold.fence_epoch) then
    server := leasehold_internal._server_identity();
    epoch := coalesce(server.timeline - 1, 0);
    -- If leases were kept, their fences show the least epoch it had reached.
    largest := (
      select max(seen.fence)
        from (select l.fence from leasehold.leases l union all select r.fence from leasehold.resource_fences r) seen);
    next := epoch << 48;
    if server.timeline is not null then -- an "if", because an expression needs the right even if it does not make the call
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
select leasehold_internal._insert_missing_rows();
--> statement-breakpoint
-- The database may have default privileges, for everybody or for a role. Revoke what they gave: at first only the owner has any
-- rights.
select leasehold_internal._tidy_rights();
