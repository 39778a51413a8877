// What the tests of lock.transaction know of a library.
import type { Lock } from "../../src/index.js";

export type Row = Readonly<Record<string, unknown>>;

/** Runs SQL in a transaction, and resolves to its rows. */
export type Run = (text: string) => Promise<readonly Row[]>;

/** `tx` is the library's own; it fits the library that it came from. */
export type Body<Value> = (run: Run, tx: never) => Promise<Value>;

export interface Opened extends AsyncDisposable {
  /** What `lock.transaction` is given. */
  readonly db: unknown;
  /** `lock.transaction`, with `isolation` as this library calls it. */
  guarded<Value>(lock: Lock, body: Body<Value>, isolation?: "serializable"): Promise<Value>;
  /** The library's own way of opening a transaction. */
  plain<Value>(body: Body<Value>): Promise<Value>;
  /** Within a transaction, one that can be undone by itself. */
  nested(tx: never, body: (run: Run) => Promise<void>): Promise<void>;
}

export interface Library {
  readonly name: string;
  /** Over postgres.js, which goes on on a new connection when one dies: `lock.guard` has to be told that this is accepted. */
  readonly acceptReconnect?: true;
  open(url: string): Opened;
}

/** For the libraries that have no nested transactions. */
export async function bySavepoint(run: Run, body: (run: Run) => Promise<void>): Promise<void> {
  await run("savepoint nested");
  try {
    await body(run);
    await run("release nested");
  } catch (error) {
    await run("rollback to nested");
    throw error;
  }
}
