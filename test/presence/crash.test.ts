import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a killed holder's key goes to who waits, its takeover delay after its last heartbeat and before its TTL", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  const first = await holder.acquire("a");
  const waiting = locker.acquire("a");
  await until("the wait is in the queue", async () => (await sql`select from leasehold.waiters`).length > 0);

  await holder.worker.kill("SIGKILL");
  const dead = await leaseRow(sql, "a");
  await using lock = await waiting;

  expectLeft(database, "sessions");
  const row = await leaseRow(sql, "a");
  const seen = await seenAt(sql, dead.sessionId);
  expect(dead).toMatchObject(grantOf(first));
  expect(row.acquiredAt).toBeGreaterThanOrEqual(seen + 1_000);
  expect(row.acquiredAt).toBeLessThan(dead.expiresAt);
  expect(lock.fence).toBeGreaterThan(first.fence);
});

test("while a holder's connection stands, its key is not taken however long its heartbeats are missing", async () => {
  await using holder = await openLockProcess(database, {
    options: { ttlMs: 6_000, renewEveryMs: 5_900, takeoverDelayMs: 1_000 },
  });
  await using locker = openLocker(database);
  await holder.acquire("frozen");

  holder.worker.stop();
  const frozen = await leaseRow(sql, "frozen");
  await using lock = await locker.acquire("frozen");

  const row = await leaseRow(sql, "frozen");
  // the delay had passed long before: only the TTL freed it
  expect(await seenAt(sql, frozen.sessionId)).toBeLessThan(frozen.expiresAt - 1_000);
  expect(row.acquiredAt).toBeGreaterThanOrEqual(frozen.expiresAt);
  expect(lock.held).toBe(true);
  expectLeft(database, "sessions");
});

test("of a killed process all leases are free and all waits are skipped", async () => {
  const keys = Array.from({ length: 50 }, (_, number) => `many-${number}`);
  const waited = keys.map((key) => `waited-${key}`);
  const ttlMs = 60_000;
  await using dying = await openLockProcess(database, { options: { ttlMs, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  await using others = openLocker(database, { ttlMs });
  const before = await Promise.all(waited.map((key) => others.acquire(key)));
  for (const key of keys) await dying.acquire(key);
  await dying.wait(waited);
  await until("they stand first", async () => (await sql`select from leasehold.waiters`).length === waited.length);
  const behind = [...keys, ...waited].map((key) => locker.acquire(key));
  await until(
    "we wait in the queue",
    async () => (await sql`select from leasehold.waiters`).length === 3 * waited.length,
  );

  await dying.worker.kill("SIGKILL");
  const [dead] =
    await sql`select min(extract(epoch from expires_at))::float8 * 1000 as expires, min(session_id) as session
    from leasehold.leases where key like 'many-%'`;
  await Promise.all(before.map((lock) => lock.release()));
  const locks = await Promise.all(behind);

  const [last] =
    await sql`select max(extract(epoch from acquired_at))::float8 * 1000 as acquired from leasehold.leases`;
  expect(locks.map((lock) => lock.held)).not.toContain(false);
  expect(last?.acquired).toBeLessThan(dead?.expires);
  expect(await sql`select from leasehold.waiters`).toHaveLength(0);
  expectLeft(database, "sessions");
});
