// Where a lock is adopted when there are several instances.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, InvalidOptionError, type Locker } from "../../src/index.js";
import { memoryStore } from "../../src/store.js";

const stores = { east: memoryStore(), west: memoryStore(), north: memoryStore() };
const names = ["east", "west", "north"] as const;

function open(weights: Partial<Record<(typeof names)[number], number>> = {}): Locker {
  const instances = Object.fromEntries(
    names.map((name) => [name, { store: stores[name], weight: weights[name] ?? 1 }]),
  );
  const locker = createLocker({ prefix: "shop:", instances });
  onTestFinished(() => locker.close());
  return locker;
}

test("a detached lock names its instance, and is adopted there, wherever its key belongs", async () => {
  const locker = open();
  const other = open({ east: 0 });
  for (const name of names) {
    const lock = await locker.on(name).acquire(`on-${name}`);
    const detached = await lock.detach();
    expect(detached).toMatchObject({ key: `shop:on-${name}`, instance: name });
    const adopted = await other.adopt(detached);
    expect([adopted.instance, adopted.fence]).toEqual([name, lock.fence]);
    expect(other.on(name).locks()).toEqual([adopted]);
    await adopted.release();
  }
});

test("one that names none is where its key belongs", async () => {
  const locker = open();
  const other = open();
  for (let n = 0; n < 20; n += 1) {
    const lock = await locker.acquire(`key-${n}`);
    const { key, token, fence } = await lock.detach();
    const adopted = await other.adopt({ key, token, fence });
    expect(adopted.instance).toBe(lock.instance);
    await adopted.release();
  }
});

test("an instance that is not there, or is another one, is refused", async () => {
  const locker = open();
  const detached = await (await locker.on("east").acquire("a")).detach();
  const errors = [
    await locker.adopt({ ...detached, instance: "south" }).catch((error: unknown) => error),
    await locker
      .on("west")
      .adopt(detached)
      .catch((error: unknown) => error),
  ];
  expect(errors.map((error) => error instanceof InvalidOptionError)).toEqual([true, true]);
  expect(errors).toMatchObject([
    { option: "detached.instance", expected: 'the name of an instance: "east", "west", "north"' },
    { option: "detached.instance", expected: 'the name of an instance: "west"' },
  ]);
  await (await locker.on("east").adopt(detached)).release();
});

test("a locker over one database without a name adopts what is in that database", async () => {
  const locker = open();
  const plain = createLocker({ store: stores.east });
  onTestFinished(() => plain.close());
  const lock = await locker.on("east").acquire("plain");
  const adopted = await plain.adopt(await lock.detach());
  expect([adopted.instance, adopted.fence]).toEqual([null, lock.fence]);
  await adopted.release();
});
