import type { PostgresClient } from "../../api/postgres-client.js";
import type { ConnectionTarget } from "../../config/connection-url.js";

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

/** Where a postgres.js client connects to, from its parsed options. */
export function targetOfClient(client: PostgresClient): ConnectionTarget {
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
    connectTimeoutMs: null,
    applicationName: null,
    targetSessionAttrs: "any",
    startup: {},
    isPooledHint: false,
  };
}
