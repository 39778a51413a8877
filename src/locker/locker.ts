import { Acquires } from "../acquire/acquires.js";
import { keepEntriesOf } from "../acquire/keep-entries.js";
import { LocalQueues } from "../acquire/local-queues.js";
import type { NotGranted } from "../acquire/wait.js";
import type { ForceReleaseResult } from "../api/force-release.js";
import type { LeaseInfo } from "../api/lease-info.js";
import type { Lock } from "../api/lock.js";
import type { AcquireOptions, CloseOptions, ForceReleaseOptions, MigrateOptions, TryOptions } from "../api/options.js";
import { checkKey } from "../config/key.js";
import {
  type ResolvedAcquireOptions,
  type ResolvedLockerOptions,
  resolveAcquireOptions,
} from "../config/resolve-options.js";
import {
  ClosedError,
  type HolderInfo,
  InvalidOptionError,
  NotAcquiredError,
  StaleFenceError,
  WaitTimeoutError,
} from "../errors/errors.js";
import { checkBoolean, checkFence, checkFunction, checkMs, checkNames, checkText } from "../errors/option-checks.js";
import { Holdings } from "../hold/holdings.js";
import { Callbacks } from "../observe/callbacks.js";
import { Counters, type LockerStats } from "../observe/counters/counters.js";
import { prefixBy } from "../observe/counters/prefixes.js";
import { acquiring, Publisher } from "../observe/hooks/publisher.js";
import { Observers } from "../observe/observer.js";
import { Recent } from "../observe/recent.js";
import { Activity } from "../runtime/activity.js";
import { Background } from "../runtime/background.js";
import { after, msUntil, now, sleep } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import type { ForceReleaseAnswer, KeyState, Store, StoreEvents, SweepResult } from "../store/store.js";
import { Calls } from "./calls.js";
import { type Capabilities, toCapabilities } from "./capabilities.js";
import { type DebugInfo, describeLocker } from "./debug.js";
import { Flushing } from "./flushing.js";
import { isKept, toLeaseInfo } from "./lease-info.js";
import { Sweeping } from "./sweeping.js";
import { runUnder } from "./with-lock.js";

/** What `tryWithLock` resolves to. */
export type TryResult<Value> =
  | { readonly acquired: true; readonly value: Value; readonly heldMs: number }
  | { readonly acquired: false; readonly holder: HolderInfo | null };

/** How long a last word may take once it is due: a new connection and one round trip. */
const LAST_WORD_MS = 250;

/** Takes locks. One locker per process is enough: it holds any number of locks over three connections. */
export class Locker {
  readonly #options: ResolvedLockerOptions;
  readonly #store: Store;
  readonly #observers = new Observers();
  readonly #recent: Recent;
  readonly #publisher = new Publisher();
  readonly #queues: LocalQueues;
  readonly #callbacks: Callbacks;
  readonly #activity: Activity;
  readonly #background: Background;
  readonly #holdings: Holdings;
  readonly #sweeping: Sweeping;
  readonly #counters: Counters;
  readonly #flushing: Flushing;
  readonly #calls: Calls;
  readonly #acquires: Acquires;
  /** The terms of `acquire(key)` and `tryAcquire(key)` without options. */
  readonly #waitTerms: ResolvedAcquireOptions;
  readonly #tryTerms: ResolvedAcquireOptions;

  /** @internal Use `createLocker`. */
  constructor(options: ResolvedLockerOptions, makeStore: (events: StoreEvents) => Store) {
    const observer = this.#observers;
    const recent = new Recent(options);
    const callbacks = new Callbacks(options.onError, observer);
    const onError = (error: unknown): void => callbacks.report(error);
    const store = makeStore({
      onWake: () => queues.wakeAll(),
      onReconnected: () => {
        holdings.proveAll();
        queues.keepEntriesNow();
      },
      onError,
      onNotice: (notice) => callbacks.call(() => options.connection.onnotice?.(notice)),
      onFailure: (error) => recent.failed(error),
    });
    const { requestTimeoutMs } = options;
    const queues = new LocalQueues((waits) => keepEntriesOf(store, waits, requestTimeoutMs), requestTimeoutMs);
    const counters = new Counters({
      prefixOf: prefixBy(options, onError),
      onCount: options.statsFlushMs === Number.POSITIVE_INFINITY ? null : () => flushing.schedule(),
    });
    const activity = new Activity(
      options.idleTimeoutMs,
      () => this.#rest(),
      () => sweeping.start(),
    );
    const flushing = new Flushing({ counters, store, activity, everyMs: options.statsFlushMs, onError });
    const sweeping = new Sweeping({ store, observer, everyMs: options.sweepEveryMs, onError });
    const background = new Background(activity);
    const calls = new Calls({ store, activity, requestTimeoutMs });
    const holdings = new Holdings({ options, store, activity, background, callbacks, observer, handOver: queues });
    const claims = { store, queues, requestTimeoutMs, closed: calls.closed };
    const toError = (key: string, { waitMs }: ResolvedAcquireOptions, { holder, blockingPid }: NotGranted): Error =>
      new WaitTimeoutError({
        key,
        waitMs,
        holder: holdings.holderInfo(key, holder),
        blockingPid,
        isHeldHere: holdings.get(key) !== undefined,
      });
    for (const watcher of [recent, this.#publisher, counters]) {
      observer.add(watcher);
    }
    this.#options = options;
    this.#waitTerms = resolveAcquireOptions(options, {}, { waits: true });
    this.#tryTerms = resolveAcquireOptions(options, {}, { waits: false });
    this.#store = store;
    this.#queues = queues;
    this.#recent = recent;
    this.#callbacks = callbacks;
    this.#activity = activity;
    this.#background = background;
    this.#counters = counters;
    this.#flushing = flushing;
    this.#sweeping = sweeping;
    this.#calls = calls;
    this.#holdings = holdings;
    this.#acquires = new Acquires({
      claims,
      queues,
      holdings,
      activity,
      background,
      callbacks,
      observer,
      onAcquired: options.onAcquired,
      toError,
    });
  }

  /**
   * Connects, and refuses what would not be safe: a pooler, a standby, a missing schema, missing rights. All other calls do the same, so
   * it is not required. Call it when the application starts to get errors early.
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
   * Waits until the key is granted. Waiters of all processes are served in the order in which they queued.
   * @throws {WaitTimeoutError} after `waitMs` @throws the signal's reason @throws {UnavailableError} when Postgres is silent for `requestTimeoutMs`
   */
  acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    try {
      const fullKey = checkKey(key, this.#options.prefix);
      const terms =
        options === undefined ? this.#waitTerms : resolveAcquireOptions(this.#options, options, { waits: true });
      if (this.#calls.isClosing) {
        return Promise.reject(new ClosedError());
      }
      return acquiring.hasSubscribers
        ? this.#publisher.traceAcquire(
            fullKey,
            terms,
            () => this.#acquires.acquire(fullKey, terms),
            (lock) => lock,
          )
        : this.#acquires.acquire(fullKey, terms);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Resolves to the lock if the key is free now and nobody waits for it, else to null. */
  async tryAcquire(key: string, options?: TryOptions): Promise<Lock | null> {
    return toLock(await this.#try(this.fullKey(key), options));
  }

  /**
   * Runs the body under the lock and resolves to what it returned. It always waits for the body, and then releases.
   * @throws the body's own error; {LeaseLostError} when the body returned but the lock was lost meanwhile; what `acquire` throws
   */
  async withLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    checkFunction("body", body);
    return await this.#publisher.traceWithLock(
      this.fullKey(key),
      async () => await this.#run(await this.acquire(key, options), body),
      () => true,
    );
  }

  /** Like `withLock`, but does not wait for the lock: if it is taken, the result says who holds it. */
  async tryWithLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryResult<Value>> {
    checkFunction("body", body);
    const fullKey = this.fullKey(key);
    const trying = async (): Promise<TryResult<Value>> => {
      const result = await this.#try(fullKey, options);
      if ("outcome" in result) {
        return { acquired: false, holder: this.#holdings.holderInfo(fullKey, result.holder) };
      }
      const value = await this.#run(result, body);
      return { acquired: true, value, heldMs: result.heldMs };
    };
    return await this.#publisher.traceWithLock(fullKey, trying, ({ acquired }) => acquired);
  }

  /** Who holds the key, or null when it is free. Changes nothing. @throws {UnavailableError} when Postgres cannot be asked */
  async check(key: string): Promise<LeaseInfo | null> {
    const fullKey = this.fullKey(key);
    const state = await this.#stateOf(fullKey);
    return toLeaseInfo(fullKey, state, this.#holdings.isOurs(fullKey, state.fence, state.sessionId));
  }

  /** Whether an acquire would have to wait. @throws {UnavailableError} when Postgres cannot be asked */
  async isLocked(key: string): Promise<boolean> {
    return isKept(await this.#stateOf(this.fullKey(key)));
  }

  /** The lock on this key that this process holds. */
  get(key: string): Lock | undefined {
    return this.#holdings.get(this.fullKey(key));
  }

  /** All locks that this process holds. */
  locks(): readonly Lock[] {
    return this.#holdings.all();
  }

  /** The key with the locker's prefix, as it is stored in the table. @throws {InvalidKeyError} */
  fullKey(key: string): string {
    return checkKey(key, this.#options.prefix);
  }

  /**
   * Takes a lock away from its holder, whoever that is, and says when the key will be free. Resolves to null when nobody held it.
   *
   * ```ts
   * const taken = await locker.forceRelease("order:42");
   * if (taken?.outcome === "revoked") console.log(`free at ${taken.freeAt?.toISOString()} at the latest`);
   * ```
   * @throws {NotPermittedError} for a role that neither owns the schema nor was granted the right (`leasehold.grant_admin`)
   * @throws {NotAcquiredError} while an open transaction has the row locked that says who holds the key
   */
  async forceRelease(key: string, options: ForceReleaseOptions = {}): Promise<ForceReleaseResult | null> {
    const fullKey = this.fullKey(key);
    const given = checkNames("forceRelease's options", options, ["fence", "immediate"]);
    const fence = given.fence === undefined ? null : checkFence("fence", given.fence);
    const isImmediate = given.immediate === undefined ? false : checkBoolean("immediate", given.immediate);
    const request = { key: fullKey, fence, isImmediate };
    const answer = await this.#calls.ask(() => this.#store.forceRelease(request), "admin");
    const { outcome, freeAtMs, blockingPid, blockingTransaction } = answer;
    switch (outcome) {
      case "gone":
        return null;
      case "busy":
        throw rowLocked(fullKey, answer);
      case "released":
        this.#queues.wakeKey(fullKey);
    }
    return {
      outcome,
      freeAt: freeAtMs === null ? null : new Date(freeAtMs),
      holders: answer.holders.flatMap((holder) => this.#holdings.holderInfo(fullKey, holder) ?? []),
      blockingPid,
      blockingTransaction,
    };
  }

  /**
   * Raises the mark of a resource to this fence. It is for writes outside of Postgres: a service behind HTTP, for example, calls it before
   * each write with the fence that came with the request. A fence that equals the mark or is larger passes; from then on, smaller ones are
   * refused. The resource is any text of 1 to 512 bytes. The locker's prefix is not added to it.
   *
   * ```ts
   * await locker.checkFence("bucket/report.pdf", BigInt(request.headers["x-fence"]));
   * ```
   * @throws {StaleFenceError} when the resource has seen a larger fence
   * @throws {InvalidOptionError} when no lock of this database can have that fence yet: it would refuse all later ones
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
   * Deletes now what nobody needs any more: keys that have been free and leases that have been expired for more than 10 minutes, waiters
   * that stopped looking, dead sessions that no lease names, old counters. It never deletes a live lease. It also wakes the next waiter of
   * each key that can be granted. Every locker does the same in the background, see `sweepEveryMs`.
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
   * long locks were held, which keys and prefixes were contended. Sends nothing to Postgres. `leasehold.stats`,
   * `leasehold.stats_by_prefix` and `leasehold.hot_keys` have the sums of all lockers, about `statsFlushMs` later.
   *
   * ```ts
   * const { acquired, contended, waits, hotKeys } = locker.stats();
   * console.log(`${contended} of ${acquired} waited, 95 % no longer than ${waits.p95Ms} ms; hottest: ${hotKeys[0]?.key}`);
   * ```
   */
  stats(): LockerStats {
    return this.#counters.snapshot({ activeLeases: this.#holdings.size, waiters: this.#queues.size });
  }

  /** Resets `stats()`. The sums in the database are kept. */
  resetStats(): void {
    this.#counters.reset();
  }

  /** One round trip on the connection for commands. */
  ping(): Promise<{ readonly ms: number; readonly serverVersion: string }> {
    return this.#calls.ask(() => this.#store.ping());
  }

  /**
   * What this locker offers with this server, and why or why not. Connects, like `ready`, and throws the same errors.
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
   * Everything that helps to find out what is wrong, as plain JSON without secrets: options, connections, locks held and recently lost,
   * waits, the last errors, and what the server says about itself. Never rejects: when the server does not answer within
   * `requestTimeoutMs`, or after `close`, the part `server` says why.
   *
   * ```ts
   * process.on("SIGUSR2", async () => console.error(JSON.stringify(await locker.debug(), null, 2)));
   * ```
   */
  async debug(): Promise<DebugInfo> {
    const parts = {
      lockerId: this.#publisher.lockerId,
      options: this.#options,
      state: this.#calls.state,
      store: this.#store,
      holdings: this.#holdings,
      claims: this.#acquires,
      recent: this.#recent,
    };
    return await this.#activity.during(() => describeLocker(parts), { isUse: false });
  }

  /**
   * Refuses new calls, rejects waits with ClosedError, fires the signals of the locks, waits up to `drainMs` for them to be released,
   * releases the others, and closes every connection. Calling it again waits for the first call.
   */
  close(options: CloseOptions = {}): Promise<void> {
    const given = checkNames("close's options", options, ["drainMs"]);
    const drainMs = given.drainMs === undefined ? 0 : checkMs("drainMs", given.drainMs, 0);
    return this.#calls.close(() => this.#close(drainMs));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stateOf(fullKey: string): Promise<KeyState> {
    const state = await this.#calls.ask(() => this.#store.check(fullKey));
    this.#observers.checked(fullKey);
    return state;
  }

  #try(key: string, options: TryOptions | undefined): Promise<Lock | NotGranted> {
    const terms =
      options === undefined ? this.#tryTerms : resolveAcquireOptions(this.#options, options, { waits: false });
    if (this.#calls.isClosing) {
      return Promise.reject(new ClosedError());
    }
    return acquiring.hasSubscribers
      ? this.#publisher.traceAcquire(key, terms, () => this.#acquires.tryAcquire(key, terms), toLock)
      : this.#acquires.tryAcquire(key, terms);
  }

  #run<Value>(lock: Lock, body: (lock: Lock) => Value | PromiseLike<Value>): Promise<Value> {
    return runUnder(lock, body, (error) => this.#callbacks.report(error));
  }

  async #close(drainMs: number): Promise<void> {
    this.#acquires.end(new ClosedError({ message: "The locker was closed while this call waited." }));
    this.#holdings.announceClosing();
    // In this turn of the event loop each acquire starts its last word, or delivers a grant that has just arrived.
    await sleep(0);
    await this.#holdings.drain(drainMs);
    // Last words wait until the server refuses attempts without an answer, after requestTimeoutMs.
    const deadline = after(now(), this.#options.requestTimeoutMs * 1.1 + LAST_WORD_MS);
    const leftMs = (): number => Math.max(LAST_WORD_MS, msUntil(deadline));
    await this.#holdings.releaseAll();
    await Promise.all([this.#background.settle(leftMs()), this.#flushing.end()]);
    this.#activity.stop();
    this.#sweeping.stop();
    this.#stopTimers();
    this.#calls.end();
    await this.#store.close(leftMs());
  }

  /** Called when the locker is idle: closes its connections. Counters are flushed first, which counts as use. */
  #rest(): void {
    // Stopped first: a sweep counts what it purges, and would cause another flush.
    this.#sweeping.stop();
    if (this.#flushing.isWanted) {
      this.#background.add(this.#flushing.flush());
      return;
    }
    this.#flushing.pause();
    this.#stopTimers();
    void this.#store.rest();
  }

  #stopTimers(): void {
    this.#acquires.stopTimers();
    this.#holdings.stopTimers();
  }
}

function toLock(result: Lock | NotGranted): Lock | null {
  return "outcome" in result ? null : result;
}

function rowLocked(key: string, { blockingPid, blockingTransaction }: ForceReleaseAnswer): NotAcquiredError {
  const [who, remedy] =
    blockingTransaction === null
      ? [`backend ${blockingPid ?? "(unknown)"}`, "End that transaction"]
      : [`the prepared transaction ${quote(blockingTransaction)}`, "Commit it, or roll it back"];
  return new NotAcquiredError({
    key,
    blockingPid,
    message: `The lease of ${quote(key)} cannot be released by force now: its row is locked by ${who}. ${remedy}, then try again.`,
  });
}
