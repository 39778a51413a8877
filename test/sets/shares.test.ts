// Sets beside shares, and sets of shares.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { untilQueued } from "../waiting/queue.js";

const database = await createDatabase();
const { sql } = database;

test("a key that is shared keeps a set, which waits for all that share it", async () => {
  await using first = openLocker(database, { owner: "first" });
  await using second = openLocker(database);
  await using locker = openLocker(database);
  const readers = [await first.acquire("r:b", { shared: true }), await second.acquire("r:b", { shared: true })];
  const tried = await locker.tryWithLocks(["r:a", "r:b"], () => expect.fail("it ran"));
  const waiting = locker.acquireAll(["r:a", "r:b", "r:c"]);
  await untilQueued(database, "r:b", 1);
  await readers[0]?.release();
  const isFree = await second.tryAcquire("r:b", { shared: true }); // behind who waits
  await readers[1]?.release();
  const set = await waiting;
  const modes = set.locks.map(({ mode }) => mode);
  await set.release();
  expect(tried).toMatchObject({ acquired: false, key: "r:b", holder: { owner: "first" } });
  expect(isFree).toBeNull();
  expect(modes).toEqual(["exclusive", "exclusive", "exclusive"]);
});

test("a share that has expired is taken over, and the fence rises", async () => {
  await using reader = openLocker(database, { keepAlive: false, owner: "the reader", onLost: () => undefined });
  await using locker = openLocker(database);
  const share = await reader.acquire("e:b", { shared: true });
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 s' where key = 'e:b'`;
  const set = await locker.acquireAll(["e:a", "e:b"]);
  const { takenOver } = locker.stats();
  const fence = set.get("e:b")?.fence;
  await Promise.allSettled([set.release(), share.release()]);
  expect(fence).toBeGreaterThan(share.fence);
  expect(takenOver).toMatchObject({ expired: 1 });
});

test("a set of shares stands beside others, and gives back what it has when one does not fit", async () => {
  await using one = openLocker(database);
  await using two = openLocker(database);
  await using three = openLocker(database);
  const reading = [
    await one.acquireAll(["s:a", "s:b"], { shared: true }),
    await two.acquireAll(["s:b", "s:a"], { shared: true }),
  ];
  const modes = reading.flatMap(({ locks }) => locks.map(({ mode }) => mode));
  const slots = await one.acquireAll(["c:a", "c:b"], { capacity: 2 });
  const single = await two.acquire("c:b", { capacity: 2 });
  const full = await three.tryAcquireAll(["c:a", "c:b"], { capacity: 2 });
  const free = await three.tryAcquire("c:a", { capacity: 2 });
  const waiting = three.acquireAll(["c:b", "c:d"], { capacity: 2 });
  await untilQueued(database, "c:b", 1);
  await single.release();
  const theirs = await waiting;
  const weights = theirs.locks.map(({ mode, weight }) => [mode, weight]);
  await Promise.all([...reading, slots, theirs, free].map((hold) => hold?.release()));
  const [left] = await sql`select count(*)::int from leasehold.shares where released_at is null`;
  expect(modes).toEqual(["shared", "shared", "shared", "shared"]);
  expect(full).toBeNull();
  expect(free).not.toBeNull();
  expect(weights).toEqual([
    ["semaphore", 1],
    ["semaphore", 1],
  ]);
  expect(left?.count).toBe(0);
});

test.each([{ shared: true }, { capacity: 3, weight: 2, maxHoldMs: 30_000, waitMs: 10_000 }])(
  "20 keys that have room for a share take one statement, also when they are new: %o",
  async (options) => {
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { presence: "off" });
    await locker.withLock("cost", () => undefined);
    const keys = Array.from({ length: 20 }, (_, index) => `cost:${index}${"shared" in options}`);
    const named: (string | undefined)[][] = [];
    for (let round = 0; round < 2; round += 1) {
      proxy.statements.length = 0;
      const set = await locker.acquireAll(keys, options);
      await set.release();
      named.push(proxy.statements.map((one) => /leasehold_internal\.(\w+)/.exec(one.sql)?.[1]));
    }
    expect(named).toEqual([
      ["acquire_shares", "release_shares"],
      ["acquire_shares", "release_shares"],
    ]);
  },
);

test("a try of shares of which two are refused names the first of them, and counts it, and keeps nothing", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  await using locker = openLocker(database);
  await holder.acquireAll(["two:b", "two:d"]);
  const tried = await locker.tryWithLocks(["two:d", "two:c", "two:b", "two:a"], () => expect.fail("it ran"), {
    shared: true,
  });
  const { refused, hotKeys } = locker.stats();
  const left = await sql`select from leasehold.shares where key like 'two:%'`;
  expect(tried).toMatchObject({ acquired: false, key: "two:b", holder: { owner: "the holder" } });
  expect({ refused, hotKeys: hotKeys.map(({ key }) => key) }).toEqual({ refused: 1, hotKeys: ["two:b"] });
  expect(left).toHaveLength(0);
});
