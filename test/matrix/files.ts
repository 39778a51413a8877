// Which test files run in which kind of cell: what depends on the server, on Node, or on what stands between. The rest of the suite checks
// the library's own logic, which is the same everywhere.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../package/workplace.js";

/** A subject of the table, with its test files. */
export interface Subject {
  readonly name: string;
  readonly files: readonly string[];
}

function subject(name: string, folder: string, ...names: readonly string[]): Subject {
  const files = names.map((file) => `test/${folder}/${file}.test.ts`);
  const missing = files.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) throw new Error(`test/matrix/files.ts names files that are gone: ${missing.join(", ")}`);
  return { name, files };
}

const exclusion = subject("exclusion", "exclusion", "contention", "one-process", "processes", "strangers");
const waiting = subject("waiting", "waiting", "order", "tickets", "wake", "late", "cancel");
const shares = subject("shares", "shares", "together", "decided");
const sets = subject("sets", "sets", "lock-set", "waiting");
const fences = subject("fences", "fences", "drawn", "rising", "stale-token", "hidden");
const restores = subject("restores", "fences", "order", "restores");
const guards = subject("guards", "fencing", "check-fence", "exclusion", "guard", "isolation", "timeouts");
const loss = subject("loss", "loss", "expiry", "force-release", "max-hold");
const presence = subject("presence", "presence", "crash", "hands");
const returning = subject("reconnection", "presence", "reconnect", "postgres-crash");
const sweeper = subject("sweeper", "sweeper", "at-once", "race");
const sql = subject("SQL API", "sql-api", "acquire", "acquire-turns", "locks", "shares", "session");
const store = subject("store", "stores", "postgres");
const views = subject("views", "inspect", "capabilities", "views", "deadlocks");
const migrations = subject("migrations", "migrate", "schema", "rights", "processes", "without-data");
const older = subject("older servers", "connections", "old-server");
const faults = subject(
  "faults",
  "faults",
  ...["failover", "hostile-defaults", "hung", "lost-answers", "network", "refused", "restart", "synchronous"],
  ...["terminated", "uncommitted", "unreachable"],
);
const poolers = subject("poolers", "faults", "pgbouncer", "pgpool");

export const protocol: readonly Subject[] = [
  ...[
    exclusion,
    waiting,
    shares,
    sets,
    fences,
    restores,
    guards,
    loss,
    presence,
    returning,
    sweeper,
    sql,
    store,
    views,
  ],
  ...[migrations, older, faults, poolers],
];

/** What depends on Node: sockets, timers, the event loop and processes. */
export const client: readonly Subject[] = [
  ...[exclusion, waiting, loss, presence, returning, store, faults],
  subject("process", "api", "close", "fake-timers", "idle", "process-end"),
  subject("command line", "cli", "run", "doctor"),
];

/** Those of `vitest.config.ts` that run over TLS. */
export const overTls: readonly Subject[] = [
  subject("TLS", "tls", "handshake", "hosts", "sslmode", "client-certificate"),
  subject("faults", "faults", "hung", "lost-answers", "network", "restart", "terminated", "unreachable"),
  presence,
  returning,
  poolers,
];

/**
 * Through a pooler which keeps a session on its server connection: all that does not look at the connection itself. Left out are
 * restarts of servers of a test's own (the pooler is not in front of them), and what counts on the end of a connection on the server.
 */
export const pooled: readonly Subject[] = [
  ...[exclusion, waiting, shares, sets, fences, guards, loss, sweeper, store, views],
  subject("presence", "presence", "crash"),
  subject("SQL API", "sql-api", "acquire", "locks", "shares"),
];

/** Through one that does not, with a `directUrl` for the session: what opens its lockers by `openLocker` over the database's own address. */
export const pooledTransactions: readonly Subject[] = [
  subject("exclusion", "exclusion", "one-process"),
  subject("waiting", "waiting", "order", "tickets"),
  subject("shares", "shares", "together"),
  subject("sets", "sets", "lock-set"),
  subject("fences", "fences", "rising"),
  subject("loss", "loss", "force-release", "max-hold"),
  subject("presence", "presence", "crash"),
];

export const tooOld: readonly Subject[] = [older];
