/**
 * An existing client made with `postgres()`, recognised by its shape, so that it may come from another copy of postgres.js.
 */
export interface PostgresClient {
  (...args: never[]): unknown;
  readonly options: object;
  unsafe(...args: never[]): unknown;
  end(...args: never[]): unknown;
}
