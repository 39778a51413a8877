// `queued` says that somebody may wait. Left true by whatever makes the entries go, it must not keep the key from anybody.
import { beforeAll, expect, test } from "vitest";
import { startWorker } from "../support/child.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { isQueued, queueOf, untilQueued } from "./queue.js";

const file = new URL("./waiter.ts", import.meta.url);

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

test("left by a crash of Postgres, which empties the queue", async () => {
  await using cluster = await startCluster();
  const crashed = await createDatabase({ on: cluster });
  const options = { url: crashed.url, ttlMs: 1_000 };
  await using a = await startWorker(file, options);
  await using b = await startWorker(file, options);
  await a.request("wait", { key: "crash", name: "holder", keeps: true });
  await b.request("start", { key: "crash", name: "waiter" });
  await untilQueued(crashed, "crash", 1);

  await Promise.all([a.kill(), b.kill()]);
  // An entry in the queue is committed asynchronously: this brings the flag to the disk, which a crash might lose otherwise.
  await crashed.sql`checkpoint`;
  await cluster.restart("immediate");
  expect(await queueOf(crashed, "crash")).toEqual([]);
  expect(await isQueued(crashed, "crash")).toBe(true);
  await until("the lease has expired", async () => {
    return (await crashed.sql`select from leasehold.leases where expires_at <= clock_timestamp()`).length === 1;
  });

  await using locker = openLocker(crashed);
  const lock = await locker.tryAcquire("crash");

  expect(lock).not.toBeNull();
  expect(await isQueued(crashed, "crash")).toBe(false);
  await lock?.release();
});

test("left by a wait that was given up", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const held = await holder.acquire("abandon");
  const controller = new AbortController();
  const gone = waiter.acquire("abandon", { signal: controller.signal }).catch(() => "gone");
  await untilQueued(database, "abandon", 1);
  controller.abort();
  await gone;
  await waiter.close();
  await held.release();
  expect(await queueOf(database, "abandon")).toEqual([]);
  expect(await isQueued(database, "abandon")).toBe(true);

  const lock = await holder.tryAcquire("abandon");

  expect(lock).not.toBeNull();
  expect(await isQueued(database, "abandon")).toBe(false);
  await lock?.release();
});

test("left by a sweep of a dead waiter", async () => {
  await using holder = openLocker(database);
  await using dying = await startWorker(file, { url: database.url });
  const held = await holder.acquire("sweep");
  await dying.request("start", { key: "sweep", name: "dead" });
  await untilQueued(database, "sweep", 1);
  await dying.kill();
  await held.release();
  await database.sql`delete from leasehold.waiters where key = 'sweep'`;
  expect(await isQueued(database, "sweep")).toBe(true);

  const lock = await holder.tryAcquire("sweep");

  expect(lock).not.toBeNull();
  expect(await isQueued(database, "sweep")).toBe(false);
  await lock?.release();
  expectLeft(database, "sessions");
});

test("an expired entry: the key is granted to the next try, and the flag stays while an entry does", async () => {
  await using holder = openLocker(database);
  await using dying = await startWorker(file, { url: database.url });
  const held = await holder.acquire("expired");
  await dying.request("start", { key: "expired", name: "dead" });
  await untilQueued(database, "expired", 1);
  await dying.kill();
  await held.release();
  expect(await holder.tryAcquire("expired")).toBeNull(); // it counts for as long as it said
  await database.sql`update leasehold.waiters set alive_until = clock_timestamp() where key = 'expired'`;

  const lock = await holder.tryAcquire("expired");

  expect(lock).not.toBeNull();
  expect(await isQueued(database, "expired")).toBe((await queueOf(database, "expired")).length > 0);
  await lock?.release();
  expectLeft(database, "sessions");
});

test("a living waiter whose entry was deleted comes back to its own position", async () => {
  await using holder = openLocker(database);
  await using first = openLocker(database);
  await using second = openLocker(database);
  const held = await holder.acquire("own position");
  const waits = [first.acquire("own position")];
  const [entry] = await untilQueued(database, "own position", 1);
  waits.push(second.acquire("own position"));
  const [, other] = await untilQueued(database, "own position", 2);

  await database.sql`delete from leasehold.waiters where key = 'own position' and ticket = ${entry?.ticket ?? ""}::bigint`;
  const queue = await untilQueued(database, "own position", 2);
  expect(queue.map(({ token, ticket }) => [token, ticket])).toEqual([
    [entry?.token, entry?.ticket],
    [other?.token, other?.ticket],
  ]);
  await held.release();

  const [a, b] = [waits[0], waits[1]?.then((lock) => [lock.fence, lock.release()] as const)];
  const lock = await a;
  const fence = lock?.fence ?? 0n;
  await lock?.release();
  const [later, released] = (await b) ?? [0n];
  await released;
  expect(later).toBeGreaterThan(fence);
});
