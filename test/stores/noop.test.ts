// A locker over the store that locks nothing: several hold a key at once, and none of them has lost it.
import { expect, test } from "vitest";
import { createLocker } from "../../src/index.js";
import { noopStore } from "../../src/store.js";
import { until } from "../support/until.js";

test("it has as many locks on a key as are asked for, and none of them is lost", async () => {
  await using locker = createLocker({ store: "noop", ttlMs: 1_000, renewEveryMs: 20 });
  const first = await locker.acquire("a");
  const second = await locker.acquire("a");
  expect(second.fence).toBeGreaterThan(first.fence);
  await until("both were renewed", () => locker.stats().renewed >= 4);
  expect([first.held, second.held]).toEqual([true, true]);
  expect(locker.locks()).toEqual([first, second]);
  expect(locker.get("a")).toBe(second);
  await second.release();
  expect(locker.get("a")).toBe(first);
  await first.release();
  expect(locker.get("a")).toBeUndefined();
  expect(locker.stats()).toMatchObject({ acquired: 2, released: 2, lost: { taken: 0 } });
});

test("bodies on one key run side by side", async () => {
  await using locker = createLocker({ store: noopStore() });
  let open = (): void => undefined;
  const together = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = locker.withLock("a", () => together);
  const second = locker.withLock("a", async () => open());
  expect(await Promise.all([first, second])).toEqual([undefined, undefined]);
});

test("it grants shares of a key beside an exclusive lock, and ends none of them", async () => {
  await using locker = createLocker({ store: noopStore() });
  const locks = [await locker.acquire("a"), await locker.acquire("a", { shared: true })];
  locks.push(await locker.acquire("a", { capacity: 1 }), await locker.acquire("a", { capacity: 1 }));
  expect(locks.map(({ mode, held }) => [mode, held])).toEqual([
    ["exclusive", true],
    ["shared", true],
    ["semaphore", true],
    ["semaphore", true],
  ]);
  for (const lock of locks) await lock.release();
  expect(locker.locks()).toEqual([]);
});
