// A locker over a fake backend, with nothing that runs by itself.
import { type ResolvedLockerOptions, resolveLockerOptions } from "../../src/config/resolve-options.js";
import type { LockerOptions } from "../../src/index.js";
import type { Locker } from "../../src/locker/locker.js";
import { StoreLocker } from "../../src/locker/store-locker.js";
import { FakeBackend, gone } from "./fake-backend.js";
import { clock } from "./manual-clock.js";
import { watch } from "./outcome.js";

export interface Opened {
  readonly locker: Locker;
  readonly backend: FakeBackend;
  /** Closes the locker. What is held is released, last words find nothing. */
  close(): Promise<void>;
}

export function openFake(options: LockerOptions = {}, backend: FakeBackend = new FakeBackend()): Opened {
  const resolved: ResolvedLockerOptions = resolveLockerOptions({
    url: "postgres://app@db.example/app",
    idleTimeoutMs: Number.POSITIVE_INFINITY,
    sweepEveryMs: Number.POSITIVE_INFINITY,
    statsFlushMs: Number.POSITIVE_INFINITY,
    ...options,
  });
  const locker = new StoreLocker(resolved, (events) => backend.listen(events));
  const close = async (): Promise<void> => {
    backend.releases.reply ??= () => ({ outcome: "released", reason: null });
    backend.abandons.reply ??= () => gone;
    const closed = watch(locker.close(), "close");
    await clock.pass(20_000);
    closed.result;
  };
  return { locker, backend, close };
}
