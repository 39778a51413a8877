import { LeaseholdError } from "../../errors/errors.js";
import type { Horizon, SchemaState, ServerState } from "../../store/backend-state.js";
import { EXACT_TIMES, milliseconds } from "../connection/exact-times.js";
import type { Lane } from "../connection/lane.js";
import type { Row } from "../connection/link.js";
import { FOREIGN_OBJECTS, refuseForeignOrMissing } from "../connection/owners.js";
import { sqlState, toPublicError } from "../connection/server-errors.js";

/**
 * What keeps dead rows of this database from being removed, the oldest first. A hot row slows down while something does: from
 * 4,400 to 534 updates/s within 28 s beside one open transaction. Any role sees the snapshots, but when they began only of its
 * own transactions, or with pg_read_all_stats. VACUUM itself holds nothing back.
 */
export const HORIZONS: string = `select kind, pid, name, role, state, age, since from (
  select case when a.backend_type operator(pg_catalog.=) 'walsender' then 'standby' else 'backend' end as kind, a.pid,
    case when a.application_name operator(pg_catalog.<>) '' then a.application_name end as name,
    a.usename::pg_catalog.text as role, a.state, greatest(pg_catalog.age(a.backend_xmin), pg_catalog.age(a.backend_xid)) as age,
    ${milliseconds("a.xact_start")} as since
    from pg_catalog.pg_stat_activity a
   where (a.datname operator(pg_catalog.=) pg_catalog.current_database() or a.backend_type operator(pg_catalog.=) 'walsender')
     and a.pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
     and not exists (select from pg_catalog.pg_stat_progress_vacuum v where v.pid operator(pg_catalog.=) a.pid)
  union all
  select 'prepared-transaction', null, p.gid, p.owner::pg_catalog.text, null, pg_catalog.age(p.transaction), ${milliseconds("p.prepared")}
    from pg_catalog.pg_prepared_xacts p where p.database operator(pg_catalog.=) pg_catalog.current_database()
  union all
  select 'replication-slot', r.active_pid, r.slot_name::pg_catalog.text, null, null, pg_catalog.age(r.xmin), null
    from pg_catalog.pg_replication_slots r
  ) of_any_kind, ${EXACT_TIMES} where age is not null order by age desc`;

const SERVER = `select pg_catalog.current_setting('server_version') as version,
    pg_catalog.current_setting('server_version_num')::int as number, pg_catalog.pg_is_in_recovery() as recovery,
    pg_catalog.current_database() as database, current_user::pg_catalog.text as role,
    ${milliseconds("pg_catalog.clock_timestamp()")} as now from ${EXACT_TIMES}`;

// By its oid: a name would be read with the types that the search_path has.
const SCHEMA = `select i.version, i.min_client as minclient, leasehold_internal.fence_source() as source,
    (select pg_catalog.has_function_privilege(p.oid, 'execute')
       from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
      where n.nspname operator(pg_catalog.=) 'leasehold_internal'::pg_catalog.name
        and p.proname operator(pg_catalog.=) 'admin_force_release'::pg_catalog.name) as force
  from leasehold_internal.schema_info() i`;

/** In several statements: the schema may be missing, or a part be not for this role. */
export async function describeServer(lane: Lane): Promise<ServerState> {
  const { rows, sentAt, receivedAt } = await lane.read(SERVER, []);
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

/** What the server answered, also when that is an error or leads to one. */
async function unlessRefused<Part>(part: Promise<Part>, role: string): Promise<Part | LeaseholdError> {
  try {
    return await part;
  } catch (error) {
    if (error instanceof LeaseholdError) {
      return error;
    }
    if (sqlState(error) === null) {
      throw error;
    }
    return toPublicError(error, { wasSent: true, role });
  }
}

async function describeSchema(lane: Lane): Promise<SchemaState> {
  // A given client has not looked yet, and nothing may be called in a schema of somebody else's.
  refuseForeignOrMissing((await lane.read(FOREIGN_OBJECTS, [])).rows);
  const row = (await lane.read(SCHEMA, [])).rows[0] as Row;
  return {
    version: Number(row.version),
    minClient: Number(row.minclient),
    fenceSource: row.source as SchemaState["fenceSource"],
    mayForceRelease: row.force === true,
  };
}

async function findHorizon(lane: Lane): Promise<Horizon | null> {
  const row = (await lane.read(`${HORIZONS} limit 1`, [])).rows[0];
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
