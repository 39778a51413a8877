import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a holder that is forced out is told at its next renewal, and the key goes to the next when it has let go", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000, renewEveryMs: 200 });
  await using operator = openLocker(database);
  const lock = await holder.acquire("a");
  const { signal } = lock;
  const wait = operator.acquire("a");
  await until("somebody waits", async () => (await sql`select from leasehold.waiters`).length > 0);
  const before = await leaseRow(sql, "a");

  expect(await operator.forceRelease("a")).toBe(true);
  await until("it is told", () => signal.aborted);

  expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "forced" });
  await using next = await wait;
  expect((await leaseRow(sql, "a")).acquiredAt).toBeLessThan(before.expiresAt);
  expect(next.fence).toBeGreaterThan(lock.fence);
  await expect(lock.release()).rejects.toBe(signal.reason);
});

test("a holder that is forced out and does not listen keeps the key until the expiry it was last given, and no longer", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 1_500, takeoverDelayMs: 1_000 } });
  await using operator = openLocker(database);
  const first = await holder.acquire("deaf");
  holder.worker.stop();
  const before = await leaseRow(sql, "deaf");

  expect(await operator.forceRelease("deaf")).toBe(true);
  expect(await operator.tryAcquire("deaf")).toBeNull();
  const next = await operator.acquire("deaf");

  const row = await leaseRow(sql, "deaf");
  expect(row.acquiredAt).toBeGreaterThanOrEqual(before.expiresAt);
  expect(next.fence).toBeGreaterThan(first.fence);
  await next.release();
  holder.worker.cont();
  await holder.close();
});

test("forced at once, the key goes to who waits while the old holder still believes; its fence is the smaller one", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000, keepAlive: false });
  await using operator = openLocker(database);
  const lock = await holder.acquire("b");
  const wait = operator.acquire("b");
  await until("somebody waits", async () => (await sql`select from leasehold.waiters`).length > 0);

  expect(await operator.forceRelease("b", { immediate: true })).toBe(true);
  const next = await wait;

  expect(lock.held).toBe(true);
  expect(next.fence).toBeGreaterThan(lock.fence);
  await expect(lock.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "taken" });
  expect(lock.held).toBe(false);
  expect(next.held).toBe(true);
  await next.release();
});

test("forceRelease with a fence spares a newer grant, and says when there is nothing to force", async () => {
  await using locker = openLocker(database, { ttlMs: 60_000 });
  const old = await locker.acquire("c");
  await old.release();
  expect(await locker.forceRelease("c", { immediate: true })).toBe(false);
  expect(await locker.forceRelease("never-seen")).toBe(false);
  const current = await locker.acquire("c");

  expect(await locker.forceRelease("c", { fence: old.fence, immediate: true })).toBe(false);
  await current.renew();
  expect(current.held).toBe(true);
  expect(await locker.forceRelease("c", { fence: current.fence, immediate: true })).toBe(true);

  await expect(current.renew()).rejects.toMatchObject({ reason: "forced" });
});
