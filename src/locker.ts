import { setMaxListeners } from "node:events";
import { onAbort } from "./abort-listeners.js";
import { Acquisition, type Granted, type NotGranted } from "./acquisition.js";
import { type Activity, startIdleWatch } from "./activity.js";
import { after, isPast, msUntil, now, sleep } from "./clock.js";
import { describe, quote } from "./describe.js";
import {
  ClosedError,
  type HolderInfo,
  LeaseLostError,
  NotAcquiredError,
  NotHeldError,
  UnavailableError,
  WaitTimeoutError,
} from "./errors.js";
import { checkKey } from "./key.js";
import { Lease } from "./lease.js";
import { type LeaseInfo, toLeaseInfo } from "./lease-info.js";
import { type KeepAliveOptions, Lock, type LockActions } from "./lock.js";
import {
  checkBoolean,
  checkFence,
  checkFunction,
  checkMs,
  checkNames,
  checkRenewEveryMs,
  checkTtlMs,
} from "./option-checks.js";
import type { AcquireOptions, TryOptions } from "./options.js";
import { Renewals, renewNow } from "./renewals.js";
import { type ResolvedAcquireOptions, type ResolvedLockerOptions, resolveAcquireOptions } from "./resolve-options.js";
import type { Holder, MigrateOptions, Store, StoreEvents } from "./store.js";
import { RequestTimeout, withTimeout } from "./timeout.js";
import { Waiting } from "./waiting.js";

/** What `tryWithLock` resolves to. */
export type TryResult<Value> =
  | { readonly acquired: true; readonly value: Value; readonly heldMs: number }
  | { readonly acquired: false; readonly holder: HolderInfo | null };

/** Options of `forceRelease`. */
export interface ForceReleaseOptions {
  /** Only if the key is held with this fence: not a grant that came after the one that was meant. */
  readonly fence?: bigint | undefined;
  /**
   * Frees the key now, although its holder may still believe that it holds: exclusion is broken on purpose, and only fences
   * protect what is written. Default false: the holder is told at its next renewal, and the key is free when it lets go or at
   * the expiry it was last given.
   */
  readonly immediate?: boolean | undefined;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long to wait for the bodies of `withLock` and for held locks to be released. An integer of 0 ms and up; default 0. */
  readonly drainMs?: number | undefined;
}

interface Held {
  readonly lease: Lease;
  readonly lock: Lock;
}

/** What a last word needs when it is due: a connection, and one round trip. */
const LAST_WORD_MS = 250;

/** Takes locks. One per process is enough: it holds any number of them over three connections. */
export class Locker {
  readonly #options: ResolvedLockerOptions;
  readonly #store: Store;
  readonly #waiting = new Waiting();
  readonly #renewals: Renewals;
  readonly #held = new Map<string, Held>();
  readonly #acquisitions = new Set<Acquisition>();
  /** By lease, never by key: what an older handle does must not reach a newer grant of its key. */
  readonly #acquisitionOf = new WeakMap<Lease, Acquisition>();
  readonly #background = new Set<Promise<void>>();
  readonly #activity: Activity;
  readonly #actions: LockActions;
  readonly #onReleased = new Set<() => void>();
  readonly #onClosed = new AbortController();
  #closing: Promise<void> | null = null;

  /** @internal Use `createLocker`. */
  constructor(options: ResolvedLockerOptions, makeStore: (events: StoreEvents) => Store) {
    this.#options = options;
    // Each acquire that waits to say its last word listens there.
    setMaxListeners(0, this.#onClosed.signal);
    this.#store = makeStore({
      onWake: () => this.#waiting.wakeAll(),
      onReconnected: () => this.#renewals.proveAll(),
      onError: (error) => this.#reportError(error),
    });
    this.#renewals = new Renewals(this.#store, (error) => this.#reportError(error));
    this.#activity = startIdleWatch(options.idleTimeoutMs, () => this.#store.rest());
    this.#actions = {
      renew: (lease, ttlMs) => this.#renew(lease, ttlMs),
      release: (lease) => this.#release(lease),
      keepAlive: (lease, keepAlive) => this.#keepAlive(lease, keepAlive),
      stopKeepAlive: (lease) => this.#renewals.stopKeepAlive(lease),
      reportError: (error) => this.#reportError(error),
    };
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
    const result = await this.#acquire(fullKey, resolved);
    if (result instanceof Lock) {
      return result;
    }
    throw new WaitTimeoutError({
      key: fullKey,
      waitMs: resolved.waitMs,
      holder: this.#holderInfo(fullKey, result.holder),
      blockingPid: result.blockingPid,
      isHeldHere: this.#held.has(fullKey),
    });
  }

  /** The lock if the key is free now and nobody waits for it, else null. */
  async tryAcquire(key: string, options: TryOptions = {}): Promise<Lock | null> {
    const result = await this.#acquire(
      this.fullKey(key),
      resolveAcquireOptions(this.#options, options, { waits: false }),
    );
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
    return await this.#run(await this.acquire(key, options), body);
  }

  /** Like `withLock`, but does not wait for the lock: it says who has it. */
  async tryWithLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options: TryOptions = {},
  ): Promise<TryResult<Value>> {
    checkFunction("body", body);
    const fullKey = this.fullKey(key);
    const result = await this.#acquire(fullKey, resolveAcquireOptions(this.#options, options, { waits: false }));
    if (!(result instanceof Lock)) {
      return { acquired: false, holder: this.#holderInfo(fullKey, result.holder) };
    }
    const value = await this.#run(result, body);
    return { acquired: true, value, heldMs: result.heldMs };
  }

  /** Who has the key, or null when it is free. Changes nothing. @throws {UnavailableError} when it cannot know */
  check(key: string): Promise<LeaseInfo | null> {
    const fullKey = this.fullKey(key);
    return this.#active(async () => {
      await this.#store.open(this.#options.requestTimeoutMs);
      const state = await this.#settle(this.#store.check(fullKey));
      return toLeaseInfo(fullKey, state, this.#isOurs(fullKey, state.fence, state.sessionId));
    });
  }

  /** Whether an acquire would have to wait. @throws {UnavailableError} when it cannot know */
  async isLocked(key: string): Promise<boolean> {
    const info = await this.check(key);
    return info !== null && (info.state === "held" || info.state === "cooling");
  }

  /** The lock on this key that this process holds. */
  get(key: string): Lock | undefined {
    return this.#held.get(this.fullKey(key))?.lock;
  }

  /** All locks that this process holds. */
  locks(): readonly Lock[] {
    return [...this.#held.values()].map(({ lock }) => lock);
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
      await this.#store.open(this.#options.requestTimeoutMs);
      const answer = await this.#settle(this.#store.forceRelease({ key: fullKey, fence, isImmediate }));
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

  /** One round trip on the connection for commands. */
  ping(): Promise<{ readonly ms: number; readonly serverVersion: string }> {
    return this.#active(() => this.#settle(this.#store.ping()));
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

  async #acquire(key: string, options: ResolvedAcquireOptions): Promise<Lock | NotGranted> {
    this.#refuseIfClosed();
    const { signal } = options;
    signal?.throwIfAborted();
    const acquisition = new Acquisition({
      store: this.#store,
      waiting: this.#waiting,
      key,
      options,
      requestTimeoutMs: this.#options.requestTimeoutMs,
      closed: this.#onClosed.signal,
    });
    const stopListening = signal === null ? null : onAbort(signal, () => acquisition.end(signal.reason));
    this.#acquisitions.add(acquisition);
    const leave = this.#activity.enter();
    try {
      const result = await acquisition.run();
      if (result.outcome === "granted") {
        refuseIfPast(result, key, options.ttlMs);
        return this.#hold(acquisition, result, options);
      }
      if (acquisition.isUnfinished) {
        this.#inBackground(acquisition.lastWord());
      }
      return result;
    } catch (error) {
      this.#inBackground(acquisition.lastWord());
      throw error;
    } finally {
      leave();
      this.#acquisitions.delete(acquisition);
      stopListening?.();
    }
  }

  #hold(acquisition: Acquisition, grant: Granted, options: ResolvedAcquireOptions): Lock {
    const leave = this.#activity.enter();
    const lease = new Lease({
      key: acquisition.key,
      token: acquisition.token,
      grant,
      options,
      presence: this.#store.presence,
      hasPresence: this.#options.presence === "on",
      onLost: (lost, error) => {
        this.#forget(lost);
        // A renewal that was on its way may still commit.
        this.#inBackground(acquisition.lastWord());
        this.#call(() => options.onLost?.(lock, error));
      },
      onEnd: leave,
    });
    const lock = new Lock(lease, this.#actions);
    this.#acquisitionOf.set(lease, acquisition);
    this.#renewals.add(lease);
    // Forced away, or the server's clock was set: two grants of one key in this process mean that the older one is over.
    const previous = this.#held.get(lease.key)?.lease;
    const over = previous !== undefined && previous.fence > lease.fence ? lease : previous;
    if (over !== lease) {
      this.#held.set(lease.key, { lease, lock });
    }
    over?.lose("taken");
    if (options.keepAlive) {
      this.#renewals.keepAlive(lease, options.renewEveryMs, null);
    }
    // The session was replaced while the grant was on its way.
    if (lease.phase === "held" && !lease.isHeld) {
      this.#renewals.prove(lease);
    }
    this.#call(() => this.#options.onAcquired?.(lock));
    return lock;
  }

  #forget(lease: Lease): void {
    this.#renewals.remove(lease);
    if (this.#held.get(lease.key)?.lease === lease) {
      this.#held.delete(lease.key);
    }
    for (const listener of this.#onReleased) {
      listener();
    }
  }

  async #run<Value>(lock: Lock, body: (lock: Lock) => Value | PromiseLike<Value>): Promise<Value> {
    let value: Value;
    try {
      value = await body(lock);
    } catch (error) {
      await this.#letGo(lock);
      throw error;
    }
    const failure = await this.#letGo(lock);
    if (failure instanceof LeaseLostError) {
      throw failure;
    }
    return value;
  }

  /** Releases without throwing, and says what release would have thrown. A lock that the body released is no failure. */
  async #letGo(lock: Lock): Promise<unknown> {
    try {
      await lock.release();
      return null;
    } catch (error) {
      if (error instanceof LeaseLostError || !(error instanceof NotHeldError)) {
        if (!(error instanceof LeaseLostError)) {
          this.#reportError(error);
        }
        return error;
      }
      return null;
    }
  }

  async #renew(lease: Lease, ttlMs: number | undefined): Promise<void> {
    const wantedMs = ttlMs === undefined ? lease.ttlMs : checkTtlMs(ttlMs);
    refuseUnlessHeld(lease);
    await renewNow(this.#store, lease, wantedMs, this.#options.requestTimeoutMs);
    refuseUnlessHeld(lease);
    lease.ttlMs = wantedMs;
  }

  async #release(lease: Lease): Promise<void> {
    const acquisition = this.#acquisitionOf.get(lease);
    refuseUnlessHeld(lease);
    if (acquisition === undefined || !lease.startRelease()) {
      refuseUnlessHeld(lease);
      return;
    }
    this.#forget(lease);
    const deadline = after(now(), this.#options.requestTimeoutMs);
    let isRepeated = false;
    for (let retryMs = 5; ; retryMs = Math.min(retryMs * 2, 200)) {
      try {
        const answer = await withTimeout(
          acquisition.release(lease.fence, (work) => this.#inBackground(work)),
          Math.max(1, msUntil(deadline)),
        );
        if (answer.outcome !== "busy") {
          this.#waiting.wakeKey(lease.key);
          // Nothing there although nobody said so before: an attempt of ours that lost its answer did it.
          const isLost =
            answer.outcome === "expired" || (answer.outcome === "gone" && !isRepeated && !acquisition.hasLastWord);
          lease.endRelease(isLost ? (answer.reason ?? "expired") : null);
          if (lease.loss !== null) {
            throw lease.loss;
          }
          return;
        }
        if (msUntil(deadline) <= retryMs) {
          throw new UnavailableError({
            outcome: "not-sent",
            message: `The row of ${JSON.stringify(lease.key)} is locked by another transaction: it could not be released. The release is tried again in the background until the lease expires.`,
          });
        }
      } catch (error) {
        const isPassing = error instanceof UnavailableError || error instanceof RequestTimeout;
        if (!isPassing || msUntil(deadline) <= retryMs) {
          if (lease.phase === "releasing") {
            lease.endRelease(null);
            this.#inBackground(acquisition.lastWord());
          }
          throw error instanceof RequestTimeout ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
        }
        isRepeated ||= !(error instanceof UnavailableError) || error.outcome === "unknown";
      }
      await sleep(retryMs, { keepsAlive: true });
    }
  }

  #keepAlive(lease: Lease, options: KeepAliveOptions): void {
    const given = checkNames("keepAlive's options", options, ["everyMs", "onError"]);
    const everyMs =
      given.everyMs === undefined
        ? Math.min(lease.options.renewEveryMs, Math.max(20, Math.floor(lease.ttlMs / 3)))
        : checkRenewEveryMs(given.everyMs, lease.ttlMs, "everyMs");
    const onError =
      given.onError === undefined ? null : checkFunction<(error: unknown) => void>("onError", given.onError);
    refuseUnlessHeld(lease);
    this.#renewals.keepAlive(lease, everyMs, onError === null ? null : (error) => this.#call(() => onError(error)));
  }

  async #close(drainMs: number): Promise<void> {
    for (const acquisition of this.#acquisitions) {
      acquisition.end(new ClosedError({ message: "The locker was closed while this call waited." }));
    }
    for (const { lease } of this.#held.values()) {
      lease.announceClosing();
    }
    // Within this turn of the event loop each of them hands over its last word, or a grant that came just before.
    await sleep(0, { keepsAlive: true });
    const drainUntil = after(now(), drainMs);
    while (this.#held.size > 0 && drainMs > 0 && msUntil(drainUntil) > 0) {
      await this.#nextRelease(msUntil(drainUntil));
    }
    const releases = [...this.#held.values()].map(({ lease }) => {
      const released = this.#release(lease).catch(() => lease.lose("closed"));
      lease.takeForClosing();
      return released;
    });
    await Promise.all(releases);
    // Last words wait for attempts without an answer, which the server refuses after requestTimeoutMs.
    const settleUntil = after(now(), this.#options.requestTimeoutMs * 1.1 + LAST_WORD_MS);
    while (this.#background.size > 0 && msUntil(settleUntil) > 0) {
      const settled = new AbortController();
      void Promise.all(this.#background).then(() => settled.abort());
      await sleep(msUntil(settleUntil), { keepsAlive: true, signal: settled.signal });
    }
    this.#activity.stop();
    this.#onClosed.abort();
    await this.#store.close();
  }

  async #nextRelease(ms: number): Promise<void> {
    const stop = new AbortController();
    const listener = (): void => stop.abort();
    this.#onReleased.add(listener);
    await sleep(ms, { keepsAlive: true, signal: stop.signal });
    this.#onReleased.delete(listener);
  }

  #inBackground(work: Promise<void>): void {
    const leave = this.#activity.enter();
    const task = work.finally(() => {
      this.#background.delete(task);
      leave();
    });
    this.#background.add(task);
  }

  /** Counts as use, so that the connections are kept meanwhile. */
  async #active<Value>(work: () => Promise<Value>): Promise<Value> {
    this.#refuseIfClosed();
    const leave = this.#activity.enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  async #settle<Value>(promise: Promise<Value>): Promise<Value> {
    try {
      return await withTimeout(promise, this.#options.requestTimeoutMs);
    } catch (error) {
      throw error instanceof RequestTimeout ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
    }
  }

  #refuseIfClosed(): void {
    if (this.#closing !== null) {
      throw new ClosedError();
    }
  }

  #holderInfo(key: string, holder: Holder | null): HolderInfo | null {
    return holder === null
      ? null
      : {
          owner: holder.owner,
          fence: holder.fence,
          isThisProcess: this.#isOurs(key, holder.fence, holder.sessionId),
          expiresAt: new Date(holder.expiresAtMs),
        };
  }

  #isOurs(key: string, fence: bigint | null, sessionId: number | null): boolean {
    const isOurSession = sessionId !== null && sessionId === this.#store.presence.sessionId;
    return isOurSession || (fence !== null && this.#held.get(key)?.lease.fence === fence);
  }

  /** What a callback of the user's throws must not reach the protocol. */
  #call(callback: () => unknown): void {
    callGuarded(callback, (error) => {
      if (this.#options.onError === null) {
        warn(error);
      } else {
        this.#reportError(error);
      }
    });
  }

  #reportError(error: unknown): void {
    callGuarded(() => this.#options.onError?.(error), warn);
  }
}

/** An async function is a callback as well: nobody else would catch its rejection. */
function callGuarded(callback: () => unknown, onFailure: (error: unknown) => void): void {
  try {
    Promise.resolve(callback()).catch(onFailure);
  } catch (error) {
    onFailure(error);
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(describe(error)));
}

/** The answer took longer than the lease lasts: what could be returned is not a lock. */
function refuseIfPast({ until }: Granted, key: string, ttlMs: number): void {
  if (isPast(until)) {
    throw new UnavailableError({
      outcome: "unknown",
      message: `The lock on ${quote(key)} was granted, but had ended when the answer came: that took longer than ttlMs, ${ttlMs} ms. It is released in the background. Raise ttlMs, or find out why answers take so long.`,
    });
  }
}

function refuseUnlessHeld(lease: Lease): void {
  if (lease.phase !== "held") {
    throw lease.loss ?? lease.notHeld("it was released");
  }
}
