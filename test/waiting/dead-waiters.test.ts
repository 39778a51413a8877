import { beforeAll, expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { queueOf, untilQueued } from "./queue.js";
import type { Grant } from "./waiter.js";

const file = new URL("./waiter.ts", import.meta.url);

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

const grantedAtMs = async (key: string) =>
  Number(
    (
      await database.sql`select extract(epoch from acquired_at) * 1000 as at from leasehold.leases where key = ${key}`
    )[0]?.at,
  );

test("a head that was killed is skipped once its time has passed, and not before", async () => {
  await using holder = openLocker(database);
  await using heir = openLocker(database);
  await using dying = await startWorker(file, { url: database.url });
  await heir.ready();
  const held = await holder.acquire("killed head");
  await dying.request("start", { key: "killed head", name: "dead" });
  await untilQueued(database, "killed head", 1);
  const waiting = heir.acquire("killed head");
  await untilQueued(database, "killed head", 2);

  await dying.kill();
  const [dead] = await queueOf(database, "killed head");
  await held.release();
  const lock = await waiting;

  expect(await grantedAtMs("killed head")).toBeGreaterThanOrEqual(dead?.aliveMs ?? Number.NaN);
  expect((await queueOf(database, "killed head")).map(({ token }) => token)).not.toContain(dead?.token);
  await lock.release();
  expectLeft(database, "sessions");
});

test("a process killed with fifty waits and fifty locks leaves a queue and locks that others get", async () => {
  await using holder = openLocker(database);
  await using heir = openLocker(database, { takeoverDelayMs: 1_000 });
  await using dying = await startWorker(file, { url: database.url, takeoverDelayMs: 1_000, ttlMs: 60_000 });
  const held = await holder.acquire("crowded");
  const keys = Array.from({ length: 50 }, (_, n) => `taken over ${n}`);
  await Promise.all(keys.map((key) => dying.request("wait", { key, name: key, keeps: true })));
  await Promise.all(keys.map((name) => dying.request("start", { key: "crowded", name })));
  await untilQueued(database, "crowded", 50);
  const waits = ["crowded", ...keys].map((key) => heir.acquire(key));
  await untilQueued(database, "crowded", 51);
  for (const key of keys) await untilQueued(database, key, 1);

  await dying.kill();
  await held.release();
  const locks = await Promise.all(waits);

  expect(locks.every((lock) => lock.held)).toBe(true);
  await Promise.all(locks.map((lock) => lock.release()));
  await heir.close();
  expect((await database.sql`select from leasehold.waiters where key like 'taken over%'`).length).toBe(0);
  expect(await queueOf(database, "crowded")).toEqual([]);
  expectLeft(database, "sessions");
});

test("a frozen process with fifty waits does not stall the key, and is served when it thaws", async () => {
  await using holder = openLocker(database);
  await using heir = openLocker(database);
  await using frozen = await startWorker(file, { url: database.url });
  await heir.ready();
  const held = await holder.acquire("frozen");
  const names = Array.from({ length: 50 }, (_, n) => `frozen ${n}`);
  await Promise.all(names.map((name) => frozen.request("start", { key: "frozen", name })));
  const before = await untilQueued(database, "frozen", 50);
  const waiting = heir.acquire("frozen");
  await untilQueued(database, "frozen", 51);

  frozen.stop();
  const queue = await queueOf(database, "frozen");
  await held.release();
  const lock = await waiting;
  const heirAtMs = await grantedAtMs("frozen");

  expect(queue.slice(0, 50).map(({ token }) => token)).toEqual(before.map(({ token }) => token));
  // The heir had to let each of those before it pass until that one's own time had passed, all at once and not one by one.
  const expiredMs = Math.max(...queue.slice(0, 50).map(({ aliveMs }) => aliveMs));
  expect(heirAtMs).toBeGreaterThanOrEqual(expiredMs);

  frozen.cont();
  await untilQueued(database, "frozen", 50);
  await lock.release();
  const grants: Grant[] = [];
  for (const _ of names) grants.push(await frozen.next<Grant>("granted"));
  const fences = grants.map(({ fence }) => fence);
  expect(fences.every((fence) => fence > lock.fence)).toBe(true);
  // they stand where they stood
  const position = new Map(before.map(({ token }, index) => [token, index]));
  const served = grants.toSorted((x, y) => (x.fence < y.fence ? -1 : 1)).map(({ token }) => position.get(token));
  expect(served).toEqual(before.map((_, index) => index));
  await frozen.request("close");
});
