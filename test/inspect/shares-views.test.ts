// What the views say of keys that are shared, made with real processes and real transactions.
import { expect, test } from "vitest";
import { openGuard, openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const leasesOf = (key: string) => sql`select * from leasehold.active_leases where key = ${key} order by fence`;
const overOf = (key: string) => sql`select * from leasehold.expired_leases where key = ${key} order by fence`;
const waitsOf = (key: string) => sql`select * from leasehold.waiting where key = ${key} order by position`;
const lapse = (key: string, fence: bigint) =>
  sql`update leasehold.shares set expires_at = clock_timestamp() where key = ${key} and fence = ${String(fence)}`;
const waits = (owner: string) =>
  until(`${owner} waits`, async () => (await sql`select from leasehold.waiting where owner = ${owner}`).length > 0);

test("a row for each holder, with what it takes; none for the key itself, while it is shared and afterwards", async () => {
  await using first = openLocker(database, { owner: "first", metadata: { part: 1 } });
  await using second = openLocker(database, { owner: "second", presence: "off" });
  const two = await first.acquire("a", { capacity: 5, weight: 2 });
  const one = await second.acquire("a", { capacity: 4 });

  const of = { state: "held", mode: "semaphore", waiters: 0, acquisitions: "2", revoked_at: null, blocking_pid: null };
  expect(await leasesOf("a")).toMatchObject([
    { ...of, owner: "first", fence: String(two.fence), weight: 2, capacity: 5, metadata: { part: 1 } },
    { ...of, owner: "second", fence: String(one.fence), weight: 1, capacity: 4, session_id: null },
  ]);
  expect((await leasesOf("a"))[0]).toMatchObject({
    is_session_alive: true,
    expires_at: two.expiresAt,
    free_at: two.expiresAt,
    acquired_at: two.acquiredAt,
  });
  expect(await sql`select active_leases from leasehold.stats`).toEqual([{ active_leases: 2 }]);
  expect(await sql`select owner, leases from leasehold.live_sessions`).toEqual([{ owner: "first", leases: 1 }]);

  await two.release();
  expect(await leasesOf("a")).toMatchObject([{ owner: "second" }]);
  await one.release();
  expect(await leasesOf("a")).toHaveLength(0);
  expect(await overOf("a")).toHaveLength(0);
  // the key's own row is still there
  expect(await sql`select from leasehold.leases where key = 'a'`).toHaveLength(1);
});

test("who waits, for what, and the oldest holder as who is in the way", async () => {
  await using holder = openLocker(database, { owner: "holder" });
  const locks = [await holder.acquire("b", { shared: true }), await holder.acquire("b", { shared: true })];
  const end = new AbortController();
  const { signal } = end;
  await using writer = openLocker(database, { owner: "writer" });
  await using reader = openLocker(database, { owner: "reader" });
  await using part = openLocker(database, { owner: "part" });
  const waiting = [writer.acquire("b", { signal })];
  await waits("writer");
  waiting.push(reader.acquire("b", { signal, shared: true }));
  await waits("reader");
  waiting.push(part.acquire("b", { signal, capacity: 9, weight: 3 }));
  await waits("part");

  const row = { blocked_by: "holder", blocked_by_fence: String(locks[0]?.fence), is_alive: true };
  expect(await waitsOf("b")).toMatchObject([
    { ...row, position: 1, owner: "writer", mode: "exclusive", weight: null, capacity: null },
    { ...row, position: 2, owner: "reader", mode: "shared", weight: 1, capacity: null },
    { ...row, position: 3, owner: "part", mode: "semaphore", weight: 3, capacity: 9 },
  ]);
  for (const { waiters } of await leasesOf("b")) expect(waiters).toBe(3);
  end.abort();
  await Promise.allSettled(waiting);
  for (const lock of locks) await lock.release();
});

test("shares that have ended: expired and orphaned ones, beside one that is held; not those that were released", async () => {
  expectLeft(database, "sessions", "shares", "leases");
  const options = { owner: "victim", takeoverDelayMs: 1_000, ttlMs: 600_000 };
  await using dying = await openLockProcess(database, { options });
  await using locker = openLocker(database, { owner: "other", keepAlive: false });
  const dead = await dying.acquire("c", { shared: true });
  const old = await locker.acquire("c", { capacity: 7, weight: 2 });
  const live = await locker.acquire("c", { shared: true });
  await dying.worker.kill("SIGKILL");
  await lapse("c", old.fence);

  await until("it is confirmed dead", async () => (await overOf("c")).length === 2);
  expect(await overOf("c")).toMatchObject([
    { owner: "victim", fence: String(dead.fence), reason: "orphaned", mode: "shared", weight: 1, capacity: null },
    { owner: "other", fence: String(old.fence), reason: "expired", mode: "semaphore", weight: 2, capacity: 7 },
  ]);
  expect(await leasesOf("c")).toMatchObject([{ fence: String(live.fence) }]);

  // a guard that is open keeps what was released: it is not one of those that have ended
  await using session = await openGuard(database, live);
  await live.release();
  expect(await sql`select from leasehold.shares where key = 'c' and released_at is not null`).toHaveLength(1);
  expect(await overOf("c")).toHaveLength(2);
  expect(await leasesOf("c")).toMatchObject([
    { state: "blocked", mode: "shared", fence: String(live.fence), free_at: null, blocking_pid: session.pid },
  ]);
  await session.rollback();
  expect(await leasesOf("c")).toHaveLength(0);
});

test("a minimum hold, a revoked share, and guards: of one that is held, and of one that has expired", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database, { owner: "operator" });
  await operator.ready(); // its server process has the lower number
  const cool = await locker.acquire("d", { shared: true, minHoldMs: 60_000 });
  const held = await locker.acquire("d", { shared: true });
  const lapsed = await locker.acquire("d", { shared: true });
  await cool.release();
  await using first = await openGuard(database, held);
  await using second = await openGuard(database, lapsed);
  await lapse("d", lapsed.fence);
  const end = new AbortController();
  const wait = operator.acquire("d", { signal: end.signal }).catch(() => undefined);
  await waits("operator");

  expect(await leasesOf("d")).toMatchObject([
    { state: "cooling", fence: String(cool.fence), blocking_pid: null, session_id: null, expires_at: null },
    { state: "held", fence: String(held.fence), blocking_pid: first.pid },
    { state: "expired", fence: String(lapsed.fence), blocking_pid: second.pid, free_at: null },
  ]);
  expect((await leasesOf("d"))[0]?.free_at.getTime()).toBe(cool.acquiredAt.getTime() + 60_000);
  expect(await overOf("d")).toHaveLength(0);
  expect(await waitsOf("d")).toMatchObject([{ blocked_by_fence: String(held.fence), blocking_pid: first.pid }]);
  await first.rollback();
  // the guard of what has expired keeps the key, whoever holds it
  expect(await waitsOf("d")).toMatchObject([{ blocked_by_fence: String(held.fence), blocking_pid: second.pid }]);
  await second.rollback();
  expect(await overOf("d")).toMatchObject([{ fence: String(lapsed.fence), reason: "expired" }]);
  end.abort();
  await wait;
  await operator.forceRelease("d", { immediate: true });
  await held.release().catch(() => undefined);
  await lapsed.release().catch(() => undefined);
});

test("a transaction that is granted a share and is not committed: it keeps the key, beside those who hold it", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("e", { shared: true });
  await using session = await openSession(database);
  await session.begin();
  // what a grant locks
  await session.run("select from leasehold.leases where key = 'e' for update");
  expect(await leasesOf("e")).toMatchObject([
    { state: "held", mode: "shared", fence: String(lock.fence), blocking_pid: null },
    { state: "blocked", mode: null, blocking_pid: session.pid },
  ]);
  expect(await locker.check("e")).toMatchObject({ state: "held", blockingPid: session.pid });
  await session.rollback();
  expect(await leasesOf("e")).toHaveLength(1);
  await lock.release();
});
