import type { LockerOptions } from "../api/options.js";
import { resolveInstances } from "../config/resolve-instances.js";
import { type ResolvedLockerOptions, resolveLockerOptions } from "../config/resolve-options.js";
import { sharedMemoryStore } from "../memory/memory-store.js";
import { noopStore } from "../memory/noop-store.js";
import { nextLockerId } from "../observe/hooks/publisher.js";
import { PostgresBackend } from "../postgres/postgres-backend.js";
import { systemClock } from "../runtime/clock.js";
import type { Backend, BackendEvents } from "../store/backend.js";
import { StoreBackend } from "../store/store-backend.js";
import type { Locker } from "./locker.js";
import { RoutedLocker } from "./routed-locker.js";
import { StoreLocker } from "./store-locker.js";

/**
 * Makes a locker. It connects when it is first used, does not keep the process alive by itself, and should be closed at the end.
 *
 * ```ts
 * const locker = createLocker({ url: "postgres://app@db.example/app" });
 * await locker.withLock("order:42", async (lock) => {
 *   await charge(42, { signal: lock.signal });
 * });
 * ```
 * @throws {InvalidOptionError} which names the option, what was expected and what was given
 */
export function createLocker(options: LockerOptions = {}): Locker {
  const instances = resolveInstances(options);
  if (instances === null) {
    return openOver(resolveLockerOptions(options));
  }
  const lockerId = nextLockerId();
  return new RoutedLocker(
    instances.map(({ name, weight, options }) => ({ name, weight, locker: openOver(options, lockerId) })),
    instances[0]?.options.prefix ?? "",
  );
}

function openOver(options: ResolvedLockerOptions, lockerId?: number): StoreLocker {
  return new StoreLocker(options, (events) => makeBackend(options, events), lockerId);
}

function makeBackend(options: ResolvedLockerOptions, events: BackendEvents): Backend {
  const { store, instance, requestTimeoutMs, takeoverDelayMs } = options;
  if (store === "postgres") {
    return new PostgresBackend(options, events);
  }
  const makeStore = store === "memory" ? sharedMemoryStore(instance) : store === "noop" ? noopStore() : store;
  return new StoreBackend({ makeStore, events, requestTimeoutMs, takeoverDelayMs, clock: systemClock });
}
