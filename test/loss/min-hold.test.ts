import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const acquire = /leasehold_internal\.acquire(_first|_one)?\(/;
const hourMs = 3_600_000;
/** What follows an answer that is dropped. */
const then = "blackhole";

const isFree = (key: string) => async () => (await leaseRow(sql, key)).token === null;
const grants = async (key: string) =>
  (await sql`select acquisitions::int as n from leasehold.leases where key = ${key}`)[0]?.n as number;
const isQueued = async () => (await sql`select from leasehold.waiters`).length > 0;

test("a key released before its minimum hold has ended is kept from everybody until then, its own process included", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const lock = await locker.acquire("a", { minHoldMs: 4_000 });
  const first = await leaseRow(sql, "a");

  await lock.release();

  expect(await locker.check("a")).toMatchObject({ state: "cooling", fence: lock.fence });
  expect(await locker.tryAcquire("a")).toBeNull();
  expect(await other.tryAcquire("a")).toBeNull();
  expect(await leaseRow(sql, "a")).toMatchObject({ token: null, holdUntil: first.acquiredAt + 4_000 });
  const next = await other.acquire("a");
  expect((await leaseRow(sql, "a")).acquiredAt).toBeGreaterThanOrEqual(first.acquiredAt + 4_000);
  await next.release();
  // it was of that hold alone
  expect(await other.check("a")).toBeNull();
});

test("the minimum hold outlives the process that released, and a crash before the release drops it", async () => {
  const minHoldMs = 2_500;
  const options = { ttlMs: 90_000, takeoverDelayMs: 1_000, minHoldMs };
  await using ending = await openLockProcess(database, { options });
  await using dying = await openLockProcess(database, { options: { ...options, minHoldMs: 60_000 } });
  await using locker = openLocker(database);
  await dying.acquire("crashed");
  await ending.acquire("ended");
  const before = { ended: await leaseRow(sql, "ended"), crashed: await leaseRow(sql, "crashed") };

  await Promise.all([ending.close(), dying.worker.kill("SIGKILL")]);
  const [ended, crashed] = await Promise.all([locker.acquire("ended"), locker.acquire("crashed")]);

  const after = { ended: await leaseRow(sql, "ended"), crashed: await leaseRow(sql, "crashed") };
  expect(after.ended.acquiredAt).toBeGreaterThanOrEqual(before.ended.acquiredAt + minHoldMs);
  expect(after.crashed.acquiredAt).toBeLessThan(before.crashed.acquiredAt + 60_000);
  await ended.release();
  await crashed.release();
  expectLeft(database, "sessions");
});

test("a minimum hold between two bounds is drawn for each grant, and keeps the key for that long", async () => {
  const [min, max] = [20_000, 60_000];
  await using locker = openLocker(database, { minHoldMs: [min, max] });
  await using other = openLocker(database);
  // several of each kind in one turn of the event loop
  const ways = [
    (key: string) => locker.acquire(key),
    (key: string) => locker.tryAcquire(key),
    (key: string) => locker.acquire(key, { ttlMs: 20_000 }),
    (key: string) => other.acquire(key, { minHoldMs: [min, max] }),
  ];
  const keys = ways.flatMap((_, way) => [0, 1, 2].map((n) => `drawn-${way}-${n}`));
  const locks = await Promise.all(keys.map((key, n) => ways[Math.floor(n / 3)]?.(key)));
  await Promise.all(locks.map((lock) => lock?.release()));

  const rows = await Promise.all(keys.map((key) => leaseRow(sql, key)));
  const holds = rows.map(({ acquiredAt, holdUntil }) => Math.round((holdUntil ?? 0) - acquiredAt));
  for (const hold of holds) {
    expect(hold).toBeGreaterThanOrEqual(min);
    expect(hold).toBeLessThanOrEqual(max);
  }
  for (const way of ways.keys()) {
    expect(new Set(holds.slice(3 * way, 3 * way + 3)).size, ways[way]?.toString()).toBeGreaterThan(1);
  }
  for (const key of keys) expect(await other.tryAcquire(key)).toBeNull();
  expect((await locker.debug()).options).toMatchObject({ minHoldMs: [min, max] });
});

test("a drawn minimum hold is over at its time, and not before", async () => {
  await using locker = openLocker(database, { minHoldMs: [800, 1_600] });
  const lock = await locker.acquire("drawn");
  await lock.release();
  const { acquiredAt, holdUntil } = await leaseRow(sql, "drawn");
  await using other = openLocker(database);
  const next = await other.acquire("drawn");

  expect(holdUntil).toBeGreaterThanOrEqual(acquiredAt + 800);
  expect(holdUntil).toBeLessThanOrEqual(acquiredAt + 1_600);
  expect((await leaseRow(sql, "drawn")).acquiredAt).toBeGreaterThanOrEqual(holdUntil ?? 0);
  await next.release();
});

test("a minimum hold that had ended at the release keeps nobody out", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("short", { minHoldMs: 1 });

  await sql`select pg_sleep(0.01)`;
  await lock.release();

  const next = await locker.tryAcquire("short");
  expect(next?.held).toBe(true);
  await next?.release();
});

// taken back alone and in a batch, which go different ways in the function
test.each([1, 4])(
  "grants whose answer never came keep nobody out once they are taken back, whatever their minimum hold (%i at once)",
  async (count) => {
    const keys = Array.from({ length: count }, (_, n) => `unheard-${count}-${n}`);
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 3_000, minHoldMs: hourMs });
    await using other = openLocker(database);
    await locker.ready();
    const { dropped } = proxy.dropAnswerOf(acquire, { then });

    const acquiring = Promise.allSettled(keys.map((key) => locker.acquire(key, { waitMs: 1 })));
    await dropped;
    expect(await Promise.all(keys.map(grants))).toEqual(keys.map(() => 1));
    expect((await acquiring).map(({ status }) => status)).toEqual(keys.map(() => "rejected"));

    for (const key of keys) {
      await until("it is taken back", isFree(key));
      const lock = await other.tryAcquire(key);
      expect(lock?.held).toBe(true);
      await lock?.release();
    }
  },
);

test("a wait that is cancelled while its grant is on its way keeps nobody out, whatever its minimum hold", async () => {
  await using proxy = await startProxy(database.url);
  await using waiter = openLocker(proxy.url(database.url), { minHoldMs: hourMs });
  await using other = openLocker(database);
  const held = await other.acquire("cancelled");
  const controller = new AbortController();
  const refused = expect(waiter.acquire("cancelled", { signal: controller.signal })).rejects.toThrow("never mind");
  await until("it waits", isQueued);
  // Before the release: a look that is on its way by then would be granted past the one that is held.
  const look = proxy.holdStatement(acquire);
  await look.arrived;
  await held.release();

  controller.abort(new Error("never mind"));
  await refused;
  await look.forward();

  expect(await grants("cancelled")).toBe(2);
  await until("it is taken back", isFree("cancelled"));
  const lock = await other.tryAcquire("cancelled");
  expect(lock?.held).toBe(true);
  await lock?.release();
});

// released alone and in a batch, by token alone since more than one look was sent
test.each([1, 3])(
  "the minimum hold of locks that were waited for begins with their grant, and a release keeps to it (%i at once)",
  async (count) => {
    const keys = Array.from({ length: count }, (_, n) => `waited-${count}-${n}`);
    await using holder = openLocker(database);
    await using waiter = openLocker(database);
    const held = await Promise.all(keys.map((key) => holder.acquire(key)));
    const waiting = keys.map((key) => waiter.acquire(key, { minHoldMs: hourMs }));
    await until("all wait", async () => (await sql`select from leasehold.waiters`).length === count);
    for (const lock of held) await lock.release();
    const locks = await Promise.all(waiting);

    await Promise.all(locks.map((lock) => lock.release()));

    for (const key of keys) {
      const { token, acquiredAt, holdUntil } = await leaseRow(sql, key);
      expect({ token, holdUntil }).toEqual({ token: null, holdUntil: acquiredAt + hourMs });
      expect(await holder.tryAcquire(key)).toBeNull();
    }
  },
);

test.each(["on", "off"] as const)(
  "a release that never arrived is made up for in the background, and keeps to the minimum hold (presence %s)",
  async (presence) => {
    const key = `made-up-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), {
      presence,
      requestTimeoutMs: 3_000,
      ttlMs: 60_000,
      minHoldMs: hourMs,
    });
    const lock = await locker.acquire(key);
    const release = proxy.holdStatement(/leasehold_internal\.release\(/);
    const lastWord = proxy.onStatement(/leasehold_internal\.abandon\(/);

    await expect(lock.release()).rejects.toMatchObject({ name: "UnavailableError", outcome: "unknown" });
    await lastWord;
    await until("it is freed", isFree(key));

    const { acquiredAt, holdUntil } = await leaseRow(sql, key);
    expect(holdUntil).toBe(acquiredAt + hourMs);
    release.discard();
  },
);
