import type { Hold } from "./hold.js";
import type { Lock, LockJson } from "./lock.js";

/**
 * Several locks that were granted together.
 *
 * ```ts
 * await using locks = await locker.acquireAll([key("account", 1), key("account", 2)]);
 * await locks.transaction(db, async (tx) => {
 *   await tx.update(accounts).set({ balance: 0n });
 * });
 * ```
 */
export interface LockSet extends Hold {
  /** One for each key, in the order in which they were asked for. */
  readonly locks: readonly Lock[];
  /** The lock of a key, named as in the call: without the prefix. */
  get(key: string): Lock | undefined;
  /** JSON-safe, and without the tokens. */
  toJSON(): readonly LockJson[];
}
