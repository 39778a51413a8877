import { Acquiring } from "./acquiring.js";
import type { NotGranted } from "./acquisition.js";
import { type Activity, startIdleWatch } from "./activity.js";
import { Background } from "./background.js";
import { Callbacks } from "./callbacks.js";
import { Calls } from "./calls.js";
import { after, msUntil, now, sleep } from "./clock.js";
import { Counters, type LockerStats } from "./counters/counters.js";
import { Flushing } from "./counters/flushing.js";
import { prefixBy } from "./counters/prefixes.js";
import { quote } from "./describe.js";
import {
  ClosedError,
  type HolderInfo,
  InvalidOptionError,
  NotAcquiredError,
  StaleFenceError,
  WaitTimeoutError,
} from "./errors.js";
import { Holdings } from "./holdings.js";
import { Publisher } from "./hooks/publisher.js";
import { type Capabilities, toCapabilities } from "./inspect/capabilities.js";
import { type DebugInfo, describeLocker } from "./inspect/debug.js";
import { Recent } from "./inspect/recent.js";
import { keepPlaces } from "./keep-places.js";
import { checkKey } from "./key.js";
import { isKept, type LeaseInfo, toLeaseInfo } from "./lease-info.js";
import { Lock } from "./lock.js";
import { Observers } from "./observer.js";
import { checkBoolean, checkFence, checkFunction, checkMs, checkNames, checkText } from "./option-checks.js";
import type { AcquireOptions, CloseOptions, ForceReleaseOptions, TryOptions } from "./options.js";
import { type ResolvedLockerOptions, resolveAcquireOptions } from "./resolve-options.js";
import { runUnder } from "./run.js";
import type { MigrateOptions, Store, StoreEvents, SweepResult } from "./store.js";
import { Sweeping } from "./sweeping.js";
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
  readonly #waiting: Waiting;
  readonly #callbacks: Callbacks;
  readonly #activity: Activity;
  readonly #background: Background;
  readonly #holdings: Holdings;
  readonly #sweeping: Sweeping;
  readonly #counters: Counters;
  readonly #flushing: Flushing;
  readonly #calls: Calls;
  readonly #acquiring: Acquiring;

  /** @internal Use `createLocker`. */
  constructor(options: ResolvedLockerOptions, makeStore: (events: StoreEvents) => Store) {
    const observer = this.#observers;
    const recent = new Recent(options);
    const callbacks = new Callbacks(options.onError, observer);
    const onError = (error: unknown): void => callbacks.report(error);
    const store = makeStore({
      onWake: () => waiting.wakeAll(),
      onReconnected: () => {
        holdings.proveAll();
        waiting.stayNow();
      },
      onError,
      onNotice: (notice) => callbacks.call(() => options.connection.onnotice?.(notice)),
      onFailure: (error) => recent.failed(error),
    });
    const { requestTimeoutMs } = options;
    const waiting = new Waiting((waits) => keepPlaces(store, waits, requestTimeoutMs), requestTimeoutMs);
    const counters = new Counters({
      prefixOf: prefixBy(options, onError),
      onCount: options.statsFlushMs === Number.POSITIVE_INFINITY ? null : () => flushing.schedule(),
    });
    const activity = startIdleWatch(options.idleTimeoutMs, () => this.#rest());
    const flushing = new Flushing({ counters, store, activity, everyMs: options.statsFlushMs, onError });
    const sweeping = new Sweeping({ store, observer, everyMs: options.sweepEveryMs, onError });
    const background = new Background(activity);
    const calls = new Calls({ store, activity, requestTimeoutMs, onUse: () => sweeping.start() });
    const holdings = new Holdings({ options, store, waiting, activity, background, callbacks, observer });
    for (const watcher of [recent, this.#publisher, counters]) {
      observer.add(watcher);
    }
    this.#options = options;
    this.#store = store;
    this.#waiting = waiting;
    this.#recent = recent;
    this.#callbacks = callbacks;
    this.#activity = activity;
    this.#background = background;
    this.#counters = counters;
    this.#flushing = flushing;
    this.#sweeping = sweeping;
    this.#calls = calls;
    this.#holdings = holdings;
    this.#acquiring = new Acquiring({ options, store, waiting, calls, background, callbacks, holdings, observer });
  }

  /**
   * Connects, and refuses what would not be safe: a pooler, a standby, a missing schema, missing rights. Not needed before
   * other calls, which do the same; call it when the application starts, to hear of trouble then.
   * @throws {UnsafeBackendError} @throws {NotMigratedError} @throws {NotPermittedError} @throws {UnavailableError}
   */
  ready(): Promise<void> {
    return this.#calls.run(() => this.#store.open(this.#options.requestTimeoutMs));
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
    return this.#calls.run(() => this.#store.migrate(options));
  }

  /**
   * Waits in line until the key is granted, in the order of those who wait, over all processes.
   * @throws {WaitTimeoutError} after `waitMs` @throws the signal's reason @throws {UnavailableError} when Postgres is silent for `requestTimeoutMs`
   */
  async acquire(key: string, options: AcquireOptions = {}): Promise<Lock> {
    const fullKey = this.fullKey(key);
    const resolved = resolveAcquireOptions(this.#options, options, { waits: true });
    const acquiring = async (): Promise<Lock> => {
      const result = await this.#acquiring.acquire(fullKey, resolved);
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
  async check(key: string): Promise<LeaseInfo | null> {
    const fullKey = this.fullKey(key);
    const state = await this.#calls.ask(() => this.#store.check(fullKey));
    this.#observers.checked(fullKey);
    return toLeaseInfo(fullKey, state, this.#holdings.isOurs(fullKey, state.fence, state.sessionId));
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
  async forceRelease(key: string, options: ForceReleaseOptions = {}): Promise<boolean> {
    const fullKey = this.fullKey(key);
    const given = checkNames("forceRelease's options", options, ["fence", "immediate"]);
    const fence = given.fence === undefined ? null : checkFence("fence", given.fence);
    const isImmediate = given.immediate === undefined ? false : checkBoolean("immediate", given.immediate);
    const answer = await this.#calls.ask(() => this.#store.forceRelease({ key: fullKey, fence, isImmediate }));
    if (answer.outcome === "busy") {
      throw new NotAcquiredError({
        key: fullKey,
        blockingPid: answer.blockingPid,
        message: `The lease of ${quote(fullKey)} cannot be released by force now: its row is locked by backend ${answer.blockingPid ?? "(unknown)"}. End that transaction, then try again.`,
      });
    }
    if (answer.outcome === "released") {
      this.#waiting.wakeKey(fullKey);
    }
    return answer.outcome !== "gone";
  }

  /**
   * Raises the mark of a resource to this fence, for a writer that shares no transaction with Postgres: a service behind HTTP, say,
   * which calls this before each write with the fence that came along. A fence as large as the mark passes, a smaller one never
   * does again. The resource is any text of 1 to 512 bytes; the locker's prefix is not put in front of it.
   *
   * ```ts
   * await locker.checkFence("bucket/report.pdf", BigInt(request.headers["x-fence"]));
   * ```
   * @throws {StaleFenceError} when the resource has seen a larger fence
   * @throws {InvalidOptionError} when no lock of this database can have that fence yet: it would refuse all who come after
   * @throws {UnavailableError}
   */
  async checkFence(resource: string, fence: bigint): Promise<void> {
    const checkedResource = checkText("resource", resource, 1, 512);
    const checkedFence = checkFence("fence", fence);
    const outcome = await this.#calls.ask(() => this.#store.checkFence(checkedResource, checkedFence));
    if (outcome === "unknown") {
      throw new InvalidOptionError({
        option: "fence",
        expected: "the fence of a lock in this database",
        received: checkedFence,
      });
    }
    if (outcome === "stale") {
      const message = `${quote(checkedResource)} has seen a larger fence than ${checkedFence}: do not write.`;
      throw new StaleFenceError({ key: checkedResource, fence: checkedFence, message });
    }
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
    return this.#calls.run(async () => {
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
    return this.#calls.ask(() => this.#store.ping());
  }

  /**
   * What this locker over this server offers, and why or why not. Connects, as `ready` does, and throws the same.
   *
   * ```ts
   * const { features } = await locker.capabilities();
   * if (!features["failover-fences"].isOn) console.warn(features["failover-fences"].why);
   * ```
   */
  async capabilities(): Promise<Capabilities> {
    const server = await this.#calls.ask(() => this.#store.describeServer());
    if (server.schema instanceof Error) {
      throw server.schema;
    }
    return toCapabilities(this.#options, this.#store.connections, server, server.schema);
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
        state: this.#calls.state,
        store: this.#store,
        holdings: this.#holdings,
        acquisitions: this.#acquiring.acquisitions,
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
    return this.#calls.close(() => this.#close(drainMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #try(key: string, options: TryOptions): Promise<Lock | NotGranted> {
    const resolved = resolveAcquireOptions(this.#options, options, { waits: false });
    const lockOf = (result: Lock | NotGranted): Lock | null => (result instanceof Lock ? result : null);
    return this.#publisher.traceAcquire(key, resolved, () => this.#acquiring.acquire(key, resolved), lockOf);
  }

  #run<Value>(lock: Lock, body: (lock: Lock) => Value | PromiseLike<Value>): Promise<Value> {
    return runUnder(lock, body, (error) => this.#callbacks.report(error));
  }

  async #close(drainMs: number): Promise<void> {
    this.#acquiring.end(new ClosedError({ message: "The locker was closed while this call waited." }));
    this.#holdings.announceClosing();
    // Within this turn of the event loop each of them hands over its last word, or a grant that came just before.
    await sleep(0, { keepsAlive: true });
    await this.#holdings.drain(drainMs);
    // Last words wait for attempts without an answer, which the server refuses after requestTimeoutMs.
    const deadline = after(now(), this.#options.requestTimeoutMs * 1.1 + LAST_WORD_MS);
    const leftMs = (): number => Math.max(LAST_WORD_MS, msUntil(deadline));
    await this.#holdings.releaseAll();
    await Promise.all([this.#background.settle(leftMs()), this.#flushing.end()]);
    this.#activity.stop();
    this.#sweeping.stop();
    this.#calls.end();
    await this.#store.close(leftMs());
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
}
