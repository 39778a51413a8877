import { LeaseholdError } from "../../errors/errors.js";
import { createLocker } from "../../locker/create-locker.js";
import { seemsDirect } from "../../postgres/connection/connect.js";
import { milliseconds } from "../../postgres/connection/exact-times.js";
import { SCHEMA_INFO } from "../../postgres/connection/schema-check.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "../../postgres/connection/schema-version.js";
import { rolesWithoutUsage } from "../../postgres/schema/migrate-state.js";
import { HORIZONS, toHorizon } from "../../postgres/schema/server-state.js";
import { VERSION } from "../../runtime/version.js";
import type { Horizon } from "../../store/backend-state.js";
import type { Database } from "../database.js";
import { explain } from "../output.js";
import { watchClock } from "./server-clock.js";
import { readTrust, type Trust } from "./trust.js";

/** What `doctor` looks at. Null: this role may not see it, or it does not exist. Durations are in milliseconds. */
export interface Facts {
  readonly client: {
    readonly version: string;
    /** Such as `Node 20.19.0`. */
    readonly runtime: string;
  };
  readonly server: {
    readonly version: string;
    readonly versionNumber: number;
    readonly database: string;
    readonly role: string;
    readonly isStandby: boolean;
  };
  /** Null: there is no schema leasehold, or this role may not query it. */
  readonly schema: {
    readonly version: number;
    readonly minClient: number;
    readonly needed: number;
    readonly own: number;
  } | null;
  readonly rights: {
    readonly schemaExists: boolean;
    readonly mayLock: boolean;
    readonly mayLook: boolean;
    readonly mayCreate: boolean;
  };
  /** Null: there is no schema leasehold. */
  readonly trust: Trust | null;
  /** The error that a locker fails with, or null. */
  readonly refusal: { readonly code: string; readonly message: string } | null;
  /** Whether the backend that answers is the one that was announced. If not, a pooler shares its connections. */
  readonly isDirect: boolean;
  /** Settings by their names in pg_settings, as this role has them on a connection of its own. */
  readonly settings: Readonly<Record<string, string>>;
  readonly connections: {
    readonly used: number;
    readonly max: number;
    readonly ofRole: number;
    readonly ofDatabase: number;
  };
  readonly replication: { readonly standbys: number; readonly synchronousNames: string };
  readonly clock: {
    /** How far the server's clock is ahead of this machine's. */
    readonly aheadMs: number;
    /** Half the round trip. The reading is no more exact than this. */
    readonly uncertaintyMs: number;
    /** By how much the server's clock ran faster than this machine's monotonic one while it was watched. */
    readonly stepMs: number;
    /** How far the newest grant lies in the future, by the server's own clock. */
    readonly grantAheadMs: number | null;
  };
  readonly transactions: {
    /** What keeps old row versions in this database, the oldest first. `openMs`: for how long, if the role may see it. */
    readonly horizons: readonly (Omit<Horizon, "sinceMs"> & { readonly openMs: number | null })[];
    /** Whether this role may see how long they have been open. */
    readonly maySee: boolean;
    readonly inactiveSlots: number;
  };
  readonly deadlocks: readonly string[];
  /** Keys of which semaphores are held with different capacities: ten at most. */
  readonly mixedCapacities: readonly { readonly key: string; readonly least: number; readonly most: number }[];
  readonly fences: {
    /** Where fences come from: `auto` follows the server's write-ahead log, `manual` an operator. */
    readonly source: string | null;
    /** Whether this server reveals its system identifier. Without it, a move to another server goes unnoticed. */
    readonly knowsCluster: boolean | null;
    /** Whether the table is logged. An unlogged one is empty after a crash, and its grants write no log that fences could follow. */
    readonly areLeasesLogged: boolean | null;
    /** A stored fence that is larger than those that are issued now. */
    readonly ahead: string | null;
  };
}

const settings = [
  "fsync",
  "full_page_writes",
  "autovacuum",
  "synchronous_commit",
  "statement_timeout",
  "idle_session_timeout",
  "idle_in_transaction_session_timeout",
  "transaction_timeout",
  "log_statement",
  "log_min_duration_statement",
  "log_parameter_max_length",
] as const;

/** Asks the server and a locker. Changes nothing. */
export async function collectFacts(database: Database): Promise<Facts> {
  const { hello } = database;
  const one = async (text: string, parameters: readonly string[] = []) =>
    (await database.query(text, parameters))[0] ?? {};
  const server = await one(
    `select pg_catalog.current_setting('server_version_num')::int as number,
            pg_catalog.has_database_privilege(pg_catalog.current_database()::pg_catalog.text, 'create') as create`,
  );
  const rights = await readRights(database);
  const [info] = rights.mayLock ? await database.query(SCHEMA_INFO) : [];
  const chosen = await database.query(
    `select s.name, s.setting from pg_catalog.pg_settings s
      where s.name operator(pg_catalog.=) any (pg_catalog.string_to_array($1::pg_catalog.text, ','))`,
    [settings.join()],
  );
  const limits = await one(`
    select (select pg_catalog.sum(s.numbackends)::int from pg_catalog.pg_stat_database s) as used,
           pg_catalog.current_setting('max_connections')::int as max,
           (select r.rolconnlimit from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) session_user) as ofrole,
           (select d.datconnlimit from pg_catalog.pg_database d
             where d.datname operator(pg_catalog.=) pg_catalog.current_database()) as ofdatabase`);
  const replication = await one(`
    select (select pg_catalog.count(*)::int from pg_catalog.pg_stat_replication) as standbys,
           pg_catalog.current_setting('synchronous_standby_names') as names,
           (select pg_catalog.count(*)::int from pg_catalog.pg_replication_slots r where not r.active) as inactive`);
  return {
    client: { version: VERSION, runtime: runtime() },
    server: {
      version: hello.serverVersion,
      versionNumber: Number(server.number),
      database: hello.database,
      role: hello.role,
      isStandby: hello.isStandby,
    },
    schema:
      info === undefined
        ? null
        : {
            version: Number(info.version),
            minClient: Number(info.minclient),
            needed: SCHEMA_VERSION,
            own: CLIENT_VERSION,
          },
    rights: { ...rights, mayCreate: server.create === true },
    trust: rights.schemaExists ? await readTrust(database) : null,
    refusal: hello.isStandby || !rights.mayLock ? null : await tryLocker(database),
    isDirect: seemsDirect(hello),
    settings: Object.fromEntries(chosen.map(({ name, setting }) => [String(name), String(setting)])),
    connections: {
      used: Number(limits.used),
      max: Number(limits.max),
      ofRole: Number(limits.ofrole),
      ofDatabase: Number(limits.ofdatabase),
    },
    replication: { standbys: Number(replication.standbys), synchronousNames: String(replication.names) },
    clock: { ...(await watchClock(database)), grantAheadMs: rights.mayLook ? await newestGrant(database) : null },
    transactions: { ...(await openTransactions(database)), inactiveSlots: Number(replication.inactive) },
    deadlocks:
      rights.mayLook && !hello.isStandby
        ? (await database.query("select d.path from leasehold.deadlocks d order by d.path")).map(({ path }) =>
            String(path),
          )
        : [],
    mixedCapacities: rights.mayLook && !hello.isStandby ? await mixedCapacities(database) : [],
    fences: await lookAtFences(database, info !== undefined && !hello.isStandby),
  };
}

async function mixedCapacities(database: Database): Promise<Facts["mixedCapacities"]> {
  const rows = await database.query(
    `select l.key, pg_catalog.min(l.capacity) as least, pg_catalog.max(l.capacity) as most
       from leasehold.active_leases l
      where l.capacity is not null and l.state operator(pg_catalog.=) any ('{held,revoked}'::pg_catalog.text[])
      group by l.key
     having pg_catalog.min(l.capacity) operator(pg_catalog.<>) pg_catalog.max(l.capacity)
      order by l.key limit 10`,
  );
  return rows.map(({ key, least, most }) => ({ key: String(key), least: Number(least), most: Number(most) }));
}

async function readRights(database: Database): Promise<Omit<Facts["rights"], "mayCreate">> {
  const schemaExists = database.hello.hasSchemas;
  const [row] = schemaExists ? await database.query(`select (${mayRead("active_leases")}) as look`) : [];
  const reader = {
    query: (text: string, parameters: readonly string[] = []) => database.query(text, parameters),
    end: async () => undefined,
    destroy: () => undefined,
  };
  const lacking = schemaExists ? await rolesWithoutUsage(reader, [database.hello.role]) : [database.hello.role];
  return { schemaExists, mayLock: lacking.length === 0, mayLook: row?.look === true };
}

/** Everything that a locker refuses when it connects, above all a transaction pooler in front of its session. */
async function tryLocker({ address }: Database): Promise<Facts["refusal"]> {
  const { url, directUrl, connection } = address;
  const locker = createLocker({ url, directUrl, connection });
  try {
    await locker.ready();
    return null;
  } catch (error) {
    if (error instanceof LeaseholdError) return { code: error.code, message: explain(error) };
    throw error;
  } finally {
    await locker.close();
  }
}

async function newestGrant(database: Database): Promise<number | null> {
  const [row] = await database.query(
    `select ${milliseconds("pg_catalog.max(greatest(l.acquired_at, l.renewed_at)) operator(pg_catalog.-) pg_catalog.clock_timestamp()")} as ahead
       from leasehold.active_leases l`,
  );
  return row?.ahead == null ? null : Number(row.ahead);
}

async function openTransactions(database: Database): Promise<Omit<Facts["transactions"], "inactiveSlots">> {
  const [row] = await database.query(`
    select pg_catalog.pg_has_role(session_user, 'pg_read_all_stats'::pg_catalog.name, 'usage') as maysee,
           ${milliseconds("pg_catalog.clock_timestamp()")} as now`);
  const rows = await database.query(`${HORIZONS} limit 5`);
  const horizons = rows.map(toHorizon).map(({ sinceMs, ...horizon }) => ({
    ...horizon,
    openMs: sinceMs === null ? null : Number(row?.now) - sinceMs,
  }));
  return { horizons, maySee: row?.maysee === true };
}

/** Reads the catalog, which every role may read. No rows when there is no such relation. */
function mayRead(relation: string): string {
  return `select pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_schema_privilege(c.relnamespace, 'usage') as readable
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
     where c.relname operator(pg_catalog.=) '${relation}'::pg_catalog.name
       and n.nspname operator(pg_catalog.=) 'leasehold'::pg_catalog.name`;
}

/** Reads the catalog, which every role may read. The first three need the right to read the table, the last one ownership. */
async function lookAtFences(database: Database, isComplete: boolean): Promise<Facts["fences"]> {
  if (!database.hello.hasSchemas) return { source: null, knowsCluster: null, areLeasesLogged: null, ahead: null };
  const [seen] = await database.query(`
    select pg_catalog.has_table_privilege(e.oid, 'select') and pg_catalog.has_schema_privilege(e.relnamespace, 'usage') as readable,
           l.relpersistence operator(pg_catalog.=) 'p' as logged, pg_catalog.pg_has_role(l.relowner, 'usage') as owned
      from pg_catalog.pg_namespace n
      join pg_catalog.pg_class e on e.relnamespace operator(pg_catalog.=) n.oid and e.relname operator(pg_catalog.=) 'fence_epoch'
      join pg_catalog.pg_class l on l.relnamespace operator(pg_catalog.=) n.oid and l.relname operator(pg_catalog.=) 'leases'
     where n.nspname operator(pg_catalog.=) 'leasehold'`);
  const [row] =
    seen?.readable === true
      ? await database.query("select e.source, e.system_identifier is not null as known from leasehold.fence_epoch e")
      : [];
  const [stored] =
    seen?.owned === true && isComplete
      ? await database.query(`
          select max(s.fence)::text as fence
            from (select fence from leasehold.leases union all select fence from leasehold.resource_fences) s
           where s.fence > leasehold_internal._last_fence()`)
      : [];
  return {
    source: row === undefined ? null : String(row.source),
    knowsCluster: row === undefined ? null : row.known === true,
    areLeasesLogged: seen === undefined ? null : seen.logged === true,
    ahead: stored?.fence == null ? null : String(stored.fence),
  };
}

/** Bun and Deno name a version of Node, too: the one that they are compatible with. */
function runtime(): string {
  const { bun, deno, node } = process.versions;
  if (bun !== undefined) return `Bun ${bun}`;
  return deno === undefined ? `Node ${node}` : `Deno ${deno}`;
}
