// How an instance is added and taken away while processes go on: docs/guides/instances.md. Each has its own locker over the same three.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, type Locker } from "../../src/index.js";
import { memoryStore, type StoreFactory } from "../../src/store.js";

const keys = Array.from({ length: 40 }, (_, index) => `order:${index}`);

type Take = (locker: Locker, key: string, work: () => Promise<void>) => Promise<void>;

/** What a process does, with a locker of its own for each configuration. */
interface Phase {
  readonly locker: Locker;
  readonly take: Take;
}

function phases(
  stores: Readonly<Record<string, StoreFactory>>,
): (weights: Record<string, number>, take: Take) => Phase {
  return (weights, take) => {
    const instances = Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => [name, { store: stores[name] ?? memoryStore(), weight }]),
    );
    const locker = createLocker({ instances });
    onTestFinished(() => locker.close());
    return { locker, take };
  };
}

/** How many keys two of them are in at the same time. */
async function overlaps(one: Phase, other: Phase): Promise<number> {
  let found = 0;
  for (const key of keys) {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside -= 1;
    };
    await Promise.all([one.take(one.locker, key, work), other.take(other.locker, key, work)]);
    if (most > 1) found += 1;
  }
  return found;
}

const once: Take = (locker, key, work) => locker.withLock(key, work);

test("an instance is added in two steps without a key that is held twice; in one step there are some", async () => {
  const phase = phases({ east: memoryStore(), west: memoryStore(), north: memoryStore() });
  const before = phase({ east: 1, west: 1 }, once);
  const both = phase({ east: 1, west: 1, north: 0 }, (locker, key, work) =>
    locker.withLock(key, () => locker.on("north").withLock(key, work)),
  );
  const after = phase({ east: 1, west: 1, north: 1 }, once);
  expect(await overlaps(before, after)).toBeGreaterThan(5);
  expect(await overlaps(before, both)).toBe(0);
  expect(await overlaps(both, both)).toBe(0);
  expect(await overlaps(both, after)).toBe(0);
});

test("an instance is taken away in two steps, too", async () => {
  const phase = phases({ east: memoryStore(), west: memoryStore(), north: memoryStore() });
  const before = phase({ east: 1, west: 1, north: 1 }, once);
  const next = phase({ east: 1, west: 1, north: 0 }, once);
  const both = phase({ east: 1, west: 1, north: 1 }, (locker, key, work) =>
    locker.withLock(key, (lock) => (lock.instance === "north" ? next.locker.withLock(key, work) : work())),
  );
  expect(await overlaps(before, next)).toBeGreaterThan(5);
  expect(await overlaps(before, both)).toBe(0);
  expect(await overlaps(both, both)).toBe(0);
  expect(await overlaps(both, next)).toBe(0);
});
