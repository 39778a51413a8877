import type { LeaseholdError } from "../errors.js";
import type { Horizon, SchemaState, ServerState } from "../inspect/store-state.js";
import type { Lane } from "./lane.js";
import type { Row } from "./link.js";
import { sqlState, toPublicError } from "./server-errors.js";
import { EXACT_TIMES } from "./statements.js";

/**
 * What keeps dead rows of this database from being removed, the oldest first. A hot row slows down while something does: from
 * 4,400 to 534 updates/s within 28 s beside one open transaction. Any role sees the snapshots, but when they began only of its
 * own transactions, or with pg_read_all_stats. VACUUM itself holds nothing back.
 */
export const HORIZONS: string = `select kind, pid, name, role, state, age, since from (
  select case when a.backend_type = 'walsender' then 'standby' else 'backend' end as kind, a.pid,
    nullif(a.application_name, '') as name, a.usename::text as role, a.state,
    greatest(age(a.backend_xmin), age(a.backend_xid)) as age, (extract(epoch from a.xact_start) * 1000)::float8 as since
    from pg_stat_activity a
   where (a.datname = current_database() or a.backend_type = 'walsender') and a.pid <> pg_backend_pid()
     and a.pid not in (select v.pid from pg_stat_progress_vacuum v)
  union all
  select 'prepared-transaction', null, p.gid, p.owner::text, null, age(p.transaction), (extract(epoch from p.prepared) * 1000)::float8
    from pg_prepared_xacts p where p.database = current_database()
  union all
  select 'replication-slot', r.active_pid, r.slot_name::text, null, null, age(r.xmin), null from pg_replication_slots r
  ) of_any_kind, ${EXACT_TIMES} where age is not null order by age desc`;

const SERVER = `select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
    pg_is_in_recovery() as recovery, current_database() as database, current_user::text as role,
    (extract(epoch from clock_timestamp()) * 1000)::float8 as now from ${EXACT_TIMES}`;

const SCHEMA = `select version, min_client as minclient, leasehold_internal.fence_source() as source,
    has_function_privilege('leasehold_internal.force_release(text, bigint, boolean)', 'execute') as force
  from leasehold_internal.schema_info()`;

/** In several statements: the schema may be missing, or a part be not for this role. */
export async function describeServer(lane: Lane): Promise<ServerState> {
  const { rows, sentAt, receivedAt } = await lane.query(SERVER, []);
  const row = rows[0] as Row;
  const ms = receivedAt.monotonicMs - sentAt.monotonicMs;
  const role = String(row.role);
  const [horizon, schema] = await Promise.all([
    unlessRefused(findHorizon(lane), role),
    unlessRefused(describeSchema(lane), role),
  ]);
  return {
    ms,
    version: String(row.version),
    versionNumber: Number(row.number),
    isInRecovery: row.recovery === true,
    database: String(row.database),
    role,
    clockAheadMs: Number(row.now) - (receivedAt.wallMs - ms / 2),
    horizon,
    schema,
  };
}

/** What the server answered, also when that is an error. */
async function unlessRefused<Part>(part: Promise<Part>, role: string): Promise<Part | LeaseholdError> {
  try {
    return await part;
  } catch (error) {
    if (sqlState(error) === null) {
      throw error;
    }
    return toPublicError(error, { wasSent: true, role });
  }
}

async function describeSchema(lane: Lane): Promise<SchemaState> {
  const row = (await lane.query(SCHEMA, [])).rows[0] as Row;
  return {
    version: Number(row.version),
    minClient: Number(row.minclient),
    fenceSource: row.source as SchemaState["fenceSource"],
    mayForceRelease: row.force === true,
  };
}

async function findHorizon(lane: Lane): Promise<Horizon | null> {
  const row = (await lane.query(`${HORIZONS} limit 1`, [])).rows[0];
  return row === undefined ? null : toHorizon(row);
}

export function toHorizon(row: Row): Horizon {
  return {
    kind: row.kind as Horizon["kind"],
    age: Number(row.age),
    sinceMs: row.since as number | null,
    pid: row.pid as number | null,
    name: row.name as string | null,
    role: row.role as string | null,
    state: row.state as string | null,
  };
}
