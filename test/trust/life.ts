import type { Locker } from "../../src/index.js";

/** All that a locker does, one way or another: `other` contends with it for a key. */
export async function live(locker: Locker, other: Locker, name: string): Promise<void> {
  const key = `life:${name}`;
  await locker.ready();
  const lock = await locker.acquire(key, { metadata: { a: 1 }, minHoldMs: 1, maxHoldMs: 60_000 });
  const waiting = other.acquire(key);
  const cancelled = new AbortController();
  const leaving = other.acquire(key, { signal: cancelled.signal });
  leaving.catch(() => undefined);
  await lock.renew();
  await locker.check(key);
  await locker.isLocked(key);
  await locker.checkFence(key, lock.fence);
  await locker.checkFence(key, lock.fence);
  await locker.ping();
  await locker.capabilities();
  await locker.debug();
  cancelled.abort();
  await leaving.catch(() => undefined);
  await lock.release();
  await (await waiting).release();
  await locker.withLock(`${key}:short`, () => undefined);
  const forced = await other.acquire(`${key}:forced`);
  await locker.forceRelease(`${key}:forced`);
  await forced.renew().catch(() => undefined);
  await forced.release().catch(() => undefined);
  await locker.sweep();
  await locker.close();
  await other.close();
}
