import { types } from "node:util";
import type { CloseOptions, LockerOptions } from "../api/options.js";
import type { StoreFactory } from "../api/store.js";
import { lockerNames, resolveLockerOptions } from "../config/resolve-options.js";
import { InvalidOptionError, type LossReason } from "../errors/errors.js";
import { checkMs, checkNames, checkOneOf, checkText } from "../errors/option-checks.js";
import type { Locker } from "../locker/locker.js";
import { StoreLocker } from "../locker/store-locker.js";
import { MemoryLeases } from "../memory/memory-leases.js";
import { MemoryStore } from "../memory/memory-store.js";
import { StoreBackend } from "../store/store-backend.js";
import { faulty, Outages } from "./faulty-store.js";
import { ManualClock, type TestClock } from "./test-clock.js";

/** What says where the leases are: here that is known. */
const ofDatabases = ["url", "directUrl", "client", "connection", "presence", "store", "stores", "instances"] as const;

/** Options of `createTestLocker`: all of a locker's but those of a database. */
export type TestLockerOptions = Omit<LockerOptions, (typeof ofDatabases)[number]>;

/** What `createTestLocker` makes. */
export interface TestLocker {
  /** What the code under test is given. Its `close` moves the clock on, as far as what it waits for needs. */
  readonly locker: Locker;
  /** Time, for all lockers of this test. */
  readonly clock: TestClock;
  /** What goes wrong. */
  readonly faults: Faults;
  /** Another process on the same store and clock. */
  otherProcess(options?: TestLockerOptions): Locker;
}

/** Faults, by name. Those that take time do so on the test's clock. */
export interface Faults {
  /**
   * Whoever has the key loses it, now: its signal fires before this returns. Of a key that is shared, all who share it do. Default reason
   * `taken`. Nothing happens when nobody has it.
   * The key is the full one.
   */
  lose(key: string, reason?: Exclude<LossReason, "closed">): void;
  /** A process dies without a word: its locks are free after its `takeoverDelayMs`, and it cannot ask for anything any more. */
  crash(locker: Locker): void;
  /** Every answer takes this many milliseconds, on the test's clock. */
  slow(ms: number): void;
  /** The store cannot be reached, until `heal`. */
  disconnect(): void;
  /** The next call to the store fails with this: what it asked for is not done. */
  failNext(error: Error): void;
  /** Ends `slow`, `disconnect` and `failNext`: answers that are on their way arrive. Call it before `close`, which waits for them. */
  heal(): void;
}

/**
 * A locker for tests: in memory, on a clock that stands still until the test moves it, with faults that the test makes. It needs no fake
 * timers and is not disturbed by them.
 *
 * ```ts
 * const { locker, clock, faults } = createTestLocker();
 * const lock = await locker.acquire("order:42", { ttlMs: 30_000, keepAlive: false });
 * await clock.advance(30_000);
 * console.log(lock.held, lock.signal.reason.message);
 * ```
 * @throws {InvalidOptionError} as `createLocker` does
 */
export function createTestLocker(options: TestLockerOptions = {}): TestLocker {
  const clock = new ManualClock();
  const outages = new Outages();
  const leases = new MemoryLeases(() => clock.wallNowMs());
  const stores = new Map<Locker, MemoryStore>();
  const open = (given: TestLockerOptions): Locker => {
    let store: MemoryStore | undefined;
    // No address is looked for, and a test is not disturbed by what the environment says.
    const resolved = resolveLockerOptions({ ...given, store: "memory" }, {});
    const { requestTimeoutMs, takeoverDelayMs } = resolved;
    const locker = new ClockedLocker(clock, resolved, (events) => {
      const makeStore: StoreFactory = (context) => {
        store = new MemoryStore(leases, context);
        return faulty(store, outages, clock);
      };
      return new StoreBackend({ makeStore, events, requestTimeoutMs, takeoverDelayMs, clock });
    });
    stores.set(locker, store as MemoryStore);
    return locker;
  };
  const locker = open(checkOptions("createTestLocker's options", options));
  return {
    locker,
    clock: { now: () => clock.wallNowMs(), advance: (ms) => clock.advance(ms) },
    faults: faultsOf(leases, stores, outages),
    otherProcess: (others = {}) => {
      const own = checkOptions("otherProcess's options", others);
      return open({ ...options, owner: `other process ${stores.size}`, ...own });
    },
  };
}

/** Whoever closes a locker has no more use for the time: it moves on as far as that takes. */
class ClockedLocker extends StoreLocker {
  readonly #clock: ManualClock;

  constructor(clock: ManualClock, ...args: ConstructorParameters<typeof StoreLocker>) {
    super(...args);
    this.#clock = clock;
  }

  override close(options?: CloseOptions): Promise<void> {
    const closing = super.close(options);
    void this.#clock.advanceUntil(closing);
    return closing;
  }
}

/** `what` names them in the error. */
function checkOptions(what: string, options: unknown): TestLockerOptions {
  const given = checkNames(what, options, Object.keys(lockerNames));
  const option = ofDatabases.find((name) => given[name] !== undefined);
  if (option !== undefined) {
    const expected = `no ${option}: the leases of createTestLocker are in memory`;
    throw new InvalidOptionError({ option, expected, received: given[option] });
  }
  return given;
}

/** Also one of Node's own, such as a refused connection, where a test runner gives each file a realm of its own, with another `Error`. */
function isError(value: unknown): value is Error {
  return value instanceof Error || value instanceof DOMException || types.isNativeError(value);
}

function faultsOf(leases: MemoryLeases, stores: ReadonlyMap<Locker, MemoryStore>, outages: Outages): Faults {
  return {
    lose(key, reason = "taken") {
      leases.lose(
        checkText("key", key, 1, 512),
        checkOneOf("reason", reason, ["taken", "expired", "max-hold", "forced"]),
      );
    },
    crash(locker) {
      const store = stores.get(locker);
      if (store === undefined) {
        throw new InvalidOptionError({
          option: "locker",
          expected: "a locker of this createTestLocker",
          received: locker,
        });
      }
      store.crash();
    },
    slow(ms) {
      outages.slowMs = checkMs("ms", ms, 0);
    },
    disconnect() {
      outages.isDisconnected = true;
    },
    failNext(error) {
      if (!isError(error)) {
        throw new InvalidOptionError({ option: "error", expected: "an Error", received: error });
      }
      outages.next = error;
    },
    heal() {
      outages.heal();
    },
  };
}
