// What those who come from other lock libraries expect of read locks and semaphores.
import { expect, test } from "vitest";
import {
  createLocker,
  InvalidOptionError,
  type Lock,
  type Locker,
  type ShareOptions,
  WaitTimeoutError,
} from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const release = (locks: readonly Lock[]) => Promise.all(locks.map((lock) => lock.release()));

const waiters = (key: string, count: number) =>
  until(`${count} wait for ${key}`, async () => {
    const [row] = await sql`select count(*)::int as count from leasehold.waiters where key = ${key}`;
    return row?.count === count;
  });

/** Waits in line, and notes when it was granted. */
function queue(locker: Locker, key: string, name: string, order: string[], options: ShareOptions = {}): Promise<Lock> {
  return locker.acquire(key, options).then((lock) => {
    order.push(name);
    return lock;
  });
}

test("readers share a key, of one process and of several, and a writer has it alone", async () => {
  await using one = openLocker(database);
  await using other = openLocker(database);

  const readers = [
    await one.acquire("a", { shared: true }),
    await one.acquire("a", { shared: true }),
    await other.acquire("a", { shared: true }),
  ];
  const refused = await other.tryAcquire("a");
  await release(readers);
  const writer = await other.tryAcquire("a");
  const reader = await one.tryAcquire("a", { shared: true });
  await writer?.release();

  expect(readers.map(({ mode, weight }) => [mode, weight])).toEqual(readers.map(() => ["shared", 1]));
  expect(new Set(readers.map(({ fence }) => fence)).size).toBe(3);
  expect([refused, reader]).toEqual([null, null]);
  expect(writer?.mode).toBe("exclusive");
  expect(writer && readers.every(({ fence }) => fence < writer.fence)).toBe(true);
});

test("a writer in line stops later readers, and those get in together once it is done", async () => {
  await using one = openLocker(database);
  await using other = openLocker(database);
  const order: string[] = [];
  const first = await one.acquire("b", { shared: true });
  const writing = queue(other, "b", "writer", order);
  await waiters("b", 1);

  const tried = await one.tryAcquire("b", { shared: true });
  const reading: Promise<Lock>[] = [];
  for (let number = 0; number < 6; number += 1) {
    reading.push(queue(number % 2 === 0 ? one : other, "b", "reader", order, { shared: true }));
  }
  await waiters("b", 7);
  await first.release();
  const writer = await writing;
  const before = [...order];
  await writer.release();
  const readers = await Promise.all(reading);
  const together = readers.every(({ held }) => held);
  await release(readers);

  expect(tried).toBeNull();
  expect(before).toEqual(["writer"]);
  expect(order).toEqual(["writer", ...readers.map(() => "reader")]);
  expect(together).toBe(true);
});

test("a writer that gives up lets the readers behind it in", async () => {
  await using one = openLocker(database);
  await using other = openLocker(database);
  const order: string[] = [];
  const first = await one.acquire("c", { shared: true });
  const signal = new AbortController();
  const writing = other.acquire("c", { signal: signal.signal }).catch((error: unknown) => error);
  await waiters("c", 1);
  const reading = [
    queue(one, "c", "one", order, { shared: true }),
    queue(other, "c", "other", order, { shared: true }),
  ];
  await waiters("c", 3);

  signal.abort(new Error("enough"));
  const readers = await Promise.all(reading);
  const [isFirstHeld, gaveUp] = [first.held, await writing];
  await release([first, ...readers]);

  expect(gaveUp).toMatchObject({ message: "enough" });
  expect(isFirstHeld).toBe(true);
});

test("the weights of a semaphore's holders fit into its capacity, and who is too heavy now is not passed by", async () => {
  await using locker = openLocker(database);
  const order: string[] = [];
  const held = [await locker.acquire("d", { capacity: 4, weight: 3 }), await locker.acquire("d", { capacity: 4 })];
  const heavy = queue(locker, "d", "heavy", order, { capacity: 4, weight: 2 });
  await waiters("d", 1);

  const full = await locker.tryAcquire("d", { capacity: 4 });
  await held[1]?.release();
  // there is room for it, and none for who stands in line
  const stillFull = await locker.tryAcquire("d", { capacity: 4 });
  const light = queue(locker, "d", "light", order, { capacity: 4 });
  await waiters("d", 2);
  const waiting = [...order];
  await held[0]?.release();
  const granted = await Promise.all([heavy, light]);
  await release(granted);

  expect([full, stillFull]).toEqual([null, null]);
  expect(waiting).toEqual([]);
  // both fit, so either may be told first
  expect([...order].sort()).toEqual(["heavy", "light"]);
  expect(granted.map(({ mode, weight }) => [mode, weight])).toEqual([
    ["semaphore", 2],
    ["semaphore", 1],
  ]);
});

test("where askers name different capacities, the smallest of those that hold, wait ahead and ask counts", async () => {
  await using locker = openLocker(database);
  const capacities = (...list: number[]) => Promise.all(list.map((capacity) => locker.tryAcquire("e", { capacity })));

  const two = await locker.acquire("e", { capacity: 2 });
  const five = await locker.acquire("e", { capacity: 5 });
  const beside = await capacities(5, 9);
  await two.release();
  const three = await locker.acquire("e", { capacity: 5 });
  const tooMany = await locker.tryAcquire("e", { capacity: 2 });
  const reader = await locker.tryAcquire("e", { shared: true });
  await release([five, three, ...(reader === null ? [] : [reader])]);

  expect(beside).toEqual([null, null]);
  expect(tooMany).toBeNull();
  expect(reader?.mode).toBe("shared"); // one of five
});

test("askers that name different capacities hear of it once for each key, by onError; those that name the same do not", async () => {
  for (const where of ["Postgres", "memory"]) {
    const errors: unknown[] = [];
    const onError = (error: unknown) => void errors.push(error);
    await using locker =
      where === "Postgres" ? openLocker(database, { onError }) : createLocker({ store: "memory", onError });

    const two = await locker.acquire("mixed", { capacity: 3 });
    const alike = [await locker.acquire("mixed", { capacity: 3 }), await locker.acquire("other", { capacity: 5 })];
    const before = [...errors];
    const mixed = [await locker.acquire("mixed", { capacity: 4 })];
    await release([alike[0] as Lock, ...mixed]);
    mixed.push(await locker.acquire("mixed", { capacity: 5 }));
    const reader = await locker.acquire("mixed", { shared: true });
    await release([two, alike[1] as Lock, mixed[1] as Lock, reader]);

    expect(before, where).toEqual([]);
    expect(errors, where).toMatchObject([
      { code: "invalid-option", option: "capacity", expected: "3", received: "4 (number)" },
    ]);
  }
});

test("a read lock counts as one of a semaphore's capacity, and a semaphore's holder keeps a writer out", async () => {
  await using locker = openLocker(database);

  const held = [await locker.acquire("f", { capacity: 2 }), await locker.acquire("f", { shared: true })];
  const refused = [
    await locker.tryAcquire("f", { shared: true }),
    await locker.tryAcquire("f", { capacity: 2 }),
    await locker.tryAcquire("f"),
  ];
  await release(held);

  expect(refused).toEqual([null, null, null]);
});

test("there is no upgrade: a writer waits for its own process's readers, and its timeout says so", async () => {
  await using locker = openLocker(database);
  await using reader = await locker.acquire("g", { shared: true });

  const error = await locker.acquire("g", { waitMs: 100 }).catch((reason: unknown) => reason);

  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect(error).toMatchObject({ isHeldHere: true, holder: { fence: reader.fence, isThisProcess: true } });
});

test.each<[string, ShareOptions | Record<string, unknown>, string]>([
  ["shared beside a capacity", { shared: true, capacity: 2 }, "capacity"],
  ["a weight alone", { weight: 1 }, "weight"],
  ["a weight above the capacity", { capacity: 2, weight: 3 }, "weight"],
  ["a capacity of 0", { capacity: 0 }, "capacity"],
  ["half a capacity", { capacity: 1.5 }, "capacity"],
  ["a capacity beyond integers", { capacity: 2 ** 31 }, "capacity"],
  ["a capacity as text", { capacity: "2" }, "capacity"],
  ["shared as a number", { shared: 1 }, "shared"],
])("%s is refused at once", async (_, options, option) => {
  await using locker = openLocker(database);
  const given = options as ShareOptions;
  const errors = await Promise.all(
    [
      locker.acquire("h", given),
      locker.tryAcquire("h", given),
      locker.withLock("h", () => {}, given),
      locker.tryWithLock("h", () => {}, given),
    ].map((call) => (call as Promise<unknown>).catch((error: unknown) => error)),
  );

  for (const error of errors) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  }
  expect(await sql`select from leasehold.leases where key = 'h'`).toHaveLength(0);
});

test("withLock and tryWithLock share a key like the others do", async () => {
  await using locker = openLocker(database);
  let inside = 0;
  let most = 0;
  const body = async (lock: Lock) => {
    inside += 1;
    most = Math.max(most, inside);
    await until("both are in", () => most === 2);
    inside -= 1;
    return lock.mode;
  };

  const [waited, tried] = await Promise.all([
    locker.withLock("i", body, { shared: true }),
    locker.tryWithLock("i", body, { shared: true }),
  ]);

  expect(waited).toBe("shared");
  expect(tried).toMatchObject({ acquired: true, value: "shared" });
});

test("get knows the oldest share of a key, locks all of them", async () => {
  await using locker = openLocker(database);
  const held = [];
  for (let number = 0; number < 3; number += 1) held.push(await locker.acquire("j", { shared: true }));

  const oldest = locker.get("j");
  const all = locker.locks("j");
  await held[0]?.release();
  const next = locker.get("j");
  await release(held.slice(1));

  expect(oldest).toBe(held[0]);
  expect(all).toEqual(held);
  expect(next).toBe(held[1]);
  expect(locker.get("j")).toBeUndefined();
});
