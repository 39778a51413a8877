import { setMaxListeners } from "node:events";
import { abortReason, onAbort } from "./abort-listeners.js";
import { Acquisition, type NotGranted } from "./acquisition.js";
import { type Activity, startIdleWatch } from "./activity.js";
import { Background } from "./background.js";
import { Callbacks } from "./callbacks.js";
import { elapsedMs, sleep } from "./clock.js";
import { Counters, type LockerStats } from "./counters/counters.js";
import { Flushing } from "./counters/flushing.js";
import { prefixBy } from "./counters/prefixes.js";
import { quote } from "./describe.js";
import {
  ClosedError,
  type HolderInfo,
  NotAcquiredError,
  StaleFenceError,
  UnavailableError,
  WaitTimeoutError,
} from "./errors.js";
import { Holdings } from "./holdings.js";
import { Publisher } from "./hooks/publisher.js";
import { type Capabilities, toCapabilities } from "./inspect/capabilities.js";
import { type DebugInfo, describeLocker } from "./inspect/debug.js";
import { Recent } from "./inspect/recent.js";
import { checkKey } from "./key.js";
import { isKept, type LeaseInfo, toLeaseInfo } from "./lease-info.js";
import { Lock } from "./lock.js";
import { type AcquireOutcome, Observers } from "./observer.js";
import { checkBoolean, checkFence, checkFunction, checkMs, checkNames, checkText } from "./option-checks.js";
import type { AcquireOptions, CloseOptions, ForceReleaseOptions, TryOptions } from "./options.js";
import { type ResolvedAcquireOptions, type ResolvedLockerOptions, resolveAcquireOptions } from "./resolve-options.js";
import { runUnder } from "./run.js";
import type { MigrateOptions, Store, StoreEvents, SweepResult } from "./store.js";
import { Sweeping } from "./sweeping.js";
import { RequestTimeout, withTimeout } from "./timeout.js";
import { Waiting } from "./waiting.js";

/** What `tryWithLock` resolves to. */
export type TryResult<Value> =
  | { readonly acquired: true; readonly value: Value; readonly heldMs: number }
  | { readonly acquired: false; readonly holder: HolderInfo | null };

/** What a last word needs when it is due: a connection, and one round trip. */
const LAST_WORD_MS = 250;

/** Takes locks. One per process is enough: it holds any number of them over three connections. */
export class Locker {
  readonly #options: ResolvedLockerOptions;
  readonly #store: Store;
  readonly #observers = new Observers();
  readonly #recent: Recent;
  readonly #publisher = new Publisher();
  readonly #waiting = new Waiting();
  readonly #callbacks: Callbacks;
  readonly #activity: Activity;
  readonly #background: Background;
  readonly #holdings: Holdings;
  readonly #sweeping: Sweeping;
  readonly #counters: Counters;
  readonly #flushing: Flushing;
  readonly #acquisitions = new Set<Acquisition>();
  readonly #onClosed = new AbortController();
  #closing: Promise<void> | null = null;

  /** @internal Use `createLocker`. */
  constructor(options: ResolvedLockerOptions, makeStore: (events: StoreEvents) => Store) {
    this.#options = options;
    this.#recent = new Recent(options);
    this.#observers.add(this.#recent);
    this.#observers.add(this.#publisher);
    // Each acquire that waits to say its last word listens there.
    setMaxListeners(0, this.#onClosed.signal);
    const callbacks = new Callbacks(options.onError, this.#observers);
    const store = makeStore({
      onWake: () => this.#waiting.wakeAll(),
      onReconnected: () => this.#holdings.proveAll(),
      onError: (error) => callbacks.report(error),
      onFailure: (error) => this.#recent.failed(error),
    });
    const sweeping = new Sweeping({
      store,
      observer: this.#observers,
      everyMs: options.sweepEveryMs,
      onError: (error) => callbacks.report(error),
    });
    const activity = startIdleWatch(options.idleTimeoutMs, () => this.#rest());
    const background = new Background(activity);
    const waiting = this.#waiting;
    this.#callbacks = callbacks;
    this.#store = store;
    this.#activity = activity;
    this.#background = background;
    this.#sweeping = sweeping;
    const report = (error: unknown): void => callbacks.report(error);
    this.#counters = new Counters({
      prefixOf: prefixBy(options, report),
      onCount: options.statsFlushMs === Number.POSITIVE_INFINITY ? null : () => this.#flushing.schedule(),
    });
    this.#flushing = new Flushing({ counters: this.#counters, store, everyMs: options.statsFlushMs, onError: report });
    this.#observers.add(this.#counters);
    this.#holdings = new Holdings({
      options,
      store,
      waiting,
      activity,
      background,
      callbacks,
      observer: this.#observers,
    });
  }

  /**
   * Connects, and refuses what would not be safe: a pooler, a standby, a missing schema, missing rights. Not needed before
   * other calls, which do the same; call it when the application starts, to hear of trouble then.
   * @throws {UnsafeBackendError} @throws {NotMigratedError} @throws {NotPermittedError} @throws {UnavailableError}
   */
  ready(): Promise<void> {
    return this.#active(() => this.#store.open(this.#options.requestTimeoutMs));
  }

  /**
   * Creates or updates the schema `leasehold`. Safe when many processes call it at once, and when one of them dies meanwhile.
   *
   * ```ts
   * await locker.migrate({ grantTo: "app" });
   * ```
   * @throws {NotPermittedError} with the line that grants what is missing
   */
  migrate(options: MigrateOptions = {}): Promise<void> {
    return this.#active(() => this.#store.migrate(options));
  }

  /**
   * Waits in line until the key is granted, in the order of those who wait, over all processes.
   * @throws {WaitTimeoutError} after `waitMs` @throws the signal's reason @throws {UnavailableError} when Postgres is silent for `requestTimeoutMs`
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<Lock> {
    const fullKey = this.fullKey(key);
    const resolved = resolveAcquireOptions(this.#options, options, { waits: true });
    const acquiring = async (): Promise<Lock> => {
      const result = await this.#acquire(fullKey, resolved);
      if (result instanceof Lock) {
        return result;
      }
      throw new WaitTimeoutError({
        key: fullKey,
        waitMs: resolved.waitMs,
        holder: this.#holdings.holderInfo(fullKey, result.holder),
        blockingPid: result.blockingPid,
        isHeldHere: this.#holdings.get(fullKey) !== undefined,
      });
    };
    return await this.#publisher.traceAcquire(fullKey, resolved, acquiring, (lock) => lock);
  }

  /** The lock if the key is free now and nobody waits for it, else null. */
  async tryAcquire(key: string, options: TryOptions = {}): Promise<Lock | null> {
    const result = await this.#try(this.fullKey(key), options);
    return result instanceof Lock ? result : null;
  }

  /**
   * Runs the body under the lock and resolves to what it returned. It always waits for the body, and then releases.
   * @throws the body's own error; {LeaseLostError} when the body returned but the lock was lost meanwhile; what `acquire` throws
   */
  async withLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options: AcquireOptions = {},
  ): Promise<Value> {
    checkFunction("body", body);
    return await this.#publisher.traceWithLock(
      this.fullKey(key),
      async () => await this.#run(await this.acquire(key, options), body),
      () => true,
    );
  }

  /** Like `withLock`, but does not wait for the lock: it says who has it. */
  async tryWithLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options: TryOptions = {},
  ): Promise<TryResult<Value>> {
    checkFunction("body", body);
    const fullKey = this.fullKey(key);
    const trying = async (): Promise<TryResult<Value>> => {
      const result = await this.#try(fullKey, options);
      if (!(result instanceof Lock)) {
        return { acquired: false, holder: this.#holdings.holderInfo(fullKey, result.holder) };
      }
      const value = await this.#run(result, body);
      return { acquired: true, value, heldMs: result.heldMs };
    };
    return await this.#publisher.traceWithLock(fullKey, trying, ({ acquired }) => acquired);
  }

  /** Who has the key, or null when it is free. Changes nothing. @throws {UnavailableError} when it cannot know */
  check(key: string): Promise<LeaseInfo | null> {
    const fullKey = this.fullKey(key);
    return this.#active(async () => {
      const state = await this.#ask(() => this.#store.check(fullKey));
      this.#observers.checked(fullKey);
      return toLeaseInfo(fullKey, state, this.#holdings.isOurs(fullKey, state.fence, state.sessionId));
    });
  }

  /** Whether an acquire would have to wait. @throws {UnavailableError} when it cannot know */
  async isLocked(key: string): Promise<boolean> {
    const info = await this.check(key);
    return info !== null && isKept(info);
  }

  /** The lock on this key that this process holds. */
  get(key: string): Lock | undefined {
    return this.#holdings.get(this.fullKey(key));
  }

  /** All locks that this process holds. */
  locks(): readonly Lock[] {
    return this.#holdings.all();
  }

  /** The key with the locker's prefix, as it stands in the table. @throws {InvalidKeyError} */
  fullKey(key: string): string {
    return checkKey(key, this.#options.prefix);
  }

  /**
   * Takes a lock from its holder, whoever that is. Resolves to whether there was one to take.
   * @throws {NotPermittedError} for a role that is not the schema's owner nor was allowed to
   */
  forceRelease(key: string, options: ForceReleaseOptions = {}): Promise<boolean> {
    const fullKey = this.fullKey(key);
    const given = checkNames("forceRelease's options", options, ["fence", "immediate"]);
    const fence = given.fence === undefined ? null : checkFence("fence", given.fence);
    const isImmediate = given.immediate === undefined ? false : checkBoolean("immediate", given.immediate);
    return this.#active(async () => {
      const answer = await this.#ask(() => this.#store.forceRelease({ key: fullKey, fence, isImmediate }));
      if (answer.outcome === "busy") {
        throw new NotAcquiredError({
          key: fullKey,
          blockingPid: answer.blockingPid,
          message: `The lease of ${JSON.stringify(fullKey)} cannot be released by force now: its row is locked by backend ${answer.blockingPid ?? "(unknown)"}. End that transaction, then try again.`,
        });
      }
      if (answer.outcome === "released") {
        this.#waiting.wakeKey(fullKey);
      }
      return answer.outcome !== "gone";
    });
  }

  /**
   * Raises the mark of a resource to this fence, for a writer that shares no transaction with Postgres: a service behind HTTP, say,
   * which calls this before each write with the fence that came along. A fence as large as the mark passes, a smaller one never
   * does again. The resource is any text of 1 to 512 bytes; the locker's prefix is not put in front of it.
   *
   * ```ts
   * await locker.checkFence("bucket/report.pdf", BigInt(request.headers["x-fence"]));
   * ```
   * @throws {StaleFenceError} when the resource has seen a larger fence @throws {UnavailableError}
   */
  checkFence(resource: string, fence: bigint): Promise<void> {
    const checkedResource = checkText("resource", resource, 1, 512);
    const checkedFence = checkFence("fence", fence);
    return this.#active(async () => {
      if ((await this.#ask(() => this.#store.checkFence(checkedResource, checkedFence))) === "stale") {
        const message = `${quote(checkedResource)} has seen a larger fence than ${checkedFence}: do not write.`;
        throw new StaleFenceError({ key: checkedResource, fence: checkedFence, message });
      }
    });
  }

  /**
   * Deletes what nobody needs any more, now: keys that are free and leases that are expired for more than 10 minutes, waiters
   * that stopped looking, dead sessions that no lease names, old counters. Never a live lease. And it wakes whoever is next in a line
   * that moves. Every locker does it in the background, see `sweepEveryMs`.
   *
   * ```ts
   * const { leasesPurged, isBusy } = await locker.sweep();
   * ```
   * @throws {UnavailableError}
   */
  sweep(): Promise<SweepResult> {
    return this.#active(async () => {
      await this.#store.open(this.#options.requestTimeoutMs);
      return await this.#sweeping.sweep();
    });
  }

  /**
   * What this locker has done since it was made, or since `resetStats()`: acquires by their outcome, how long they waited and how
   * long locks were held, which keys and prefixes were contended. Sends nothing. The database has the sums of all lockers, in
   * `leasehold.stats`, `leasehold.stats_by_prefix` and `leasehold.hot_keys`, some `statsFlushMs` later.
   *
   * ```ts
   * const { acquired, contended, waits, hotKeys } = locker.stats();
   * console.log(`${contended} of ${acquired} waited, 95 % no longer than ${waits.p95Ms} ms; hottest: ${hotKeys[0]?.key}`);
   * ```
   */
  stats(): LockerStats {
    return this.#counters.snapshot({ activeLeases: this.#holdings.size, waiters: this.#waiting.size });
  }

  /** `stats()` begins anew. What the database has stays. */
  resetStats(): void {
    this.#counters.reset();
  }

  /** One round trip on the connection for commands. */
  ping(): Promise<{ readonly ms: number; readonly serverVersion: string }> {
    return this.#active(() => this.#ask(() => this.#store.ping()));
  }

  /**
   * What this locker over this server offers, and why or why not. Connects, as `ready` does, and throws the same.
   *
   * ```ts
   * const { features } = await locker.capabilities();
   * if (!features["failover-fences"].isOn) console.warn(features["failover-fences"].why);
   * ```
   */
  capabilities(): Promise<Capabilities> {
    return this.#active(async () => {
      const server = await this.#ask(() => this.#store.describeServer());
      if (server.schema instanceof Error) {
        throw server.schema;
      }
      return toCapabilities(this.#options, this.#store.connections, server, server.schema);
    });
  }

  /**
   * Everything that helps to find out what is wrong, as plain JSON without a secret: options, connections, locks held and lost
   * lately, waits, the last errors, and what the server says of itself. Never rejects: without an answer within
   * `requestTimeoutMs`, or after `close`, the part `server` says why.
   *
   * ```ts
   * process.on("SIGUSR2", async () => console.error(JSON.stringify(await locker.debug(), null, 2)));
   * ```
   */
  async debug(): Promise<DebugInfo> {
    const leave = this.#activity.enter();
    try {
      return await describeLocker({
        lockerId: this.#publisher.lockerId,
        options: this.#options,
        state: this.#closing === null ? "open" : this.#onClosed.signal.aborted ? "closed" : "closing",
        store: this.#store,
        holdings: this.#holdings,
        acquisitions: this.#acquisitions,
        recent: this.#recent,
      });
    } finally {
      leave();
    }
  }

  /**
   * Refuses new calls, rejects waits with ClosedError, fires the locks' signals, waits up to `drainMs` for them to be
   * released, releases what is left, and gives every connection back. Calling it again waits for the same end.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const given = checkNames("close's options", options, ["drainMs"]);
    const drainMs = given.drainMs === undefined ? 0 : checkMs("drainMs", given.drainMs, 0);
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #try(key: string, options: TryOptions): Promise<Lock | NotGranted> {
    const resolved = resolveAcquireOptions(this.#options, options, { waits: false });
    const lockOf = (result: Lock | NotGranted): Lock | null => (result instanceof Lock ? result : null);
    return this.#publisher.traceAcquire(key, resolved, () => this.#acquire(key, resolved), lockOf);
  }

  async #acquire(key: string, options: ResolvedAcquireOptions): Promise<Lock | NotGranted> {
    this.#refuseIfClosed();
    const { signal } = options;
    if (signal?.aborted) {
      throw abortReason(signal);
    }
    const acquisition = new Acquisition({
      store: this.#store,
      waiting: this.#waiting,
      key,
      terms: options,
      requestTimeoutMs: this.#options.requestTimeoutMs,
      closed: this.#onClosed.signal,
    });
    const stopListening = signal === null ? null : onAbort(signal, () => acquisition.end(abortReason(signal)));
    this.#acquisitions.add(acquisition);
    this.#sweeping.start();
    const leave = this.#activity.enter();
    this.#observers.acquireStarted(acquisition);
    try {
      const result = await acquisition.run();
      if (result.outcome === "granted") {
        const lock = this.#holdings.hold(acquisition, result, options);
        this.#ended(acquisition, "granted", lock);
        this.#callbacks.call(() => this.#options.onAcquired?.(lock));
        return lock;
      }
      if (acquisition.isUnfinished) {
        this.#background.add(acquisition.lastWord());
      }
      this.#ended(acquisition, result.outcome === "timeout" ? "timed-out" : "held");
      return result;
    } catch (error) {
      this.#ended(acquisition, acquisition.wasEndedWith(error) ? "cancelled" : "failed", null, error);
      this.#background.add(acquisition.lastWord());
      throw error;
    } finally {
      leave();
      this.#acquisitions.delete(acquisition);
      stopListening?.();
    }
  }

  #ended(acquisition: Acquisition, outcome: AcquireOutcome, lock: Lock | null = null, error: unknown = null): void {
    this.#observers.acquireEnded(acquisition, outcome, elapsedMs(acquisition.startedAt), lock, error);
  }

  #run<Value>(lock: Lock, body: (lock: Lock) => Value | PromiseLike<Value>): Promise<Value> {
    return runUnder(lock, body, (error) => this.#callbacks.report(error));
  }

  async #close(drainMs: number): Promise<void> {
    for (const acquisition of this.#acquisitions) {
      acquisition.end(new ClosedError({ message: "The locker was closed while this call waited." }));
    }
    this.#holdings.announceClosing();
    // Within this turn of the event loop each of them hands over its last word, or a grant that came just before.
    await sleep(0, { keepsAlive: true });
    await this.#holdings.drain(drainMs);
    await this.#holdings.releaseAll();
    // Last words wait for attempts without an answer, which the server refuses after requestTimeoutMs.
    const lastWordsMs = this.#options.requestTimeoutMs * 1.1 + LAST_WORD_MS;
    await Promise.all([this.#background.settle(lastWordsMs), this.#flushing.end()]);
    this.#activity.stop();
    this.#sweeping.stop();
    this.#onClosed.abort();
    await this.#store.close();
  }

  /** Nothing has been going on: the connections are given back. What was counted comes first, and counts as use. */
  #rest(): void {
    // First, for what a sweep finds is counted, and would be flushed.
    this.#sweeping.stop();
    if (this.#flushing.isWanted) {
      this.#background.add(this.#flushing.flush());
      return;
    }
    this.#flushing.pause();
    void this.#store.rest();
  }

  /** Counts as use, so that the connections are kept meanwhile. */
  async #active<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#refuseIfClosed();
    this.#sweeping.start();
    const leave = this.#activity.enter();
    try {
      return await work();
    } catch (error) {
      const isCutOff =
        this.#onClosed.signal.aborted && error instanceof UnavailableError && error.outcome === "not-sent";
      throw isCutOff
        ? new ClosedError({ message: "The locker was closed before this call was sent.", cause: error })
        : error;
    } finally {
      leave();
    }
  }

  /** Connected first, so that an answer that does not come is one to what was sent. */
  async #ask<Value>(request: () => Promise<Value>): Promise<Value> {
    const { requestTimeoutMs } = this.#options;
    await this.#store.open(requestTimeoutMs);
    try {
      return await withTimeout(request(), requestTimeoutMs);
    } catch (error) {
      throw error instanceof RequestTimeout ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
    }
  }

  #refuseIfClosed(): void {
    if (this.#closing !== null) {
      throw new ClosedError();
    }
  }
}
