import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a body that never returns loses its lock after maxHoldMs, however often it was renewed", async () => {
  await using locker = openLocker(database, { ttlMs: 4_000, renewEveryMs: 100, maxHoldMs: 8_000 });
  await using other = openLocker(database);
  const lock = await locker.acquire("a");
  const start = await leaseRow(sql, "a");
  await until(
    "it was renewed up to its end",
    async () => (await leaseRow(sql, "a")).expiresAt >= start.acquiredAt + 8_000,
  );
  expect(lock.held).toBe(true);

  const next = await other.acquire("a");

  const row = await leaseRow(sql, "a");
  expect(row.acquiredAt).toBeGreaterThanOrEqual(start.acquiredAt + 8_000);
  expect(next.fence).toBeGreaterThan(lock.fence);
  expect(lock.signal.reason).toMatchObject({ name: "LeaseLostError", reason: "max-hold" });
  await expect(lock.renew()).rejects.toMatchObject({ reason: "max-hold" });
  await next.release();
});

// each goes its own way in the function: alone or in a batch, to a new row, a free one, or one that somebody holds
test.each(["new", "free", "held"])(
  "neither a long TTL nor a renewal reaches beyond maxHoldMs, alone and in a batch, on a %s key",
  async (kind) => {
    await using locker = openLocker(database, { keepAlive: false, ttlMs: 60_000, maxHoldMs: 10_000 });
    const keys = [`alone-${kind}`, `first-${kind}`, `second-${kind}`];
    const before =
      kind === "new"
        ? []
        : await Promise.all(keys.map((key) => locker.acquire(key, { ttlMs: 2_000, maxHoldMs: 3_000 })));
    if (kind === "free") for (const lock of before) await lock.release();
    const alone = await locker.acquire(keys[0] as string);

    const locks = [alone, ...(await Promise.all(keys.slice(1).map((key) => locker.acquire(key))))];
    const granted = await Promise.all(keys.map((key) => leaseRow(sql, key)));
    await alone.renew(120_000);
    await Promise.all(locks.map((lock) => lock.renew(120_000)));

    const renewed = await Promise.all(keys.map((key) => leaseRow(sql, key)));
    for (const [index, { acquiredAt, expiresAt }] of granted.entries()) {
      expect(expiresAt).toBeCloseTo(acquiredAt + 10_000, 0);
      expect(renewed[index]?.expiresAt).toBe(expiresAt);
      expect(locks[index]?.remainingMs).toBeLessThanOrEqual(10_000);
    }
    for (const lock of locks) await lock.release();
  },
);

test("withLock rejects with max-hold when the body outlasts it, and lets the body end first", async () => {
  await using locker = openLocker(database, { ttlMs: 3_000, maxHoldMs: 3_500 });
  let hasEnded = false;

  const work = locker.withLock("c", async (lock) => {
    await until("it is lost", () => lock.signal.aborted);
    hasEnded = true;
  });

  await expect(work).rejects.toMatchObject({ name: "LeaseLostError", reason: "max-hold" });
  expect(hasEnded).toBe(true);
});

test("a lease that only proves itself after a reconnect ends when it would have ended, with maxHoldMs as without", async () => {
  const ttlMs = 20_000;
  await using locker = openLocker(database, { ttlMs, keepAlive: false });
  const keys = ["bounded", "unbounded"];
  const locks = [await locker.acquire("bounded", { maxHoldMs: 3_600_000 }), await locker.acquire("unbounded")];
  const before = await Promise.all(keys.map((key) => leaseRow(sql, key)));
  const areProven = async () =>
    (await sql`select from leasehold.leases where key in ${sql(keys)} and renewed_at > acquired_at`).length === 2;

  expect(await sql`select pg_terminate_backend(${before[0]?.pid as number}) as done`).toEqual([{ done: true }]);
  await until("they are proven under the new session", areProven);
  await until("their process knows", () => locks.every(({ held }) => held));

  for (const [index, lock] of locks.entries()) {
    const after = await leaseRow(sql, lock.key);
    expect(after.pid).not.toBe(before[index]?.pid);
    expect(after.expiresAt).toBe(before[index]?.expiresAt);
    expect(lock.expiresAt.getTime()).toBe(Math.floor(after.expiresAt));
    expect(lock.remainingMs).toBeLessThanOrEqual(ttlMs);
    await lock.release();
  }
});
