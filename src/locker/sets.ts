import { type Place, SetAcquire } from "../acquire/set-acquire.js";
import type { SetParts } from "../acquire/set-parts.js";
import type { SetRefused } from "../acquire/set-side.js";
import type { LockSet } from "../api/lock-set.js";
import type { AcquireOptions, TryOptions } from "../api/options.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { checkSetTimes, eachSetKey, inKeyOrder } from "../config/set-keys.js";
import { UnsupportedError } from "../errors/errors.js";
import { checkFunction } from "../errors/option-checks.js";
import type { Guard } from "../guard/guard.js";
import { HeldSet } from "../hold/held-set.js";
import type { Lease } from "../hold/lease.js";
import type { Publisher } from "../observe/hooks/publisher.js";
import { quote } from "../runtime/describe.js";
import type { TryAllResult } from "./locker.js";
import { runInside } from "./reentry.js";
import { letGo, runUnder } from "./with-lock.js";

/** What sets need to know of the locker of a key. */
export interface SetHome {
  readonly parts: SetParts;
  readonly publisher: Publisher;
  /** Its name; null without instances. */
  readonly instance: string | null;
  readonly prefixed: (key: string) => string;
  readonly resolve: (options: unknown, waits: boolean) => ResolvedAcquireOptions;
  /** @throws {ClosedError} */
  readonly refuseIfClosing: () => void;
  /** @throws {ReentryError} when the caller runs in the body of a lock on this key, of this locker */
  readonly refuseReentry: (fullKey: string) => void;
}

interface NamedPlace extends Place {
  /** As in the call. */
  readonly name: string;
  readonly home: SetHome;
}

/** What a call asks for. */
interface Wanted {
  /** In the order of the call, each once. */
  readonly places: readonly NamedPlace[];
  readonly terms: ResolvedAcquireOptions;
}

/** The calls for several keys, of a locker or of one over several instances. */
export class Sets {
  readonly #homeOf: (key: string) => SetHome;

  /** `homeOf`: where a key is locked. @throws {InvalidKeyError} */
  constructor(homeOf: (key: string) => SetHome) {
    this.#homeOf = homeOf;
  }

  async acquire(keys: readonly string[], options?: AcquireOptions): Promise<LockSet> {
    return (await this.#acquire(this.#wanted(keys, options, true), false)) as LockSet; // a refusal is an error
  }

  async tryAcquire(keys: readonly string[], options?: TryOptions): Promise<LockSet | null> {
    const result = await this.#acquire(this.#wanted(keys, options, false), true);
    return "outcome" in result ? null : result;
  }

  async withLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: AcquireOptions,
  ): Promise<Value> {
    checkFunction("body", body);
    const wanted = this.#wanted(keys, options, true);
    const work = async () => await run((await this.#acquire(wanted, false)) as LockSet, body, wanted);
    return await traced(wanted, work, () => true);
  }

  async tryWithLocks<Value>(
    keys: readonly string[],
    body: (locks: LockSet) => Value | PromiseLike<Value>,
    options?: TryOptions,
  ): Promise<TryAllResult<Value>> {
    checkFunction("body", body);
    const wanted = this.#wanted(keys, options, false);
    const trying = async (): Promise<TryAllResult<Value>> => {
      const result = await this.#acquire(wanted, true);
      if ("outcome" in result) {
        const { key, holder } = result;
        const { holdings } = placeOf(wanted, key).parts.init;
        return { acquired: false, key, holder: holdings.holderInfo(key, holder) };
      }
      const value = await run(result, body, wanted);
      return { acquired: true, value, heldMs: result.heldMs };
    };
    return await traced(wanted, trying, ({ acquired }) => acquired);
  }

  /** @throws {InvalidOptionError} @throws {InvalidKeyError} */
  #wanted(keys: unknown, options: unknown, waits: boolean): Wanted {
    const places = new Map<string, NamedPlace>();
    eachSetKey(keys, (name) => {
      const home = this.#homeOf(name);
      const key = home.prefixed(name);
      if (!places.has(key)) {
        places.set(key, { key, name, home, parts: home.parts });
      }
      return places.size;
    });
    const all = [...places.values()];
    const terms = (all[0] as NamedPlace).home.resolve(options, waits); // what is resolved here is the same for all instances
    checkSetTimes(terms);
    return { places: all, terms };
  }

  async #acquire({ places, terms }: Wanted, isTry: boolean): Promise<LockSet | SetRefused> {
    for (const { home, key } of places) {
      home.refuseIfClosing();
      if (!isTry && terms.reentry === "throw") {
        home.refuseReentry(key);
      }
    }
    const inOrder = inKeyOrder(places);
    const result = await new SetAcquire(inOrder, terms, isTry).run();
    if ("outcome" in result) {
      return result;
    }
    const byKey = new Map(result.map((lease) => [lease.key, lease]));
    const named = places.map(({ name, key }) => ({ name, lock: (byKey.get(key) as Lease).lock }));
    return new HeldSet(named, () => guardOf(inOrder, result as readonly [Lease, ...Lease[]]));
  }
}

/** @throws {UnsupportedError} when they are in several databases */
function guardOf(places: readonly NamedPlace[], leases: readonly [Lease, ...Lease[]]): Guard {
  const homes = [...new Set(places.map(({ home }) => home))];
  const [home, ...others] = homes as [SetHome, ...SetHome[]];
  if (others.length > 0) {
    const names = homes.map(({ instance }) => quote(instance ?? "")).join(", ");
    throw new UnsupportedError({
      message: `The keys of this set are on several instances (${names}): no transaction is in all of their databases. Guard with the lock of one key: locks.get(key).`,
    });
  }
  return home.parts.init.holdings.guardAll(leases);
}

function run<Value>(
  set: LockSet,
  body: (locks: LockSet) => Value | PromiseLike<Value>,
  wanted: Wanted,
): Promise<Value> {
  const inside = wanted.terms.reentry === "throw" ? insideOfAll(set, body) : body;
  return runUnder(set, inside, async ({ locks }) => {
    const releases = locks.map((lock) => {
      const { callbacks } = placeOf(wanted, lock.key).parts.init; // each instance tells what it could not release
      return letGo(lock, (error) => callbacks.report(error));
    });
    return (await Promise.all(releases)).find((loss) => loss !== null) ?? null;
  });
}

function insideOfAll<Value>(set: LockSet, body: (locks: LockSet) => Value): (locks: LockSet) => Value {
  return set.locks.reduce(
    (inner: (locks: LockSet) => Value, lock) => (locks) => runInside(lock, () => inner(locks)),
    body,
  );
}

/** Of several instances it names none. */
function traced<Value>(
  { places }: Wanted,
  work: () => Promise<Value>,
  isAcquired: (value: Value) => boolean,
): Promise<Value> {
  const { home } = places[0] as NamedPlace;
  const isOnOne = places.every((place) => place.home === home);
  const keys = places.map(({ key }) => key);
  return home.publisher.traceWithLock(keys, work, isAcquired, isOnOne ? home.instance : null);
}

function placeOf({ places }: Wanted, key: string): NamedPlace {
  return (places.find((place) => place.key === key) ?? places[0]) as NamedPlace;
}
