import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

test("a key released before its minimum hold is over is kept from everybody until then, its own process included", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const lock = await locker.acquire("a", { minHoldMs: 1_500 });
  const first = await leaseRow(sql, "a");

  await lock.release();

  expect(await locker.check("a")).toMatchObject({ state: "cooling", fence: lock.fence });
  expect(await locker.tryAcquire("a")).toBeNull();
  expect(await other.tryAcquire("a")).toBeNull();
  expect(await leaseRow(sql, "a")).toMatchObject({ token: null, holdUntil: first.acquiredAt + 1_500 });
  const next = await other.acquire("a");
  expect((await leaseRow(sql, "a")).acquiredAt).toBeGreaterThanOrEqual(first.acquiredAt + 1_500);
  await next.release();
  // it was of that hold alone
  expect(await other.check("a")).toBeNull();
});

test("the minimum hold outlives the process that released, and a crash before the release drops it", async () => {
  const minHoldMs = 2_500;
  const options = { ttlMs: 20_000, takeoverDelayMs: 1_000, minHoldMs };
  await using ending = await openLockProcess(database, { options });
  await using dying = await openLockProcess(database, { options: { ...options, minHoldMs: 15_000 } });
  await using locker = openLocker(database);
  await dying.acquire("crashed");
  await ending.acquire("ended");
  const before = { ended: await leaseRow(sql, "ended"), crashed: await leaseRow(sql, "crashed") };

  await Promise.all([ending.close(), dying.worker.kill("SIGKILL")]);
  const [ended, crashed] = await Promise.all([locker.acquire("ended"), locker.acquire("crashed")]);

  const after = { ended: await leaseRow(sql, "ended"), crashed: await leaseRow(sql, "crashed") };
  expect(after.ended.acquiredAt).toBeGreaterThanOrEqual(before.ended.acquiredAt + minHoldMs);
  expect(after.crashed.acquiredAt).toBeLessThan(before.crashed.acquiredAt + 15_000);
  await ended.release();
  await crashed.release();
  expectLeft(database, "sessions");
});

test("a minimum hold that was over at the release keeps nobody out", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("short", { minHoldMs: 1 });

  await sql`select pg_sleep(0.01)`;
  await lock.release();

  const next = await locker.tryAcquire("short");
  expect(next?.held).toBe(true);
  await next?.release();
});
