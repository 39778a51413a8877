// call leasehold.acquire(...) for read locks and semaphores, in one queue with lockers.
import { expect, test } from "vitest";
import { shareRows } from "../shares/share-row.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { untilQueued } from "../waiting/queue.js";
import { callAcquire, releaseInSql, startCall } from "./waiting-call.js";

const database = await createDatabase();
const { sql } = database;

test("a reader in SQL shares the key with lockers, and waits behind a writer in line", async () => {
  await using locker = openLocker(database);
  const reader = await locker.acquire("a", { shared: true });
  const beside = await callAcquire(sql, "a", ", shared => true");
  const writing = locker.acquire("a");
  await untilQueued(database, "a", 1);
  await using call = await startCall(database, "a", ", shared => true");
  await untilQueued(database, "a", 2);

  await reader.release();
  const isReleased = await releaseInSql(sql, "a", beside);
  const writer = await writing;
  const during = call.grant;
  await writer.release();
  const granted = await call.ended;

  expect(isReleased).toBe(true);
  expect(during).toBeNull();
  expect(granted).toMatchObject({ fence: expect.any(BigInt) });
  expect((await shareRows(sql, "a")).map(({ fence }) => fence)).toEqual([(granted as { fence: bigint }).fence]);
  expect(await releaseInSql(sql, "a", granted as { token: string })).toBe(true);
});

test("a part of a semaphore in SQL waits until its weight fits, and lets in those who fit beside it", async () => {
  await using locker = openLocker(database);
  const held = await locker.acquire("b", { capacity: 3, weight: 3 });
  await using call = await startCall(database, "b", ", capacity => 3, weight => 2");
  await untilQueued(database, "b", 1);
  const waiting = locker.acquire("b", { capacity: 3 });
  await untilQueued(database, "b", 2);

  await held.release();
  const granted = await call.ended;
  await using lock = await waiting;
  const rows = await shareRows(sql, "b");

  // both fit, so either may be granted first
  expect(rows.map(({ weight, capacity }) => [weight, capacity]).sort()).toEqual([
    [1, 3],
    [2, 3],
  ]);
  expect(lock.held).toBe(true);
  expect(await releaseInSql(sql, "b", granted as { token: string })).toBe(true);
});

test("a reader in SQL that gives up leaves the queue to the readers behind it", async () => {
  await using locker = openLocker(database);
  await using writer = await locker.acquire("c");
  const error = await callAcquire(sql, "c", ", wait => '100 ms', shared => true").catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: "LH009" });
  await until("its entry is gone", async () => (await sql`select from leasehold.waiters where key = 'c'`).length === 0);
  expect(writer.held).toBe(true);
});

test.each([
  ["shared => true, capacity => 2", "either shared or has a capacity"],
  ["weight => 1", "part of a capacity"],
  ["capacity => 2, weight => 3", "1 up to the capacity"],
  ["capacity => 0", "a capacity is 1 to"],
])("%s is refused before anything is asked", async (options, message) => {
  const error = await callAcquire(sql, "d", `, ${options}`).catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: "LH003", message: expect.stringContaining(message) });
  expect(await sql`select from leasehold.leases where key = 'd'`).toHaveLength(0);
});
