import type { Acquires } from "../acquire/acquires.js";
import type { NotGranted } from "../acquire/results.js";
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
import { checkDetached, resolveAdoptOptions } from "../config/detached-lock.js";
import { checkKey } from "../config/key.js";
import {
  type ResolvedAcquireOptions,
  type ResolvedLockerOptions,
  resolveAcquireOptions,
} from "../config/resolve-options.js";
import { isPlainRead } from "../config/share.js";
import { ClosedError, InvalidOptionError } from "../errors/errors.js";
import { checkFunction, checkMs, checkNames } from "../errors/option-checks.js";
import type { Holdings } from "../hold/holdings.js";
import type { LockerStats } from "../observe/counters/counters.js";
import type { Tally } from "../observe/counters/tally.js";
import { acquiring, type Publisher } from "../observe/hooks/publisher.js";
import { Observers } from "../observe/observer.js";
import type { Backend, BackendEvents } from "../store/backend.js";
import type { Holder, KeyState } from "../store/messages.js";
import type { Calls } from "./calls.js";
import { type DebugInfo, describeLocker } from "./debug.js";
import { isKept, toLeaseInfo } from "./lease-info.js";
import type { Locker, TryAllResult, TryResult } from "./locker.js";
import { makeParts, type Parts } from "./parts.js";
import { refuseReentry, runInside } from "./reentry.js";
import { type SetHome, Sets } from "./sets.js";
import type { LeadBody } from "./term.js";
import { unknownInstance } from "./unknown-instance.js";
import { letGo, runUnder } from "./with-lock.js";

/** Under it a locker says whether `close` was called. Registered, so that `getLocker` of another copy of this package can ask. */
export const isClosing: symbol = Symbol.for("leasehold.isClosing");

/** The locker over one backend. */
export class StoreLocker implements Locker {
  readonly #options: ResolvedLockerOptions;
  readonly #observers = new Observers();
  readonly #parts: Parts;
  // Those that each acquire goes through.
  readonly #publisher: Publisher;
  readonly #calls: Calls;
  readonly #acquires: Acquires;
  readonly #holdings: Holdings;
  readonly #setHome: SetHome;
  readonly #sets: Sets;
  /** The terms of `acquire(key)` and `tryAcquire(key)` without options, and of a read lock. Null: they are drawn for each call. */
  readonly #waitTerms: ResolvedAcquireOptions | null;
  readonly #readTerms: ResolvedAcquireOptions | null;
  readonly #tryTerms: ResolvedAcquireOptions | null;

  /** Adds what `stats()` counts, for a locker over several instances. Static: it is no method of a Locker. */
  static addCounts(locker: StoreLocker, sum: Tally): void {
    locker.#parts.counters.addTo(sum);
  }

  /** The locks that it holds, and since when by the clock of this process: by that they are in one order with those of other instances. */
  static grantsOf(locker: StoreLocker): { readonly lock: Lock; readonly grantedAtMs: number }[] {
    return locker.#holdings.grants();
  }

  /** How several keys are locked here. */
  static setHomeOf(locker: StoreLocker): SetHome {
    return locker.#setHome;
  }

  /** `lockerId`: of the locker over several instances, of which this is one. */
  constructor(options: ResolvedLockerOptions, makeBackend: (events: BackendEvents) => Backend, lockerId?: number) {
    const parts = makeParts(options, makeBackend, { lockerId, observers: this.#observers });
    Object.defineProperty(this, isClosing, { get: () => parts.calls.isClosing });
    this.#options = options;
    const isDrawn = typeof options.minHoldMs !== "number";
    this.#waitTerms = isDrawn ? null : resolveAcquireOptions(options, {}, { waits: true });
    this.#readTerms = isDrawn ? null : resolveAcquireOptions(options, { shared: true }, { waits: true });
    this.#tryTerms = isDrawn ? null : resolveAcquireOptions(options, {}, { waits: false });
    this.#parts = parts;
    this.#publisher = parts.publisher;
    this.#calls = parts.calls;
    this.#acquires = parts.acquires;
    this.#holdings = parts.holdings;
    this.#setHome = {
      parts: parts.sets,
      publisher: parts.publisher,
      instance: options.instance,
      prefixed: (key) => this.fullKey(key),
      resolve: (given, waits) => resolveAcquireOptions(options, given, { waits }),
      refuseIfClosing: () => {
        if (parts.calls.isClosing) {
          throw new ClosedError();
        }
      },
      refuseReentry: (fullKey) => refuseReentry(fullKey, parts.holdings.on(fullKey)),
    };
    this.#sets = new Sets(() => this.#setHome);
  }

  ready(): Promise<void> {
    return this.#parts.lifecycle.open();
  }

  migrate(options: MigrateOptions = {}): Promise<void> {
    return this.#calls.run(() => this.#parts.backend.migrate(options));
  }

  acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    try {
      const fullKey = checkKey(key, this.#options.prefix);
      const terms =
        (options === undefined ? this.#waitTerms : isPlainRead(options) ? this.#readTerms : null) ??
        resolveAcquireOptions(this.#options, options, { waits: true });
      if (this.#calls.isClosing) {
        return Promise.reject(new ClosedError());
      }
      if (terms.reentry === "throw") {
        refuseReentry(fullKey, this.#holdings.on(fullKey));
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

  async tryAcquire(key: string, options?: TryOptions): Promise<Lock | null> {
    return toLock(await this.#try(this.fullKey(key), options));
  }

  async withLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    checkFunction("body", body);
    return await this.#publisher.traceWithLock(
      this.fullKey(key),
      async () => await this.#run(await this.acquire(key, options), body, options?.reentry),
      () => true,
    );
  }

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

  acquireAll(keys: readonly string[], options?: AcquireOptions): Promise<LockSet> {
    return this.#sets.acquire(keys, options);
  }

  tryAcquireAll(keys: readonly string[], options?: TryOptions): Promise<LockSet | null> {
    return this.#sets.tryAcquire(keys, options);
  }

  withLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    return this.#sets.withLocks(keys, body, options);
  }

  tryWithLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryAllResult<Value>> {
    return this.#sets.tryWithLocks(keys, body, options);
  }

  lead<Value>(key: string, body: LeadBody<Value>, options?: LeadOptions): Promise<Value | undefined> {
    return this.#parts.leading.lead(key, body, options);
  }

  async adopt(detached: DetachedLock, options?: AdoptOptions): Promise<Lock> {
    const { instance, ...grant } = checkDetached(detached);
    const own = this.#options.instance;
    // A locker without instances may be over the database of one that somebody else has given a name.
    if (instance !== null && own !== null && instance !== own) {
      throw unknownInstance(instance, [own], "detached.instance");
    }
    const terms = resolveAdoptOptions(this.#options, options);
    // What it has adopted under another token was given twice, and is refused as it is everywhere else.
    if (this.#holdings.hasGrant(grant)) {
      const expected = "a lock that this locker does not hold already";
      throw new InvalidOptionError({ option: "detached", expected, received: detached });
    }
    const refused = this.#parts.backend.refuseHere?.() ?? null;
    if (refused !== null) {
      throw refused;
    }
    return await this.#calls.run(() => this.#parts.adoptions.adopt(grant, terms));
  }

  async check(key: string): Promise<LeaseInfo | null> {
    const fullKey = this.fullKey(key);
    const state = await this.#stateOf(fullKey);
    const isFirstOurs = this.#holdings.isOurs(fullKey, state.fence, state.sessionId);
    const toInfo = (holder: Holder) => this.#holdings.holderInfo(fullKey, holder);
    return toLeaseInfo(fullKey, state, isFirstOurs, toInfo, this.#options.instance);
  }

  async isLocked(key: string): Promise<boolean> {
    return isKept(await this.#stateOf(this.fullKey(key)));
  }

  get(key: string): Lock | undefined {
    return this.#holdings.get(this.fullKey(key));
  }

  locks(key?: string): readonly Lock[] {
    return this.#holdings.all(key === undefined ? undefined : this.fullKey(key));
  }

  get instances(): readonly string[] {
    const { instance } = this.#options;
    return instance === null ? [] : [instance];
  }

  on(instance: string): Locker {
    if (instance === null || instance !== this.#options.instance) {
      throw unknownInstance(instance, this.instances);
    }
    return this;
  }

  fullKey(key: string): string {
    return checkKey(key, this.#options.prefix);
  }

  async forceRelease(key: string, options: ForceReleaseOptions = {}): Promise<ForceReleaseResult | null> {
    return await this.#parts.administration.forceRelease(this.fullKey(key), options);
  }

  checkFence(resource: string, fence: bigint): Promise<void> {
    return this.#parts.administration.checkFence(resource, fence);
  }

  sweep(): Promise<SweepResult> {
    return this.#parts.administration.sweep();
  }

  stats(): LockerStats {
    const { counters, queues } = this.#parts;
    return counters.snapshot({ activeLeases: this.#holdings.size, waiters: queues.size });
  }

  resetStats(): void {
    this.#parts.counters.reset();
  }

  ping(): Promise<PingResult> {
    return this.#calls.ask(() => this.#parts.backend.ping());
  }

  capabilities(): Promise<Capabilities> {
    return this.#calls.ask(() => this.#parts.backend.capabilities());
  }

  async debug(): Promise<DebugInfo> {
    const { activity, acquires, backend, calls, holdings, publisher, recent, sets } = this.#parts;
    const parts = {
      lockerId: publisher.lockerId,
      options: this.#options,
      state: calls.state,
      backend,
      holdings,
      claims: [...acquires, ...sets],
      recent,
    };
    return await activity.during(() => describeLocker(parts), { isUse: false });
  }

  close(options: CloseOptions = {}): Promise<void> {
    try {
      const given = checkNames("close's options", options, ["drainMs"]);
      const drainMs = given.drainMs === undefined ? 0 : checkMs("drainMs", given.drainMs, 0);
      return this.#parts.lifecycle.close(drainMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stateOf(fullKey: string): Promise<KeyState> {
    const state = await this.#calls.ask(() => this.#parts.backend.check(fullKey));
    this.#observers.checked(fullKey);
    return state;
  }

  #try(key: string, options: TryOptions | undefined): Promise<Lock | NotGranted> {
    const terms =
      (options === undefined ? this.#tryTerms : null) ??
      resolveAcquireOptions(this.#options, options, { waits: false });
    if (this.#calls.isClosing) {
      return Promise.reject(new ClosedError());
    }
    return acquiring.hasSubscribers
      ? this.#publisher.traceAcquire(key, terms, () => this.#acquires.tryAcquire(key, terms), toLock)
      : this.#acquires.tryAcquire(key, terms);
  }

  #run<Value>(
    lock: Lock,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    reentry: "throw" | "wait" = this.#options.reentry,
  ): Promise<Value> {
    const inside = reentry === "throw" ? (held: Lock) => runInside(held, () => body(held)) : body;
    return runUnder(lock, inside, (held) => letGo(held, (error) => this.#parts.callbacks.report(error)));
  }
}

function toLock(result: Lock | NotGranted): Lock | null {
  return "outcome" in result ? null : result;
}
