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
import { checkDetached } from "../config/detached-lock.js";
import { Router } from "../instances/router.js";
import type { LockerStats } from "../observe/counters/counters.js";
import { Tally } from "../observe/counters/tally.js";
import type { DebugInfo } from "./debug.js";
import { describeInstances } from "./debug-instances.js";
import type { Locker, TryAllResult, TryResult } from "./locker.js";
import { askAll, commonCapabilities, slowest, sumOfSweeps } from "./over-instances.js";
import { Sets } from "./sets.js";
import { isClosing, StoreLocker } from "./store-locker.js";
import type { LeadBody } from "./term.js";
import { unknownInstance } from "./unknown-instance.js";

/** One of its instances. */
export interface Instance {
  readonly name: string;
  readonly weight: number;
  readonly locker: StoreLocker;
}

/** The locker over several instances. What is about a key is up to the locker of the key's instance; what is about all is asked of each. */
export class RoutedLocker implements Locker {
  readonly instances: readonly string[];
  readonly #lockers: ReadonlyMap<string, StoreLocker>;
  readonly #weights: ReadonlyMap<string, number>;
  readonly #router: Router<StoreLocker>;
  readonly #first: StoreLocker;
  readonly #sets: Sets = new Sets((key) => StoreLocker.setHomeOf(this.#router.of(key)));

  /** There is at least one, and one has a weight above 0. `prefix`: of them all. */
  constructor(instances: readonly Instance[], prefix: string) {
    this.instances = Object.freeze(instances.map(({ name }) => name));
    this.#lockers = new Map(instances.map(({ name, locker }) => [name, locker]));
    this.#weights = new Map(instances.map(({ name, weight }) => [name, weight]));
    this.#router = new Router(
      instances.map(({ name, weight, locker }) => ({ name, weight, target: locker })),
      prefix,
    );
    const [first] = instances as readonly [Instance];
    this.#first = first.locker;
    const lockers = [...this.#lockers.values()];
    Object.defineProperty(this, isClosing, { get: () => lockers.every((one) => Reflect.get(one, isClosing) === true) });
  }

  on(instance: string): Locker {
    const locker = this.#lockers.get(instance);
    if (locker === undefined) {
      throw unknownInstance(instance, this.instances);
    }
    return locker;
  }

  acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    return this.#router.of(key).acquire(key, options);
  }

  tryAcquire(key: string, options?: TryOptions): Promise<Lock | null> {
    return this.#router.of(key).tryAcquire(key, options);
  }

  withLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    return this.#router.of(key).withLock(key, body, options);
  }

  tryWithLock<Value>(
    key: string,
    body: (lock: Lock) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryResult<Value>> {
    return this.#router.of(key).tryWithLock(key, body, options);
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
    return this.#router.of(key).lead(key, body, options);
  }

  /** On the instance that it names. One that names none, as it comes from SQL, is where its key belongs. */
  async adopt(detached: DetachedLock, options?: AdoptOptions): Promise<Lock> {
    const { key, instance } = checkDetached(detached);
    const locker = instance === null ? this.#router.ofFullKey(key) : this.#lockers.get(instance);
    if (locker === undefined) {
      throw unknownInstance(instance, this.instances, "detached.instance");
    }
    return await locker.adopt(detached, options);
  }

  check(key: string): Promise<LeaseInfo | null> {
    return this.#router.of(key).check(key);
  }

  isLocked(key: string): Promise<boolean> {
    return this.#router.of(key).isLocked(key);
  }

  get(key: string): Lock | undefined {
    return this.#router.of(key).get(key);
  }

  locks(key?: string): readonly Lock[] {
    if (key !== undefined) {
      return this.#router.of(key).locks(key);
    }
    return this.#all((locker) => StoreLocker.grantsOf(locker))
      .flat()
      .sort((a, b) => a.grantedAtMs - b.grantedAtMs)
      .map(({ lock }) => lock);
  }

  fullKey(key: string): string {
    return this.#first.fullKey(key);
  }

  forceRelease(key: string, options?: ForceReleaseOptions): Promise<ForceReleaseResult | null> {
    return this.#router.of(key).forceRelease(key, options);
  }

  /** Where a lock whose full key is this text would be: its fences alone are sure to come from the database in which the mark is. */
  checkFence(resource: string, fence: bigint): Promise<void> {
    return this.#router.ofFullKey(resource).checkFence(resource, fence);
  }

  async ready(): Promise<void> {
    await askAll(this.#lockers, (locker) => locker.ready());
  }

  async migrate(options?: MigrateOptions): Promise<void> {
    await askAll(this.#lockers, (locker) => locker.migrate(options));
  }

  async sweep(): Promise<SweepResult> {
    return sumOfSweeps(await askAll(this.#lockers, (locker) => locker.sweep()));
  }

  async ping(): Promise<PingResult> {
    return slowest(await askAll(this.#lockers, (locker) => locker.ping()));
  }

  async capabilities(): Promise<Capabilities> {
    return commonCapabilities(await askAll(this.#lockers, (locker) => locker.capabilities()));
  }

  stats(): LockerStats {
    const sum = new Tally();
    const all = this.#all((locker) => {
      StoreLocker.addCounts(locker, sum);
      return locker.stats();
    });
    const total = (count: (stats: LockerStats) => number): number => all.reduce((so, one) => so + count(one), 0);
    return {
      since: all.map(({ since }) => since).sort()[0] ?? "",
      activeLeases: total(({ activeLeases }) => activeLeases),
      waiters: total(({ waiters }) => waiters),
      ...sum.snapshot(),
    };
  }

  resetStats(): void {
    this.#all((locker) => locker.resetStats());
  }

  async debug(): Promise<DebugInfo> {
    return describeInstances(await askAll(this.#lockers, (locker) => locker.debug()), this.#weights);
  }

  async close(options?: CloseOptions): Promise<void> {
    await askAll(this.#lockers, (locker) => locker.close(options));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #all<Value>(ask: (locker: StoreLocker) => Value): Value[] {
    return Array.from(this.#lockers.values(), ask);
  }
}
