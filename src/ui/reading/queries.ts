/** An instant in whole milliseconds, exact whatever `extra_float_digits` is. */
function ms(instant: string): string {
  return `pg_catalog.round(extract(epoch from ${instant}) operator(pg_catalog.*) 1000::numeric)`;
}

/** A duration that may be far below a millisecond. */
function fineMs(duration: string): string {
  return `extract(epoch from ${duration}) operator(pg_catalog.*) 1000::numeric`;
}

/**
 * What tells a row from all others, and its columns as JSON text. Postgres writes the text: to compare two is all that is left to do here.
 * `blocker`: the column with a server process whose open transaction is in the way.
 */
function rowsOf(
  { id, columns, from, blocker = "null" }: { id: string; columns: readonly string[]; from: string; blocker?: string },
  most: number,
): string {
  const row = `pg_catalog.json_build_array(${columns.join(", ")})::pg_catalog.text`;
  return `select ${id} as id, ${row} as row, ${blocker} as blocker from ${from} limit ${most}`;
}

const isHeld = "l.state operator(pg_catalog.=) any (array['held', 'revoked']::pg_catalog.text[])";

/** Of those that share a key each has a fence of its own. The row of the key itself, where a transaction has it locked, has the last of them. */
const leaseId = "pg_catalog.concat(v.fence, case when v.mode is null then '*' end, ' ', v.key)";

/** It may have 64 KiB, for each of thousands of leases: of what is long the beginning is told, as text. */
function shortened(metadata: string): string {
  return `case when pg_catalog.length(${metadata}::pg_catalog.text) operator(pg_catalog.<=) 2000 then ${metadata}
          else pg_catalog.to_jsonb(pg_catalog.concat(pg_catalog.left(${metadata}::pg_catalog.text, 2000), '…')) end`;
}

/** Server processes whose transaction is younger than a second. Postgres shows that to the same role, and to members of pg_read_all_stats. */
const beginners = `array(select a.pid from pg_catalog.pg_stat_activity a
          where a.xact_start operator(pg_catalog.>) (pg_catalog.clock_timestamp() operator(pg_catalog.-) '1 s'::pg_catalog.interval))`;

export const LEASES = (most: number): string =>
  rowsOf(
    {
      id: leaseId,
      columns: [
        "v.key, v.state, v.mode, v.weight, v.capacity, v.fence::pg_catalog.text, v.owner, v.session_id, v.is_session_alive",
        `${ms("v.acquired_at")}, ${ms("v.expires_at")}, ${ms("v.free_at")}, ${ms("v.ttl")}, ${ms("v.max_hold_until")}, ${ms("v.revoked_at")}`,
        `v.waiters, v.blocking_pid, v.blocking_transaction, v.pid, v.host, v.client_address, v.application_name, ${shortened("v.metadata")}, v.acquisitions`,
      ],
      // A row that a statement of a locker has locked for a moment would come and go.
      from: `leasehold.active_leases v
        where v.state operator(pg_catalog.<>) 'blocked' or (v.blocking_pid operator(pg_catalog.=) any (${beginners})) is not true
        order by v.key, v.fence`,
      blocker: "v.blocking_pid",
    },
    most,
  );

export const EXPIRED = (most: number): string =>
  rowsOf(
    {
      id: leaseId,
      columns: [
        "v.key, v.reason, v.mode, v.weight, v.capacity, v.fence::pg_catalog.text, v.owner, v.session_id, null",
        `null, ${ms("v.expires_at")}, null, null, null, null`,
        "v.waiters, null, null, null, null, null, null, null, null",
      ],
      from: "leasehold.expired_leases v order by v.key, v.fence",
    },
    most,
  );

export const WAITS = (most: number): string =>
  rowsOf(
    {
      id: "pg_catalog.concat(v.ticket, ' ', v.key)",
      columns: [
        `v.key, v."position", v.mode, v.weight, v.capacity, v.ticket::pg_catalog.text, v.owner, v.session_id, ${ms("v.waiting_since")}`,
        `v.is_alive, v.blocked_by, ${ms("v.blocked_since")}, v.blocking_pid, v.blocking_transaction, v.pid, v.host`,
      ],
      from: 'leasehold.waiting v order by v.key, v."position"',
      blocker: "v.blocking_pid",
    },
    most,
  );

export const SESSIONS = (most: number): string =>
  rowsOf(
    {
      id: "v.id::pg_catalog.text",
      columns: [
        "v.owner, v.pid, v.host, v.client_address, v.application_name, v.version",
        `${ms("v.started_at")}, ${ms("v.seen_at")}, v.is_alive, v.leases, v.waits`,
      ],
      from: "leasehold.live_sessions v order by v.id",
    },
    most,
  );

export const DEADLOCKS = (most: number): string =>
  rowsOf(
    {
      id: "v.session_ids::pg_catalog.text",
      columns: [`v.keys, v.owners, v.session_ids, ${ms("v.since")}`],
      from: "leasehold.deadlocks v",
    },
    most,
  );

export const HOT_KEYS = (most: number): string =>
  rowsOf(
    {
      id: "v.key",
      columns: [`v.key, v.contended, v.contended_at_most, v.acquired, ${ms("v.wait_mean")}`],
      from: "leasehold.hot_keys v",
    },
    most,
  );

export const PREFIXES = (most: number): string =>
  rowsOf(
    {
      id: "coalesce(v.prefix, '')",
      columns: [`v.prefix, v.acquired, v.refused, v.timed_out, v.contended, v.taken_over, ${ms("v.wait_mean")}`],
      from: "leasehold.stats_by_prefix v order by v.acquired desc, v.prefix",
    },
    most,
  );

/** One row: the counters of all processes as JSON text, in the order of `statColumns`; and what this role may do. */
export const STATS: string = `select pg_catalog.json_build_array(
    v.acquired, v.refused, v.timed_out, v.cancelled, v.failed, v.contended, v.released, v.renewed, v.checked,
    v.lost_expired, v.lost_taken, v.lost_max_hold, v.lost_forced, v.taken_over_expired, v.taken_over_orphaned, v.swept, v.errors,
    ${fineMs("v.wait_mean")}, ${fineMs("v.hold_mean")},
    v.wait_histogram, v.hold_histogram, ${ms("v.since")}, ${ms("v.flushed_at")})::pg_catalog.text as row,
    (select pg_catalog.bool_and(pg_catalog.has_function_privilege(p.oid, 'execute'))
       from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
      where n.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
        and p.proname operator(pg_catalog.=) 'admin_force_release'::pg_catalog.name) as admin
  from leasehold.stats v`;

/** How many hold, wait and are there, as JSON text, however many that are: nothing is left out, as it may be where rows are read. */
export const TOTALS: string = `with
    l as materialized (select v.key, v.state, v.mode, v.acquired_at, v.blocking_pid, v.blocking_transaction from leasehold.active_leases v),
    e as materialized (select v.reason from leasehold.expired_leases v),
    w as materialized (select v.waiting_since from leasehold.waiting v where v.is_alive),
    s as materialized (select v.seen_at, v.is_alive from leasehold.live_sessions v)
  select pg_catalog.json_build_object(
    'byState', (select pg_catalog.json_object_agg(g.state, g.rows)
      from (select l.state, pg_catalog.count(*) as rows from l group by l.state
            union all select e.reason, pg_catalog.count(*) from e group by e.reason) g),
    'heldByMode', (select pg_catalog.json_object_agg(g.mode, g.rows)
      from (select l.mode, pg_catalog.count(*) as rows from l where ${isHeld} group by l.mode) g),
    'keysBlocked', (select pg_catalog.count(distinct l.key) from l where l.blocking_pid is not null or l.blocking_transaction is not null),
    'oldestHold', (select ${ms("pg_catalog.min(l.acquired_at)")} from l where ${isHeld}),
    'waiters', (select pg_catalog.count(*) from w),
    'oldestWait', (select ${ms("pg_catalog.min(w.waiting_since)")} from w),
    'deadlocks', (select pg_catalog.count(*) from leasehold.deadlocks),
    'sessionsConnected', (select pg_catalog.count(*) from s where s.is_alive),
    'sessionsGone', (select pg_catalog.count(*) from s where not s.is_alive),
    'oldestHeartbeat', (select ${ms("pg_catalog.min(s.seen_at)")} from s where s.is_alive))::pg_catalog.text as row`;

/** The clock of the server, in milliseconds; and whether it is a standby, which may become the primary. */
export const NOW: string = `select ${ms("pg_catalog.clock_timestamp()")}::pg_catalog.text as now,
  pg_catalog.pg_is_in_recovery() as standby`;

/** What is known of these server processes. Postgres shows most of it to the same role, and to members of pg_read_all_stats. */
export const BLOCKERS: string = `select a.pid::pg_catalog.text as id, pg_catalog.json_build_array(
    a.pid, a.usename, a.application_name, a.client_addr, a.state, ${ms("a.xact_start")}, ${ms("a.query_start")})::pg_catalog.text as row
  from pg_catalog.pg_stat_activity a
 where a.pid operator(pg_catalog.=) any ($1::pg_catalog.text::int[])`;

/** One key, also one that no view can show, such as a first grant that is not committed, and one beyond the rows that are read. */
export const CHECK: string = `select pg_catalog.json_build_object(
    'state', c.state, 'owner', c.owner, 'fence', c.fence::pg_catalog.text, 'mode', c.mode, 'waiters', c.waiters,
    'blockingPid', c.blocking_pid, 'blockingTransaction', c.blocking_transaction, 'acquiredAt', ${ms("c.acquired_at")},
    'expiresAt', ${ms("c.expires_at")}, 'ttlMs', ${ms("c.ttl")}, 'sessionId', c.session_id, 'isSessionAlive', c.is_session_alive,
    'metadata', ${shortened("c.metadata")})::pg_catalog.text as row
  from leasehold.check($1::pg_catalog.text) c`;
