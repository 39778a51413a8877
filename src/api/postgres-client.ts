import type { NodePostgresPool } from "../guard/node-postgres.js";

/**
 * A client of the application's own: of postgres.js, or a `Pool` of node-postgres. Both are recognised by their shape, so that
 * they may come from another copy of their library.
 */
export type PostgresClient = PostgresJsClient | NodePostgresPool;

/** What `postgres()` returns. */
export interface PostgresJsClient {
  (...args: never[]): unknown;
  readonly options: object;
  unsafe(...args: never[]): unknown;
  end(...args: never[]): unknown;
}

/** Whether a given client is a Pool. */
export function isPool(client: PostgresClient): client is NodePostgresPool {
  return typeof client !== "function";
}
