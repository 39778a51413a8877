import { isPool, type PostgresClient, type PostgresJsClient } from "../../api/postgres-client.js";
import type { ConnectionTarget } from "../../config/connection-url.js";
import { addressOf } from "../../config/pool-address.js";
import type { NodePostgresPool } from "../../guard/node-postgres.js";

interface ClientOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path: string | false | undefined;
  readonly database: string;
  readonly user: string;
  readonly pass: ConnectionTarget["password"] | null;
  readonly ssl: ConnectionTarget["ssl"];
  readonly sslnegotiation: "direct" | null;
  readonly connection: Readonly<Record<string, unknown>>;
}

/** What is the same for both: nothing beside the address is taken from a client. */
const plain = {
  connectTimeoutMs: null,
  applicationName: null,
  targetSessionAttrs: "any",
  startup: {},
} as const;

/** Where a given client connects to. */
export function targetOfClient(client: PostgresClient): ConnectionTarget {
  return isPool(client) ? targetOfPool(client) : targetOfPostgresJs(client);
}

/** From the parsed options. */
function targetOfPostgresJs(client: PostgresJsClient): ConnectionTarget {
  const options = client.options as ClientOptions;
  const path = options.path || null;
  return {
    hosts: path === null ? options.host.map((host, index) => ({ host, port: options.port[index] ?? 5432 })) : [],
    path,
    database: options.database,
    user: options.user,
    password: options.pass ?? "",
    ssl: options.ssl,
    sslnegotiation: options.sslnegotiation,
    ...plain,
    isPooledHint: false,
  };
}

function targetOfPool(pool: NodePostgresPool): ConnectionTarget {
  const { host, port, database, user, password, ssl, sslNegotiation } = addressOf(pool);
  const { connectionString } = (pool as unknown as { options: { readonly connectionString?: unknown } }).options;
  const path = host.startsWith("/") ? `${host}/.s.PGSQL.${port}` : null;
  return {
    hosts: path === null ? [{ host, port }] : [],
    path,
    database,
    user,
    password: password ?? "",
    ssl: path === null ? (ssl ?? false) : false,
    sslnegotiation: sslNegotiation === "direct" ? "direct" : null,
    ...plain,
    isPooledHint: /[?&]pgbouncer=true\b/.test(String(connectionString ?? "")),
  };
}
