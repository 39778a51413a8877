import type { Lock, Locker } from "../../src/index.js";

/** Every call that asks Postgres, by its name. The locks are held, each for one call. */
export function everyCall(
  locker: Locker,
  { renewed, released }: { readonly renewed: Lock; readonly released: Lock },
): Readonly<Record<string, () => Promise<unknown>>> {
  return { ...everyCallWithoutLock(locker), renew: () => renewed.renew(), release: () => released.release() };
}

/** A wait outlasts an outage until `waitMs` is over, so these wait no longer than for one answer. */
export function everyCallWithoutLock(locker: Locker): Readonly<Record<string, () => Promise<unknown>>> {
  return {
    ready: () => locker.ready(),
    acquire: () => locker.acquire("every-acquire", { waitMs: 1 }),
    tryAcquire: () => locker.tryAcquire("every-try"),
    withLock: () => locker.withLock("every-with", () => 1, { waitMs: 1 }),
    tryWithLock: () => locker.tryWithLock("every-try-with", () => 1),
    check: () => locker.check("every-check"),
    isLocked: () => locker.isLocked("every-is-locked"),
    forceRelease: () => locker.forceRelease("every-force"),
    ping: () => locker.ping(),
  };
}
