import type { GuardOptions } from "../guard/transaction.js";
import type {
  GuardedDatabase,
  GuardedTransaction,
  Settled,
  TransactionOf,
  TransactionOptionsOf,
} from "../guard/transaction-of.js";

/** What one lock and a set of locks have in common: take this where either will do. */
export interface Hold extends AsyncDisposable {
  /** Whether nobody else can have it now (but who shares the key with it); of a set, whether that is so of each. Computed from the clocks, so it is right even when no timer could run. */
  readonly held: boolean;
  /** Milliseconds for which it is sure to be held without another renewal; 0 when it is not held. Of a set, the least of all. */
  readonly remainingMs: number;
  /** Milliseconds since the grant; of a set, since the last one. */
  readonly heldMs: number;
  /** Fires when it is lost, with the LeaseLostError (and its `key`) as its reason; never on an ordinary release. Of a set, with the first loss. */
  readonly signal: AbortSignal;
  /**
   * Throws unless it is held. Call it before what must not happen without the lock.
   * @throws {LeaseLostError} when it was lost; of a set, when one was
   * @throws {NotHeldError} when it was released, or while it cannot be known whether it is still held
   */
  assertHeld(): void;
  /**
   * Renews now. Never shortens: the later of the two expiries counts. An integer of 100 ms and up, which is also
   * asked for by the renewals in the background from then on; default: `ttlMs`.
   * @throws {LeaseLostError} when it was lost @throws {NotHeldError} when it was released
   * @throws {UnavailableError} when there was no answer; it may still be held
   */
  renew(ttlMs?: number): Promise<void>;
  /**
   * Releases it; of a set, all that are left. It is not held from this call on, whatever the answer is.
   * @throws {LeaseLostError} when it had been lost; of a set, when one had been: the others are released
   * @throws {NotHeldError} when it was released already
   * @throws {UnavailableError} when there was no answer; it is retried in the background, and ends at its TTL at the latest
   */
  release(): Promise<void>;
  /**
   * Opens a transaction by your library's own means, guards it, and runs `body` with the library's own `tx`. What it writes
   * is committed only if this grant is the current one when the guard runs (of a set, all of them); from then until the transaction ends nobody
   * else is granted the key (under a share, nobody who does not share it), whatever happens to this process. `guardTimeoutMs` bounds it. `options` are the library's own: an isolation level, say.
   *
   * ```ts
   * await lock.transaction(db, async (tx) => {
   *   await tx.insert(accounts).values({ id: 7, balance: 0n });
   * });
   * ```
   * @throws the body's own error, after the rollback
   * @throws what the library throws
   * @throws {StaleFenceError} when the lock was taken over, was released or has expired: nothing was written
   * @throws {LeaseLostError} @throws {NotHeldError} when that is known already: nothing was sent
   * @throws {InvalidOptionError} for a database of an unknown library, or another one than the lock is in
   * @throws {UnsupportedError} for a set whose keys are on several instances
   */
  transaction<Database extends GuardedDatabase, Value>(
    database: Database,
    body: (tx: TransactionOf<Database>) => Value | PromiseLike<Value>,
    options?: TransactionOptionsOf<Database>,
  ): Promise<Settled<Value>>;
  /**
   * Guards an open transaction, as `transaction` does, including what was written in it before. Once Postgres
   * has refused, the whole transaction fails, even if the error is swallowed.
   *
   * ```ts
   * await db.transaction(async (tx) => {
   *   await lock.guard(tx);
   *   await tx.update(accounts).set({ balance: 0n });
   * });
   * ```
   * @throws {InvalidOptionError} when no transaction is open there
   * @throws {UnsupportedError} for a transaction of postgres.js that `transaction` has not opened, also under Drizzle
   * and Kysely, unless `acceptReconnect`
   * @throws what `transaction` throws
   */
  guard(tx: GuardedTransaction, options?: GuardOptions): Promise<void>;
  /** Releases, and never throws: an error of the block must not be masked. End the block with `assertHeld()`. */
  [Symbol.asyncDispose](): Promise<void>;
}
