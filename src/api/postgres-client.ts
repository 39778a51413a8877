/**
 * An existing client made with `postgres()`, recognised by its shape, so that it may come from another copy of postgres.js.
 */
export interface PostgresClient {
  (...args: never[]): unknown;
  /** What it was made with. */
  readonly options: object;
  /** Sends text as a statement. */
  unsafe(...args: never[]): unknown;
  /** Never called. */
  end(...args: never[]): unknown;
}
