-- Views for operators, and the roles that may look and act.
--
-- A view reads tables with the rights of its owner, but whoever reads it must be allowed to execute the functions in it. Those
-- are here, and none of them locks, writes, or tells a token; grant_monitoring finds them in the catalog.
-- All are stable: they see what the statement sees that they are part of.

-- Sessions as the server sees them: their rows without the nonce, and whether the presence lock is held. A lock without a row
-- (a session that comes back after a crash of the server) is told, too, for it is not dead.
-- Unlogged tables cannot be read on a standby, hence plpgsql: there nothing is known of sessions and waiters.
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
    select coalesce(s.id, k.id), s.owner, s.pid, s.host, s.client_address, s.application_name, s.version, s.started_at, s.seen_at,
           k.id is not null
      from leasehold.sessions s
      full join (
        select l.objid::bigint::integer as id
          from pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 2 and l.mode = 'ExclusiveLock' and l.granted and l.classid = 1279480140
           and l.objid::bigint < 2147483648 -- anybody may take a lock like it, with a negative number, too
           and l.database = (select d.oid from pg_database d where d.datname = current_database())
      ) k on k.id = s.id;
end
$$;
--> statement-breakpoint
comment on function leasehold_internal._presence() is 'Sessions, and whether each holds its presence lock. Nothing on a standby.';
--> statement-breakpoint
-- The lines without their tokens. Who no longer looks has no place: the others pass it by.
create function leasehold_internal._line()
returns table (
  key text, "position" integer, ticket bigint, owner text, session_id integer, enqueued_at timestamptz, alive_until timestamptz,
  is_alive boolean)
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
           case when w.alive_until > now then (row_number() over (partition by w.key, w.alive_until > now order by w.ticket))::integer end,
           w.ticket, w.owner, w.session_id, w.enqueued_at, w.alive_until, w.alive_until > now
      from leasehold.waiters w;
end
$$;
--> statement-breakpoint
comment on function leasehold_internal._line() is 'Waiters, and how far each is from its turn. Nothing on a standby.';
--> statement-breakpoint
-- Every lease with its state, by the predicates of the protocol (_is_grantable, _is_dead), for all rows at once. The other views
-- are made of it.
create view leasehold_internal._leases as
select l.key, l.fence, l.owner, l.session_id, l.ttl_ms, l.takeover_ms, l.acquired_at, l.renewed_at, l.expires_at, l.max_hold_until,
       l.hold_until, l.revoked_at, l.metadata, l.acquisitions,
       case
         when l.token is null and l.hold_until > clock.now then 'cooling'
         when l.token is null then 'free'
         when l.expires_at <= clock.now then 'expired'
         when l.session_id is not null and not clock.is_standby and not coalesce(p.is_connected, false)
          and (l.takeover_ms = 0
               or greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' < clock.now and p.seen_at is not null)
           then 'orphaned'
         else 'held'
       end as state,
       case when l.session_id is not null and not clock.is_standby then coalesce(p.is_connected and p.seen_at is not null, false) end as is_session_alive,
       p.pid, p.host, p.client_address, p.application_name,
       greatest(p.seen_at, pg_postmaster_start_time()) + l.takeover_ms * interval '1 millisecond' as takeover_at,
       clock.now, clock.is_standby
  from leasehold.leases l
 cross join (select clock_timestamp() as now, pg_is_in_recovery() as is_standby) clock
  left join leasehold_internal._presence() p on p.id = l.session_id;
--> statement-breakpoint
create view leasehold.active_leases as
select l.key, l.fence, l.owner, l.session_id, l.is_session_alive, l.acquired_at, l.renewed_at, l.expires_at,
       l.expires_at - l.now as remaining,
       l.now - l.acquired_at as held_for,
       l.ttl_ms * interval '1 millisecond' as ttl,
       l.max_hold_until, l.revoked_at,
       case when not l.is_standby then coalesce(line.waiters, 0) end as waiters,
       l.pid, l.host, l.client_address, l.application_name, l.metadata, l.acquisitions
  from leasehold_internal._leases l
  left join (select w.key, count(*)::integer as waiters from leasehold_internal._line() w where w.is_alive group by w.key) line on line.key = l.key
 where l.state = 'held';
--> statement-breakpoint
create view leasehold.waiting as
select w.key, w."position", w.ticket, w.owner, w.session_id,
       w.enqueued_at as waiting_since,
       clock.now - w.enqueued_at as waiting_for,
       w.alive_until, w.is_alive,
       blocking.owner as blocked_by,
       blocking.fence as blocked_by_fence,
       case when blocking.key is not null then greatest(blocking.acquired_at, w.enqueued_at) end as blocked_since,
       b.pid as blocking_pid,
       b.gid as blocking_transaction,
       p.pid, p.host
  from leasehold_internal._line() w
 cross join (select clock_timestamp() as now) clock
  left join leasehold_internal._blockers(array(select distinct w.key from leasehold_internal._line() w)) b on b.key = w.key
  left join leasehold_internal._leases blocking on blocking.key = w.key and (blocking.state in ('held', 'cooling') or b.key is not null)
  left join leasehold_internal._presence() p on p.id = w.session_id;
--> statement-breakpoint
create view leasehold.live_sessions as
select p.id, p.owner, p.pid, p.host, p.client_address, p.application_name, p.version, p.started_at, p.seen_at,
       clock.now - p.seen_at as silent_for,
       p.is_connected as is_alive,
       coalesce(held.leases, 0) as leases,
       coalesce(line.waits, 0) as waits
  from leasehold_internal._presence() p
 cross join (select clock_timestamp() as now) clock
  left join (select l.session_id, count(*)::integer as leases from leasehold_internal._leases l where l.state = 'held' group by l.session_id) held
    on held.session_id = p.id
  left join (select w.session_id, count(*)::integer as waits from leasehold_internal._line() w where w.is_alive group by w.session_id) line
    on line.session_id = p.id
 where p.seen_at is not null;
--> statement-breakpoint
create view leasehold.expired_leases as
select l.key, l.fence, l.owner, l.session_id,
       l.state as reason,
       l.expires_at,
       l.now - case when l.state = 'expired' then l.expires_at else l.takeover_at end as expired_for,
       case when not l.is_standby then coalesce(line.waiters, 0) end as waiters,
       b.pid as blocking_pid,
       b.gid as blocking_transaction
  from leasehold_internal._leases l
  left join (select w.key, count(*)::integer as waiters from leasehold_internal._line() w where w.is_alive group by w.key) line on line.key = l.key
  left join leasehold_internal._blockers(array(select e.key from leasehold_internal._leases e where e.state in ('expired', 'orphaned'))) b
    on b.key = l.key
 where l.state in ('expired', 'orphaned');
--> statement-breakpoint
-- Cycles in a graph of who waits for whom. Listing all of them would take for ever where many wait for many, so: for each node
-- that is in a cycle, a shortest one. A search in breadth from each node: in a dense graph cycles are short and soon found.
create function leasehold_internal._cycles(waiting integer[], holding integer[])
returns table (sessions integer[])
language plpgsql immutable rows 1
set search_path = pg_catalog, pg_temp
as $$
declare
  nodes integer[];
  targets integer[]; -- the edges, as places in nodes, in the order of where they begin
  first integer[]; -- the place in targets where the edges of each node begin
  reached_from integer[];
  line integer[];
  looked integer;
  node integer;
  next integer;
  cycle integer[];
  least integer;
begin
  -- Who waits for nobody, or is waited for by nobody, is in no cycle: mostly that leaves nothing.
  nodes := array(select unnest(waiting) intersect select unnest(holding) order by 1);
  if cardinality(nodes) < 2 then
    return;
  end if;
  with place as materialized (
    select n.id, n.place from unnest(nodes) with ordinality n (id, place)
  ),
  edge as materialized (
    select distinct w.place as origin, h.place as target
      from unnest(waiting, holding) e (waiter, holder)
      join place w on w.id = e.waiter
      join place h on h.id = e.holder
  )
  select array(select e.target from edge e order by e.origin, e.target),
         array(select 1 + sum(count(e.origin)) over (order by p.place) - count(e.origin)
                 from place p left join edge e on e.origin = p.place group by p.place order by p.place)
    into targets, first;
  first := first || cardinality(targets) + 1;

  for start in 1 .. cardinality(nodes) loop
    reached_from := array_fill(0, array[cardinality(nodes)]);
    line := array[start];
    looked := 0;
    cycle := null;
    while cycle is null and looked < cardinality(line) loop
      looked := looked + 1;
      node := line[looked];
      for edge in first[node] .. first[node + 1] - 1 loop
        next := targets[edge];
        if next = start then
          cycle := array[nodes[node]];
          while node <> start loop
            node := reached_from[node];
            cycle := nodes[node] || cycle;
          end loop;
          exit;
        elsif reached_from[next] = 0 then
          reached_from[next] := node;
          line := line || next;
        end if;
      end loop;
    end loop;
    -- Each begins with its smallest node, so that the same one is found again.
    if cycle is not null then
      least := array_position(cycle, (select min(c) from unnest(cycle) c));
      cycle := cycle[least:] || cycle[:least - 1];
      sessions := cycle;
      return next;
    end if;
  end loop;
end
$$;
--> statement-breakpoint
comment on function leasehold_internal._cycles(integer[], integer[]) is 'Cycles in a graph that is given as its edges: for each node that is in one a shortest one, beginning with its smallest node. The same one may come several times.';
--> statement-breakpoint
create view leasehold.deadlocks as
with edge as materialized (
  select distinct on (w.session_id, l.session_id)
         w.session_id as waiter, l.session_id as holder, coalesce(p.owner, w.owner) as owner, w.key, w.enqueued_at
    from leasehold_internal._line() w
    join leasehold_internal._leases l on l.key = w.key
    left join leasehold_internal._presence() p on p.id = w.session_id
   where w.is_alive and l.state = 'held' and l.session_id <> w.session_id
   order by w.session_id, l.session_id, w.ticket
)
select step.keys, step.owners, c.sessions as session_ids, step.path, step.since
  from (
    select distinct found.sessions
      from leasehold_internal._cycles(
             array(select e.waiter from edge e order by e.waiter, e.holder),
             array(select e.holder from edge e order by e.waiter, e.holder)) found
  ) c
 cross join lateral (
   select array_agg(e.key order by s.place) as keys,
          array_agg(e.owner order by s.place) as owners,
          string_agg(format('%s waits for %s, held by %s', e.owner, e.key, holder.owner), '; ' order by s.place) as path,
          max(e.enqueued_at) as since
     from unnest(c.sessions) with ordinality s (id, place)
    cross join lateral (select c.sessions[s.place % cardinality(c.sessions) + 1] as id) follower
     join edge e on e.waiter = s.id and e.holder = follower.id
     join lateral (select h.owner from edge h where h.waiter = follower.id limit 1) holder on true
 ) step;
--> statement-breakpoint
comment on view leasehold_internal._leases is 'Every row of leases with its state, as a client would judge it: what the views are made of.';
--> statement-breakpoint
comment on view leasehold.active_leases is 'Who holds what: leases that nobody else can be granted.';
comment on column leasehold.active_leases.key is 'What is locked, prefix included.';
comment on column leasehold.active_leases.fence is 'The fencing token of the grant. A later grant of the key has a larger one.';
comment on column leasehold.active_leases.owner is 'Who holds it, as the client named itself (by default host:pid).';
comment on column leasehold.active_leases.session_id is 'Its session, see live_sessions. Null: without presence, free at expires_at if its process dies.';
comment on column leasehold.active_leases.is_session_alive is 'Whether its session is connected. False: the process has died, or its connection is being made again; for takeover_ms after its last heartbeat the lease is kept. Null without presence, and on a standby.';
comment on column leasehold.active_leases.acquired_at is 'When it was granted.';
comment on column leasehold.active_leases.renewed_at is 'When it was last renewed; the time of the grant if not since.';
comment on column leasehold.active_leases.expires_at is 'When it ends unless it is renewed before.';
comment on column leasehold.active_leases.remaining is 'Time until expires_at.';
comment on column leasehold.active_leases.held_for is 'Time since acquired_at.';
comment on column leasehold.active_leases.ttl is 'For how long it was last granted or renewed.';
comment on column leasehold.active_leases.max_hold_until is 'No renewal goes beyond this instant. Null: no such bound.';
comment on column leasehold.active_leases.revoked_at is 'When an operator took it away: it is not renewed any more, and free when its holder lets go or at expires_at. Null: it was not.';
comment on column leasehold.active_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.active_leases.pid is 'Server process of the session, as in pg_stat_activity: not the one that writes with the lock. Null without presence.';
comment on column leasehold.active_leases.host is 'Name of the client''s machine. Null without presence.';
comment on column leasehold.active_leases.client_address is 'Address that the session comes from. Null without presence, or over a Unix socket.';
comment on column leasehold.active_leases.application_name is 'application_name of the session. Null without presence.';
comment on column leasehold.active_leases.metadata is 'What the holder chose to tell.';
comment on column leasehold.active_leases.acquisitions is 'How many times the key was granted since its row was made.';
--> statement-breakpoint
comment on view leasehold.waiting is 'Who waits for what, behind how many others, and who is in the way. Empty on a standby.';
comment on column leasehold.waiting.key is 'What is waited for, prefix included.';
comment on column leasehold.waiting."position" is 'Place in the line of the key: 1 is next. Null for one that is not alive: the others pass it by.';
comment on column leasehold.waiting.ticket is 'Number by which the line is ordered.';
comment on column leasehold.waiting.owner is 'Who waits, as the client named itself.';
comment on column leasehold.waiting.session_id is 'Its session, see live_sessions. Null without presence.';
comment on column leasehold.waiting.waiting_since is 'When the wait began, or when it was queued again after a crash of the server.';
comment on column leasehold.waiting.waiting_for is 'Time since waiting_since.';
comment on column leasehold.waiting.alive_until is 'Each look of the waiting client moves this ahead, every second or so.';
comment on column leasehold.waiting.is_alive is 'Whether alive_until is still ahead. False: the client is dead or frozen.';
comment on column leasehold.waiting.blocked_by is 'Who keeps the key: its holder, or the last one while its minimum hold lasts or an open transaction guards the key. Null: the key is free for the first in the line.';
comment on column leasehold.waiting.blocked_by_fence is 'The fencing token of that grant.';
comment on column leasehold.waiting.blocked_since is 'Since when that one keeps this one waiting.';
comment on column leasehold.waiting.blocking_pid is 'Server process whose open transaction (a guarded one) keeps the key, whoever holds it. Null: none, or none that can be told.';
comment on column leasehold.waiting.blocking_transaction is 'The same for a prepared transaction, which has no process: its name. It ends with COMMIT PREPARED or ROLLBACK PREPARED.';
comment on column leasehold.waiting.pid is 'Server process of the waiting session. Null without presence.';
comment on column leasehold.waiting.host is 'Name of the waiting client''s machine. Null without presence.';
--> statement-breakpoint
comment on view leasehold.live_sessions is 'Processes that take locks with presence, those included that ended without closing and were not swept yet. Empty on a standby.';
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
comment on column leasehold.live_sessions.is_alive is 'Whether it is connected, that is, holds its presence lock. False: the process has died, or its connection is being made again.';
comment on column leasehold.live_sessions.leases is 'How many active leases it has.';
comment on column leasehold.live_sessions.waits is 'In how many lines it stands.';
--> statement-breakpoint
comment on view leasehold.expired_leases is 'Leases that nobody has released and that are over. They are granted to the next who asks, once no open transaction guards them.';
comment on column leasehold.expired_leases.key is 'What was locked, prefix included.';
comment on column leasehold.expired_leases.fence is 'The fencing token of the grant that is over.';
comment on column leasehold.expired_leases.owner is 'Who held it.';
comment on column leasehold.expired_leases.session_id is 'Its session. Null without presence.';
comment on column leasehold.expired_leases.reason is 'expired: it was not renewed in time. orphaned: its process is confirmed dead. On a standby only the first can be told.';
comment on column leasehold.expired_leases.expires_at is 'When it ended, or would have ended if its process had lived.';
comment on column leasehold.expired_leases.expired_for is 'For how long it has been over.';
comment on column leasehold.expired_leases.waiters is 'How many wait for the key. Null on a standby.';
comment on column leasehold.expired_leases.blocking_pid is 'Server process whose open transaction (a guarded one) keeps the key from the next. Null: none, or none that can be told.';
comment on column leasehold.expired_leases.blocking_transaction is 'The same for a prepared transaction, which has no process: its name. It ends with COMMIT PREPARED or ROLLBACK PREPARED.';
--> statement-breakpoint
comment on view leasehold.deadlocks is 'Sessions that hold a key and wait for another in a circle. A process may do several things at once, so a circle that comes and goes need not be a deadlock; one that stays is. For each session that is in a circle there is a shortest one. Sessions alone: without presence it is not known which holder is which waiter. Empty on a standby.';
comment on column leasehold.deadlocks.keys is 'What is waited for: the first session waits for the first key, which the second session holds, and so on; the last key is held by the first session.';
comment on column leasehold.deadlocks.owners is 'The sessions as they named themselves.';
comment on column leasehold.deadlocks.session_ids is 'The sessions, beginning with the smallest number.';
comment on column leasehold.deadlocks.path is 'The circle in words.';
comment on column leasehold.deadlocks.since is 'When its last wait began, that is, since when it is closed.';
--> statement-breakpoint
create function leasehold.grant_monitoring(role text) returns void
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select leasehold_internal._grant(role, 'monitoring');
$$;
--> statement-breakpoint
comment on function leasehold.grant_monitoring(text) is 'Lets a role read the views of this schema, and nothing else: select leasehold.grant_monitoring(''grafana'');';
--> statement-breakpoint
-- Who takes a lock away must see from whom, and does it with a client, whose session needs what all clients need.
create function leasehold.grant_admin(role text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  perform leasehold_internal._grant(role, profile) from unnest(array['usage', 'monitoring', 'admin']) profile;
end
$$;
--> statement-breakpoint
comment on function leasehold.grant_admin(text) is 'Lets a role do what grant_usage and grant_monitoring let it do, and also take locks from their holders, sweep, raise the epoch, and reset the marks of resources: select leasehold.grant_admin(''dba'');';
