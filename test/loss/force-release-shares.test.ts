// A key that is shared is taken from its holders by force: from all of them, or from the one with a fence.
import { expect, test } from "vitest";
import { type HolderInfo, LeaseLostError } from "../../src/index.js";
import { openGuard, openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const fencesOf = (result: { readonly holders: readonly HolderInfo[] } | null) =>
  result?.holders.map(({ fence }) => fence);
const shares = async (key: string) =>
  (await sql`select count(*)::int as n from leasehold.shares where key = ${key}`)[0]?.n;
const waits = (key: string, count: number) =>
  until(`${count} wait`, async () => (await sql`select from leasehold.waiting where key = ${key}`).length === count);

test("all who share a key are told at their next renewal, and who waits for it alone is granted it then", async () => {
  await using one = openLocker(database, { owner: "one", ttlMs: 60_000, renewEveryMs: 200 });
  await using two = openLocker(database, { owner: "two", ttlMs: 50_000, renewEveryMs: 200 });
  await using operator = openLocker(database);
  const locks = [await one.acquire("a", { shared: true }), await two.acquire("a", { shared: true })];
  const wait = operator.acquire("a", { waitMs: 30_000 });
  await waits("a", 1);

  const result = await operator.forceRelease("a");
  expect(result).toMatchObject({
    outcome: "revoked",
    holders: [
      { owner: "one", fence: locks[0]?.fence, weight: 1, isThisProcess: false },
      { owner: "two", fence: locks[1]?.fence, weight: 1, isThisProcess: false },
    ],
    blockingPid: null,
  });
  // when the last of them ends
  expect(result?.freeAt).toEqual(result?.holders[0]?.expiresAt);
  expect(result?.freeAt?.getTime()).toBeGreaterThan(result?.holders[1]?.expiresAt?.getTime() ?? 0);
  for (const { signal } of locks) await until("it is told", () => signal.aborted);
  for (const { signal } of locks) expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "forced" });
  const next = await wait;
  expect(next.fence).toBeGreaterThan(locks[1]?.fence ?? 0n);
  await next.release();
});

test("a fence names one share, and spares the others; one that nobody holds takes nothing", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  const locks = [];
  for (let n = 0; n < 3; n += 1) locks.push(await holder.acquire("b", { capacity: 3 }));
  const [first, second, third] = locks;

  expect(fencesOf(await operator.forceRelease("b", { fence: second?.fence ?? 0n }))).toEqual([second?.fence]);
  expect(await sql`select fence::text, state from leasehold.active_leases where key = 'b' order by fence`).toEqual([
    { fence: String(first?.fence), state: "held" },
    { fence: String(second?.fence), state: "revoked" },
    { fence: String(third?.fence), state: "held" },
  ]);
  await expect(second?.renew()).rejects.toMatchObject({ reason: "forced" });
  await first?.renew();
  await third?.renew();
  expect(await operator.forceRelease("b", { fence: 1n })).toBeNull();

  // it lets go of what it has lost; then there is no room, and then as much as one took
  const fourth = await operator.acquire("b", { capacity: 3 });
  expect(await operator.tryAcquire("b", { capacity: 3 })).toBeNull();
  const wait = operator.acquire("b", { capacity: 3, waitMs: 30_000 });
  await waits("b", 1);
  const freed = await operator.forceRelease("b", { fence: first?.fence ?? 0n, immediate: true });
  expect(freed).toMatchObject({ outcome: "released", freeAt: null, holders: [{ fence: first?.fence, weight: 1 }] });
  const next = await wait;
  // its mark is gone with the grant, and what it stood for is not given twice
  expect(await operator.tryAcquire("b", { capacity: 3 })).toBeNull();
  for (const lock of [next, fourth, third]) await lock?.release();
});

test("forced at once: the holders' next renewal hears why, and the marks are gone with the next grant", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  const locks = [await holder.acquire("c", { shared: true }), await holder.acquire("c", { shared: true })];
  expect(fencesOf(await operator.forceRelease("c", { immediate: true }))).toEqual(locks.map(({ fence }) => fence));
  expect(await operator.check("c")).toBeNull();
  expect(await operator.forceRelease("c", { immediate: true })).toBeNull();
  await expect(locks[0]?.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "forced" });
  expect(await shares("c")).toBe(2);
  await operator.withLock("c", () => undefined, { waitMs: 0 });
  expect(await shares("c")).toBe(0);
  await expect(locks[1]?.release()).rejects.toBeInstanceOf(LeaseLostError);
});

test("what has ended is released, also of who is dead; a minimum hold was nobody's; what is live is revoked", async () => {
  expectLeft(database, "sessions");
  await using dying = await openLockProcess(database, { options: { takeoverDelayMs: 1_000, ttlMs: 600_000 } });
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  const dead = await dying.acquire("d", { shared: true });
  const cool = await holder.acquire("d", { shared: true, minHoldMs: 600_000 });
  const lapsed = await holder.acquire("d", { shared: true });
  await cool.release();
  await sql`update leasehold.shares set expires_at = clock_timestamp() where fence = ${String(lapsed.fence)}`;
  await dying.worker.kill();
  await until("it is confirmed dead", async () => (await operator.check("d"))?.state === "cooling");
  const orphaned = async () => (await sql`select from leasehold.expired_leases where key = 'd'`).length === 2;
  await until("it is orphaned", orphaned);

  const result = await operator.forceRelease("d");
  expect(result).toMatchObject({ outcome: "released", freeAt: null });
  expect(fencesOf(result)).toEqual([dead.fence, lapsed.fence]);
  expect(await operator.check("d")).toBeNull();

  const brief = await holder.acquire("d", { shared: true, minHoldMs: 600_000 });
  const live = await holder.acquire("d", { shared: true, ttlMs: 60_000 });
  await brief.release();
  const both = await operator.forceRelease("d");
  expect(both).toMatchObject({ outcome: "revoked", freeAt: live.expiresAt, holders: [{ fence: live.fence }] });
  await live.release().catch(() => undefined);
  expect(await operator.check("d")).toBeNull();
});

test("an open transaction that guards a share keeps the key beyond that, and is named", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  await operator.ready(); // its server process has the lower number
  const lock = await holder.acquire("e", { shared: true });
  await using session = await openGuard(database, lock);
  const result = await operator.forceRelease("e", { immediate: true });
  expect(result).toMatchObject({ outcome: "released", holders: [{ fence: lock.fence }], blockingPid: session.pid });
  expect(await operator.forceRelease("e")).toMatchObject({
    outcome: "released",
    holders: [],
    blockingPid: session.pid,
  });
  expect(await operator.tryAcquire("e")).toBeNull();
  await session.rollback();
  await operator.withLock("e", () => undefined, { waitMs: 0 });
});

test("a renewal that is about to commit is waited for; a transaction that renewed and stays open is named", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  await operator.ready();
  const locks = [await holder.acquire("f", { shared: true }), await holder.acquire("f", { shared: true })];
  await using renewing = await openSession(database);
  await renewing.begin();
  await renewing.run(`select from leasehold.shares where fence = ${locks[1]?.fence} for no key update`);

  const refused = await operator.forceRelease("f").catch((error: unknown) => error);
  // all or none: the first is as it was
  const states = await sql`select distinct state from leasehold.active_leases where key = 'f'`;
  const forcing = operator.forceRelease("f");
  await until("it waits", async () => (await sql`select from pg_locks where not granted`).length > 0);
  await renewing.rollback();

  expect(refused).toMatchObject({ name: "NotAcquiredError", blockingPid: renewing.pid });
  expect([...states]).toEqual([{ state: "held" }]);
  expect(fencesOf(await forcing)).toEqual(locks.map(({ fence }) => fence));
  for (const lock of locks) await lock.release().catch(() => undefined);
});

test("in SQL it lists the holders, and wakes all who fit with the commit", async () => {
  await using holder = openLocker(database, { owner: "writer", keepAlive: false });
  const part = await holder.acquire("g", { capacity: 2, weight: 2 });
  await using one = openLocker(database);
  await using two = openLocker(database);
  const waiting = [one.acquire("g", { capacity: 2 }), two.acquire("g", { capacity: 2 })];
  await waits("g", 2);
  const [row] = await sql`select * from leasehold.force_release('g', immediate => true)`;
  expect(row).toMatchObject({ outcome: "released", holder: "writer", holder_fence: String(part.fence) });
  expect(row?.holders).toEqual([
    {
      owner: "writer",
      fence: String(part.fence),
      weight: 2,
      session_id: expect.any(Number),
      expires_at: expect.any(String),
    },
  ]);
  for (const wait of waiting) await (await wait).release();
  await expect(part.release()).rejects.toMatchObject({ name: "LeaseLostError" });
});
