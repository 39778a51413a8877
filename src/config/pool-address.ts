import type { NodePostgresPool } from "../guard/node-postgres.js";
import type { Ssl } from "./connection-url.js";

/** Where a Pool of node-postgres connects to. */
export interface PoolAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: string | (() => string | Promise<string>) | null;
  readonly ssl?: Ssl | null;
  readonly sslNegotiation?: string;
}

/** node-postgres reads its options and the environment when it makes a client, which does not connect by itself. */
export function addressOf(pool: NodePostgresPool): PoolAddress {
  const { Client, options } = pool as unknown as { Client: new (options: object) => PoolAddress; options: object };
  return new Client(options);
}
