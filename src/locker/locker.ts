import type { Capabilities } from "../api/capabilities.js";
import type { DetachedLock } from "../api/detached-lock.js";
import type { ForceReleaseResult } from "../api/force-release.js";
import type { LeadOptions } from "../api/lead-options.js";
import type { LeaseInfo } from "../api/lease-info.js";
import type { Lock } from "../api/lock.js";
import type { LockSet } from "../api/lock-set.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { AcquireOptions, AdoptOptions, CloseOptions, ForceReleaseOptions, TryOptions } from "../api/options.js";
import type { PingResult, SweepResult } from "../api/results.js";
import type { HolderInfo } from "../errors/errors.js";
import type { LockerStats } from "../observe/counters/counters.js";
import type { DebugInfo } from "./debug.js";

/** What `tryWithLock` resolves to. */
export type TryResult<Value> =
  | { readonly acquired: true; readonly value: Value; readonly heldMs: number }
  | { readonly acquired: false; readonly holder: HolderInfo | null };

/** What `tryWithLocks` resolves to. `key` is the full key of the first that could not be granted. */
export type TryAllResult<Value> =
  | { readonly acquired: true; readonly value: Value; readonly heldMs: number }
  | { readonly acquired: false; readonly key: string; readonly holder: HolderInfo | null };

/**
 * Takes locks. One locker per process is enough: it holds any number of locks over three connections. An interface, so that a test can
 * fake it; code that only calls `withLock` can take a `Pick<Locker, "withLock">`.
 */
export interface Locker extends AsyncDisposable {
  /**
   * Connects, and refuses what would not be safe: a pooler, a standby, a missing schema, missing rights. All other calls do the same, so
   * it is not required. Call it when the application starts to get errors early. With `instances` it tries all of them, and the error names those that failed.
   * @throws {UnsafeBackendError} @throws {NotMigratedError} @throws {NotPermittedError}
   * @throws {UnavailableError} when Postgres cannot be reached
   */
  ready(): Promise<void>;

  /**
   * Creates or updates the schema `leasehold`. Safe when many processes call it at once, and when one of them dies meanwhile.
   *
   * ```ts
   * await locker.migrate({ grantTo: "app" });
   * ```
   * @throws {NotPermittedError} with the line that grants what is missing
   */
  migrate(options?: MigrateOptions): Promise<void>;

  /**
   * Waits until the key is granted, for `waitMs` (10 s) at most. Waiters of all processes are served in the order in which they queued. A
   * wait outlasts an outage of Postgres: `onError` is told once, and the call goes on until `waitMs` is over.
   *
   * ```ts
   * const lock = await locker.acquire("order:42", { waitMs: 60_000 });
   * ```
   * @throws {WaitTimeoutError} after `waitMs`
   * @throws {RetriesExhaustedError} with `retry`, when the strategy gives up
   * @throws {ReentryError} with `reentry: "throw"`, when the code that calls holds the key
   * @throws {UnavailableError} when Postgres cannot be reached and nothing is left of `waitMs`, or when that is certain to stay so
   * @throws the signal's reason
   * @throws what `ready` throws
   */
  acquire(key: string, options?: AcquireOptions): Promise<Lock>;

  /**
   * Resolves to the lock if the key is free now and nobody waits for it, else to null.
   * @throws {UnavailableError} when Postgres does not answer within `requestTimeoutMs`
   * @throws the signal's reason
   * @throws what `ready` throws
   */
  tryAcquire(key: string, options?: TryOptions): Promise<Lock | null>;

  /**
   * Runs the body under the lock and resolves to what it returned. It always waits for the body, and then releases.
   *
   * ```ts
   * const total = await locker.withLock("order:42", async (lock) => {
   *   await charge(42, { signal: lock.signal });
   *   return 42;
   * });
   * ```
   * @throws the body's own error
   * @throws {LeaseLostError} when the body returned but the lock was lost meanwhile
   * @throws what `acquire` throws
   */
  withLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value>;

  /**
   * Like `withLock`, but does not wait for the lock: if it is taken, the result says who holds it.
   * @throws what `withLock` and `tryAcquire` throw
   */
  tryWithLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryResult<Value>>;

  /**
   * Acquires all of these keys or none. If all are free that takes one statement. Otherwise it waits in the order of the keys, not in that of the call, so that
   * sets and single acquires never wait for each other in a circle. `waitMs` bounds the whole call, `maxHoldMs` counts from the first key, and has to
   * be the larger one. What it holds while it waits is renewed, and is not in `locks()`. A key named twice counts once; 1,000 keys at most.
   *
   * ```ts
   * await using locks = await locker.acquireAll([key("account", 1), key("account", 2)]);
   * ```
   * @throws {WaitTimeoutError} after `waitMs`, with the key that was missing; nothing is held
   * @throws {InvalidOptionError} for no keys, and where `waitMs` is not less than `maxHoldMs`
   * @throws what `acquire` throws
   */
  acquireAll(keys: readonly string[], options?: AcquireOptions): Promise<LockSet>;

  /**
   * Resolves to all of the locks if the keys are free now and nobody waits for any of them, else to null, and nothing is held.
   * @throws what `tryAcquire` throws
   */
  tryAcquireAll(keys: readonly string[], options?: TryOptions): Promise<LockSet | null>;

  /**
   * `withLock` for several keys.
   *
   * ```ts
   * await locker.withLocks([key("account", 1), key("account", 2)], async (locks) => {
   *   await charge(42, { signal: locks.signal });
   * });
   * ```
   * @throws the body's own error
   * @throws {LeaseLostError} when the body returned but one of the locks was lost meanwhile
   * @throws what `acquireAll` throws
   */
  withLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value>;

  /**
   * `tryWithLock` for several keys: if one is taken, the result says which, and who holds it.
   * @throws what `withLocks` and `tryAcquireAll` throw
   */
  tryWithLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryAllResult<Value>>;

  /**
   * Campaigns for the key in the queue, for as long as that takes; runs the body while it leads; and campaigns again when the lock is lost,
   * whatever the body does about that, once the body has ended. An outage of Postgres, however long, does not end it.
   *
   * The body's `signal` fires when the lock is lost and when `options.signal` fires. While it leads, the body ends `lead` by returning (it resigns)
   * or by throwing: catch in it what may pass, such as a query that fails in an outage. After a loss both end the term alone; what it throws
   * then, and is neither the loss nor an abort, goes to `onError`, or else becomes a process warning. An error that says that this very lock is
   * not held counts as a loss. While the call lasts it keeps the process alive.
   *
   * ```ts
   * const stop = new AbortController();
   * process.once("SIGTERM", () => stop.abort());
   * await locker.lead("dispatcher", async (lock, signal) => {
   *   console.log(`leads, with fence ${lock.fence}`);
   *   while (!signal.aborted) await work(signal);
   * }, { signal: stop.signal });
   * ```
   * Resolves to what the body returned while it led; to undefined when `options.signal` has fired before that.
   * @throws what the body threw while it led
   * @throws {RetriesExhaustedError} when `retry` gives up; its `cause` is the loss or the outage
   * @throws {ClosedError} when the locker is closed, also during a term, once the body has ended
   * @throws {ReentryError} when the locker has `reentry: "throw"`, and the code that calls holds the key
   * @throws {UnavailableError} when what is wrong will not pass: a wrong password, where this locker has never been connected, or a `client` that
   * was ended. Any other outage is waited for.
   * @throws {UnsafeBackendError} @throws {NotMigratedError} @throws {NotPermittedError} as `ready` does
   */
  lead<Value>(
    key: string,
    body: (lock: Lock, signal: AbortSignal) => Value | PromiseLike<Value>,
    options?: LeadOptions,
  ): Promise<Value | undefined>;

  /**
   * Goes on with a lock that `lock.detach` gave away elsewhere, or that the SQL API granted. The fence stays; the token is replaced, so that a
   * lock is adopted once: whoever else tries is told that it was taken. From then on it is as one that was acquired here: renewed, lost when
   * this process dies, released by its handle. `ttlMs` counts from now; `maxHoldMs` counts from now, and never beyond the limit that the lock
   * has already. The key is the full one: the locker's prefix is not added.
   *
   * ```ts
   * import type { DetachedLock } from "leasehold";
   *
   * process.on("message", async (detached: DetachedLock) => {
   *   await using lock = await locker.adopt(detached);
   *   await charge(42, { signal: lock.signal });
   * });
   * ```
   * @throws {LeaseLostError} with its reason, when it has ended, or was adopted by somebody else (`taken`)
   * @throws {NotHeldError} when its holder has not let go of it: it is tied to a session that may be alive
   * @throws {InvalidOptionError} when that is no detached lock, and when it was not detached and this locker holds it
   * @throws {UnavailableError} when there is no answer within `requestTimeoutMs`, or an open transaction that guards the key keeps it. Should
   * it have been adopted all the same, it is released.
   * @throws {UnsupportedError} over a store whose locks cannot be handed over
   */
  adopt(detached: DetachedLock, options?: AdoptOptions): Promise<Lock>;

  /**
   * Who holds the key, or null when it is free. Changes nothing.
   * @throws {UnavailableError} when Postgres cannot be asked
   */
  check(key: string): Promise<LeaseInfo | null>;

  /**
   * Whether an acquire that wants the key alone would have to wait. Known for this moment alone: to act on it, use `tryAcquire`.
   * @throws {UnavailableError} when Postgres cannot be asked
   */
  isLocked(key: string): Promise<boolean>;

  /** The lock on this key (without the prefix) that this locker holds. Sends nothing. */
  get(key: string): Lock | undefined;

  /** The locks that this locker holds, of all keys or of one (without the prefix), the oldest first. Sends nothing. */
  locks(key?: string): readonly Lock[];

  /** The names of its instances, see the option `instances`; empty when it is over one database that has no name. */
  readonly instances: readonly string[];

  /**
   * The locker over one instance alone, whatever the routing says: a key has another lock on each. It shares what it holds with this one; closing
   * it closes that instance for both.
   *
   * ```ts
   * const { acquired } = locker.on("east").stats();
   * ```
   * @throws {InvalidOptionError} which lists the names
   */
  on(instance: string): Locker;

  /**
   * The key with the locker's prefix, as it is stored in the table.
   * @throws {InvalidKeyError}
   */
  fullKey(key: string): string;

  /**
   * Takes a lock away from its holder, whoever that is, and says when the key will be free; of a key that is shared, from all who share it. A
   * minimum hold is ended.
   * Resolves to null when nothing kept the key, or when nobody holds it with that `fence`.
   *
   * ```ts
   * const taken = await locker.forceRelease("order:42");
   * if (taken?.outcome === "revoked") console.log(`free at ${taken.freeAt?.toISOString()} at the latest`);
   * ```
   * @throws {NotPermittedError} for a role that neither owns the schema nor was granted the right (`leasehold.grant_admin`)
   * @throws {NotAcquiredError} while an open transaction has the row locked that says who holds the key
   */
  forceRelease(key: string, options?: ForceReleaseOptions): Promise<ForceReleaseResult | null>;

  /**
   * Raises the mark of a resource to this fence. It is for writes outside of Postgres: a service behind HTTP, for example, calls it before
   * each write with the fence that came with the request. A fence that equals the mark or is larger passes; from then on, smaller ones are
   * refused. The resource is any text of 1 to 512 bytes. The locker's prefix is not added to it.
   *
   * With `instances`, the mark is kept where a lock whose full key is the resource's text would be. Fences of two instances cannot be compared, so
   * where the text is another one, name the instance: `locker.on(lock.instance).checkFence(...)`.
   *
   * ```ts
   * await locker.checkFence("bucket/report.pdf", BigInt(request.headers.get("x-fence") ?? 0));
   * ```
   * @throws {StaleFenceError} when the resource has seen a larger fence
   * @throws {InvalidOptionError} when no lock of this database can have that fence yet: it would refuse all later ones
   * @throws {UnavailableError}
   */
  checkFence(resource: string, fence: bigint): Promise<void>;

  /**
   * Deletes now what nobody needs any more: keys that have been free and leases that have been expired for more than 10 minutes, waiters
   * that stopped looking, dead sessions that no lease names, old counters. It never deletes a live lease. It also wakes the next waiter of
   * each key that can be granted. Every locker does the same in the background, see `sweepEveryMs`.
   *
   * ```ts
   * const { leasesPurged, isBusy } = await locker.sweep();
   * ```
   * @throws {UnavailableError}
   */
  sweep(): Promise<SweepResult>;

  /**
   * What this locker has done since it was made, or since `resetStats()`: acquires by their outcome, how long they waited and how
   * long locks were held, which keys and prefixes were contended. Sends nothing to Postgres. `leasehold.stats`,
   * `leasehold.stats_by_prefix` and `leasehold.hot_keys` have the sums of all lockers, about `statsFlushMs` later.
   *
   * ```ts
   * const { acquired, contended, waits, hotKeys } = locker.stats();
   * console.log(`${contended} of ${acquired} waited, 95 % no longer than ${waits.p95Ms} ms; hottest: ${hotKeys[0]?.key}`);
   * ```
   */
  stats(): LockerStats;

  /** Resets `stats()`. The sums in the database are kept. */
  resetStats(): void;

  /**
   * One round trip on the connection for commands; with `instances` the slowest of all.
   * @throws {UnavailableError} when there is no answer within `requestTimeoutMs`
   */
  ping(): Promise<PingResult>;

  /**
   * What this locker offers with this server, and why or why not; with `instances`, what it offers on all of them. Connects, like `ready`, and
   * throws the same errors.
   *
   * ```ts
   * const { features } = await locker.capabilities();
   * if (!features["failover-fences"].isOn) console.warn(features["failover-fences"].why);
   * ```
   */
  capabilities(): Promise<Capabilities>;

  /**
   * Everything that helps to find out what is wrong, as plain JSON without secrets: options, connections, locks held and recently lost,
   * waits, the last errors, and what the server says about itself. Never rejects: when the server does not answer within
   * `requestTimeoutMs`, or after `close`, the part `server` says why.
   *
   * ```ts
   * process.on("SIGUSR2", async () => console.error(JSON.stringify(await locker.debug(), null, 2)));
   * ```
   */
  debug(): Promise<DebugInfo>;

  /**
   * Refuses new calls, rejects waits with ClosedError, fires the signals of the locks, waits up to `drainMs` for them to be released,
   * releases the others, and closes every connection. Calling it again waits for the first call.
   */
  close(options?: CloseOptions): Promise<void>;

  /** `close()` without options. */
  [Symbol.asyncDispose](): Promise<void>;
}
