import type { LockerOptions } from "../api/options.js";
import { type ResolvedLockerOptions, resolveLockerOptions } from "../config/resolve-options.js";
import { sharedMemoryStore } from "../memory/memory-store.js";
import { noopStore } from "../memory/noop-store.js";
import { PostgresBackend } from "../postgres/postgres-backend.js";
import { systemClock } from "../runtime/clock.js";
import type { Backend, BackendEvents } from "../store/backend.js";
import { StoreBackend } from "../store/store-backend.js";
import type { Locker } from "./locker.js";
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
  const resolved = resolveLockerOptions(options);
  return new StoreLocker(resolved, (events) => makeBackend(resolved, events));
}

function makeBackend(options: ResolvedLockerOptions, events: BackendEvents): Backend {
  const { store, requestTimeoutMs, takeoverDelayMs } = options;
  if (store === "postgres") {
    return new PostgresBackend(options, events);
  }
  const makeStore = store === "memory" ? sharedMemoryStore() : store === "noop" ? noopStore() : store;
  return new StoreBackend({ makeStore, events, requestTimeoutMs, takeoverDelayMs, clock: systemClock });
}
