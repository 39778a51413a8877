import { createLocker } from "../../create-locker.js";
import { LeaseholdError } from "../../errors.js";
import type { Horizon } from "../../inspect/store-state.js";
import { seemsDirect } from "../../postgres/connect.js";
import { rolesWithoutUsage } from "../../postgres/migrate-state.js";
import { CLIENT_VERSION, SCHEMA_VERSION } from "../../postgres/schema-version.js";
import { HORIZONS, toHorizon } from "../../postgres/server-state.js";
import { VERSION } from "../../version.js";
import type { Database } from "../database.js";
import { explain } from "../output.js";
import { watchClock } from "./server-clock.js";

/** What `doctor` judges. Null: not to be seen by this role, or not there. Durations are in milliseconds. */
export interface Facts {
  readonly client: { readonly version: string; readonly node: string };
  readonly server: {
    readonly version: string;
    readonly versionNumber: number;
    readonly database: string;
    readonly role: string;
    readonly isStandby: boolean;
  };
  /** Null: there is no schema leasehold, or this role may not ask it. */
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
  /** How a locker fares: what it refuses, or null. */
  readonly refusal: { readonly code: string; readonly message: string } | null;
  /** The server's process answers as the one that was announced: no pooler that gives away connections. */
  readonly isDirect: boolean;
  /** By their names in pg_settings, as this role has them on a connection of its own. */
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
    /** Half the round trip: the reading is not more exact than this. */
    readonly uncertaintyMs: number;
    /** By how much the server's clock ran faster than this machine's monotonic one while it was watched. */
    readonly stepMs: number;
    /** How far in the future, by the server's own clock, the newest grant lies. */
    readonly grantAheadMs: number | null;
  };
  readonly transactions: {
    /** What keeps old versions of rows of this database, the oldest first; `openMs`: for how long, as far as the role may see it. */
    readonly horizons: readonly (Omit<Horizon, "sinceMs"> & { readonly openMs: number | null })[];
    /** Whether this role sees since when. */
    readonly maySee: boolean;
    readonly inactiveSlots: number;
  };
  readonly deadlocks: readonly string[];
  /** Where fences come from: `auto` follows the server's timeline, `manual` an operator. */
  readonly fenceSource: string | null;
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
    "select current_setting('server_version_num')::int as number, has_database_privilege(current_database(), 'create') as create",
  );
  const rights = await readRights(database);
  const [info] = rights.mayLock
    ? await database.query("select version, min_client as minclient from leasehold_internal.schema_info()")
    : [];
  const chosen = await database.query(
    "select name::text as name, setting from pg_settings where name = any (string_to_array($1, ','))",
    [settings.join()],
  );
  const limits = await one(`
    select (select sum(numbackends)::int from pg_stat_database) as used, current_setting('max_connections')::int as max,
           (select rolconnlimit from pg_roles where rolname = session_user) as ofrole,
           (select datconnlimit from pg_database where datname = current_database()) as ofdatabase`);
  const replication = await one(`
    select (select count(*)::int from pg_stat_replication) as standbys, current_setting('synchronous_standby_names') as names,
           (select count(*)::int from pg_replication_slots where not active) as inactive`);
  return {
    client: { version: VERSION, node: process.versions.node },
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
        ? (await database.query("select path from leasehold.deadlocks order by path")).map(({ path }) => String(path))
        : [],
    fenceSource: await fenceSource(database),
  };
}

async function readRights(database: Database): Promise<Omit<Facts["rights"], "mayCreate">> {
  const [row] = await database.query(`
    select exists (select from pg_namespace where nspname = 'leasehold_internal') as made,
           (select has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage') from pg_class c
             where c.relname = 'active_leases' and c.relnamespace = (select oid from pg_namespace where nspname = 'leasehold')) as look`);
  const schemaExists = row?.made === true;
  const reader = {
    query: (text: string, parameters: readonly string[] = []) => database.query(text, parameters),
    end: async () => undefined,
    destroy: () => undefined,
  };
  const lacking = schemaExists ? await rolesWithoutUsage(reader, [database.hello.role]) : [database.hello.role];
  return { schemaExists, mayLock: lacking.length === 0, mayLook: row?.look === true };
}

/** Everything that a locker refuses when it connects: above all, a transaction pooler under its session. */
async function tryLocker({ place }: Database): Promise<Facts["refusal"]> {
  const locker = createLocker({ url: place.url, directUrl: place.directUrl });
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
    "select (extract(epoch from max(greatest(acquired_at, renewed_at)) - clock_timestamp()) * 1000)::float8 as ahead from leasehold.active_leases",
  );
  return row?.ahead == null ? null : Number(row.ahead);
}

async function openTransactions(database: Database): Promise<Omit<Facts["transactions"], "inactiveSlots">> {
  const [row] = await database.query(`
    select pg_has_role(session_user, 'pg_read_all_stats', 'usage') as maysee, (extract(epoch from clock_timestamp()) * 1000)::float8 as now`);
  const rows = await database.query(`${HORIZONS} limit 5`);
  const horizons = rows.map(toHorizon).map(({ sinceMs, ...horizon }) => ({
    ...horizon,
    openMs: sinceMs === null ? null : Number(row?.now) - sinceMs,
  }));
  return { horizons, maySee: row?.maysee === true };
}

/** Null for a role that may not read it. */
async function fenceSource(database: Database): Promise<string | null> {
  const [table] = await database.query(`
    select has_table_privilege(c.oid, 'select') and has_schema_privilege(c.relnamespace, 'usage') as readable from pg_class c
     where c.relname = 'fence_epoch' and c.relnamespace = (select oid from pg_namespace where nspname = 'leasehold')`);
  if (table?.readable !== true) return null;
  const [row] = await database.query("select source from leasehold.fence_epoch");
  return row === undefined ? null : String(row.source);
}
