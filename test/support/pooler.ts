// A pooler between the tests and the server that they share, of the kind that LEASEHOLD_TEST_POOLER names: `npm run matrix` sets it, for
// the files that scripts/matrix/files.ts lists. `database.url` leads through it then; `database.sql` and `adminUrl` never do.
import { changeUrl } from "./client.js";
import type { Cluster } from "./cluster.js";
import { startPgBouncer } from "./pgbouncer.js";
import { startPgpool } from "./pgpool.js";

/** In the environment, so that the processes that a test starts know it, too. */
const kindVariable = "LEASEHOLD_TEST_POOLER";
/** The port of the pooler and that of the server, once both run. */
const portsVariable = "LEASEHOLD_TEST_POOLER_PORTS";

const kinds = ["pgbouncer-session", "pgbouncer-transaction", "pgpool", "pgpool-balanced"] as const;
/**
 * `pgpool` sends everything to the primary. `pgpool-balanced` sends statements that only read to a standby, one by one: it is no
 * session then, and the lockers' sessions go around it, as they do around a transaction pooler.
 */
export type PoolerKind = (typeof kinds)[number];

/** The kind that this run's tests go through; undefined: none. */
export function poolerKind(): PoolerKind | undefined {
  const name = process.env[kindVariable];
  if (!name) return undefined;
  const kind = kinds.find((one) => one === name);
  if (kind === undefined) throw new Error(`${kindVariable} is one of ${kinds.join(", ")}, not ${name}`);
  return kind;
}

export interface Pooler {
  readonly what: string;
  readonly stop: () => Promise<void>;
}

/** Starts the pooler that the environment asks for, if it does. Fails where the program is not installed. */
export async function startPooler(server: {
  readonly url: string;
  readonly cluster?: Cluster;
}): Promise<Pooler | undefined> {
  const kind = poolerKind();
  if (kind === undefined) return undefined;
  const standby = kind === "pgpool-balanced" ? await server.cluster?.createStandby() : undefined;
  if (kind === "pgpool-balanced" && standby === undefined) throw new Error(`${kind} needs a server of the tests' own`);
  const pooler = await (kind === "pgpool" || kind === "pgpool-balanced"
    ? startPgpool(
        { primary: server.url, ...(standby === undefined ? {} : { standby: standby.url }) },
        { loadBalance: standby === undefined ? "off" : "statement" },
      )
    : startPgBouncer(server.url, {
        poolMode: kind === "pgbouncer-session" ? "session" : "transaction",
        poolSize: kind === "pgbouncer-session" ? 100 : 5,
        isForAnyRole: true,
        settings: { max_client_conn: 1_000 },
      }));
  if (pooler === undefined) {
    await standby?.destroy();
    throw new Error(`the tests are to go through ${kind}, which is not installed`);
  }
  process.env[portsVariable] = `${pooler.port}:${new URL(server.url).port || 5432}`;
  return {
    what: `${pooler.name} ${pooler.version} (${kind})`,
    stop: async () => {
      delete process.env[portsVariable];
      await pooler.dispose();
      await standby?.destroy();
    },
  };
}

/** The same database by way of this run's pooler, or as it is where there is none. */
export function throughPooler(url: string): string {
  const [pooler] = ports();
  return pooler === undefined ? url : changeUrl(url, { port: pooler });
}

/** What a locker is given beside an address that leads through a pooler which changes its server connections. */
export function aroundPooler(url: string): { readonly directUrl?: string } {
  const kind = poolerKind();
  if (kind !== "pgbouncer-transaction" && kind !== "pgpool-balanced") return {};
  const [pooler, server] = ports();
  return new URL(url).port === String(pooler) && server !== undefined
    ? { directUrl: changeUrl(url, { port: server }) }
    : {};
}

function ports(): number[] {
  return (process.env[portsVariable] ?? "").split(":").filter(Boolean).map(Number);
}
