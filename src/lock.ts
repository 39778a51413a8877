import { inspect } from "node:util";
import type { TransactionSql } from "postgres";
import { elapsedMs } from "./clock.js";
import { InvalidOptionError } from "./errors.js";
import type { Guard } from "./fencing/guard.js";
import type { PostgresJsTransaction } from "./fencing/postgres-js.js";
import { guardOpen, runGuarded } from "./fencing/transaction.js";
import type {
  GuardedDatabase,
  GuardedTransaction,
  Settled,
  TransactionOf,
  TransactionOptionsOf,
} from "./fencing/transaction-of.js";
import type { Lease } from "./lease.js";
import type { JsonValue } from "./metadata.js";
import { checkFunction } from "./option-checks.js";
import type { PostgresClient } from "./postgres-client.js";

/** What a lock can ask of its locker. */
export interface LockActions {
  renew(lease: Lease, ttlMs: number | undefined): Promise<void>;
  release(lease: Lease): Promise<void>;
  keepAlive(lease: Lease, options: KeepAliveOptions): void;
  stopKeepAlive(lease: Lease): void;
  reportError(error: unknown): void;
  /** @throws {LeaseLostError} @throws {NotHeldError} when it is known that the lease is over; what is not known is asked of Postgres */
  guard(lease: Lease): Guard;
  /** The client that the locker was given. */
  readonly sql: PostgresClient | null;
}

/** A lock as data: what `JSON.stringify(lock)` writes. The fence is a decimal number, moments are in ISO 8601; there is no token. */
export interface LockJson {
  readonly key: string;
  readonly fence: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly metadata: JsonValue;
  readonly acquiredAt: string;
  readonly expiresAt: string;
  readonly held: boolean;
  readonly remainingMs: number;
  readonly heldMs: number;
}

/** Options of `lock.keepAlive`. */
export interface KeepAliveOptions {
  /** How often to renew. An integer of 20 ms and up, below `ttlMs`; default: as the lock was acquired with. */
  readonly everyMs?: number | undefined;
  /** Is called when a renewal fails for a passing reason; it is tried again. Default: the locker's `onError`. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * A lock that was granted to this process. Decide with `held`, `assertHeld()` and `signal`; `acquiredAt` and `expiresAt` are
 * times of the server's clock, for display.
 *
 * ```ts
 * const lock = await locker.acquire("order:42");
 * try {
 *   lock.assertHeld();
 *   await db`update orders set state = 'paid', fence = ${lock.fence} where id = 42 and fence < ${lock.fence}`;
 * } finally {
 *   await lock.release();
 * }
 * ```
 */
export class Lock {
  static {
    // As data, so that a log shows no secret.
    const value = function (this: Lock): string {
      return `Lock ${inspect(this.toJSON(), { breakLength: Number.POSITIVE_INFINITY })}`;
    };
    Object.defineProperty(Lock.prototype, inspect.custom, { value });
  }

  readonly #lease: Lease;
  readonly #actions: LockActions;

  /** @internal Locks come from a locker. */
  constructor(lease: Lease, actions: LockActions) {
    this.#lease = lease;
    this.#actions = actions;
  }

  /** The full key, prefix included. */
  get key(): string {
    return this.#lease.key;
  }

  /** The fencing token: larger than that of every earlier grant of this key. Store it with what you write. */
  get fence(): bigint {
    return this.#lease.fence;
  }

  /** The secret of this grant. Whoever has it can renew and release the lock. */
  get token(): string {
    return this.#lease.token;
  }

  get owner(): string {
    return this.#lease.terms.owner;
  }

  /** As last granted or renewed, in milliseconds. */
  get ttlMs(): number {
    return this.#lease.ttlMs;
  }

  get metadata(): JsonValue {
    return this.#lease.terms.metadata.value;
  }

  get acquiredAt(): Date {
    return new Date(this.#lease.acquiredAtMs);
  }

  get expiresAt(): Date {
    return new Date(this.#lease.expiresAtMs);
  }

  /** Milliseconds that the lock is surely held without another renewal; 0 when it is not held. */
  get remainingMs(): number {
    return this.#lease.remainingMs;
  }

  /** Whether nobody else can have the lock now. Told from the clocks, so it is right even when no timer could run. */
  get held(): boolean {
    return this.#lease.isHeld;
  }

  /** Milliseconds since the grant. */
  get heldMs(): number {
    return elapsedMs(this.#lease.grantedAt);
  }

  /** Fires when the lock is lost, with the LeaseLostError as its reason; never on an ordinary release. */
  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  /**
   * @throws {LeaseLostError} when it was lost
   * @throws {NotHeldError} when it was released, or while it cannot be known whether it is still held
   */
  assertHeld(): void {
    this.#lease.assertHeld();
  }

  /**
   * Renews now. Never shortens: the later of the two expiries counts. An integer of 100 ms and up; default: `ttlMs`.
   * @throws {LeaseLostError} @throws {NotHeldError} @throws {UnavailableError} when there was no answer; the lock may still be held
   */
  async renew(ttlMs?: number): Promise<void> {
    await this.#actions.renew(this.#lease, ttlMs);
  }

  /**
   * Lets go. It is not held from this call on, whatever becomes of the answer.
   * @throws {LeaseLostError} when it had been lost @throws {NotHeldError} when it was released already
   * @throws {UnavailableError} when there was no answer; it is tried again in the background, and the TTL bounds it
   */
  async release(): Promise<void> {
    await this.#actions.release(this.#lease);
  }

  /** Renews in the background until release or loss. Returns what stops it. */
  keepAlive(options: KeepAliveOptions = {}): () => void {
    this.#actions.keepAlive(this.#lease, options);
    return () => this.#actions.stopKeepAlive(this.#lease);
  }

  /**
   * Opens a transaction by your library's own means, guards it, and runs `body` with the library's own `tx`. What it writes
   * is committed only if this grant is still the current one at the guard; from there to its end nobody else is granted the
   * key, whatever becomes of this process. `guardTimeoutMs` bounds it. `options` are the library's own: an isolation level, say.
   *
   * ```ts
   * await lock.transaction(db, async (tx) => {
   *   await tx.insert(payments).values({ order: 42 });
   * });
   * ```
   * @throws the body's own error, after the rollback; what the library throws
   * @throws {StaleFenceError} when the lock was taken over, was released or has expired: nothing was written
   * @throws {LeaseLostError} @throws {NotHeldError} when that is known already: nothing was sent
   * @throws {InvalidOptionError} for a database of an unknown library, or another one than the lock is in
   */
  transaction<Database extends GuardedDatabase, Value>(
    database: Database,
    body: (tx: TransactionOf<Database>) => Value | PromiseLike<Value>,
    options?: TransactionOptionsOf<Database>,
  ): Promise<Settled<Value>>;
  /** The same on the client that the locker was made with, `createLocker({ sql })`. */
  transaction<Value, Tx extends PostgresJsTransaction = TransactionSql>(
    body: (tx: Tx) => Value | PromiseLike<Value>,
  ): Promise<Settled<Value>>;
  async transaction(first: unknown, second?: unknown, options?: unknown): Promise<unknown> {
    const isBodyAlone = second === undefined && typeof first === "function" && !("unsafe" in first);
    const body = checkFunction<(tx: never) => unknown>("body", isBodyAlone ? first : second);
    const guard = this.#actions.guard(this.#lease);
    const database = isBodyAlone ? this.#actions.sql : first;
    if (isBodyAlone && database === null) {
      const expected = "a database before the body: this locker was not made with `sql`, so it has none of its own";
      throw new InvalidOptionError({ option: "db", expected, received: undefined });
    }
    return await runGuarded(guard, database, body, options);
  }

  /**
   * Guards a transaction that is open, as `lock.transaction` does; what was written in it before counts, too. Once Postgres
   * has refused, the whole transaction fails, even if the error is swallowed.
   *
   * ```ts
   * await db.transaction(async (tx) => {
   *   await lock.guard(tx);
   *   await tx.update(accounts).set({ balance: 0n });
   * });
   * ```
   * @throws {InvalidOptionError} when no transaction is open there, and as `lock.transaction`
   */
  async guard(tx: GuardedTransaction): Promise<void> {
    await guardOpen(this.#actions.guard(this.#lease), tx);
  }

  /** Releases, and never throws: an error of the block must not be masked. End the block with `assertHeld()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { phase } = this.#lease;
    if (phase === "held") {
      await this.release().catch((error: unknown) => this.#actions.reportError(error));
    }
  }

  /** JSON-safe, and without the token. */
  toJSON(): LockJson {
    const { key, fence, owner, ttlMs, metadata, held, remainingMs, heldMs } = this;
    return {
      key,
      fence: fence.toString(),
      owner,
      ttlMs,
      metadata,
      acquiredAt: this.acquiredAt.toISOString(),
      expiresAt: this.expiresAt.toISOString(),
      held,
      remainingMs,
      heldMs,
    };
  }
}
