// A lock that goes from process to process: what becomes of it when one of them dies.
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
await sql`create table protected (key text primary key, fence bigint not null default 0, writes integer not null default 0)`;
await sql`insert into protected (key) values ('passed')`;

const presences = ["on", "off"] as const;
const takeoverDelayMs = 1_000;

/** Longer than a takeover of what a dead process held would take. */
async function longAfter(sessionId: number | null): Promise<void> {
  const lastMs = sessionId === null ? (await now()) - takeoverDelayMs : await seenAt(sql, sessionId);
  await until("a takeover would have been long ago", async () => (await now()) > lastMs + 2_500);
}

async function now(): Promise<number> {
  return (await sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`)[0]?.now;
}

test.each(presences)(
  "a process goes on with the lock of another one, fence and all (presence: %s)",
  async (presence) => {
    const options = { presence, takeoverDelayMs };
    await using first = await openLockProcess(database, { options });
    await using second = await openLockProcess(database, { options });
    await using other = openLocker(database);
    const granted = await first.acquire("passed");

    const adopted = await second.adopt(await first.detach("passed"));

    expect(adopted).toEqual(granted);
    expect(await first.state("passed")).toMatchObject({ held: false, signal: null, refusal: { name: "NotHeldError" } });
    expect(await second.state("passed")).toMatchObject({ held: true, signal: null, refusal: null });
    expect(await second.write("passed")).toBe(1);
    expect(await other.tryAcquire("passed")).toBeNull();
    await second.release("passed");
    expect((await leaseRow(sql, "passed")).token).toBeNull();
    await Promise.all([first.close(), second.close()]);
  },
);

test("a process that is killed once it has detached a lock takes nothing along", async () => {
  await using first = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs } });
  await using second = await openLockProcess(database, { options: { takeoverDelayMs } });
  await using waiter = openLocker(database, { takeoverDelayMs });
  await first.acquire("passed on");
  await first.acquire("crashed with");
  const { sessionId } = await leaseRow(sql, "crashed with");
  const detached = await first.detach("passed on");
  await first.worker.kill("SIGKILL");
  const waiting = waiter.acquire("passed on");

  // what the process held to its end is free, so it was confirmed dead
  const crashed = await waiter.acquire("crashed with");
  await longAfter(sessionId);
  const adopted = await second.adopt(detached);

  expect(await leaseRow(sql, "passed on")).toMatchObject(grantOf(adopted));
  await second.release("passed on");
  const next = await waiting;
  expect(next.fence).toBeGreaterThan(adopted.fence);
  await Promise.all([crashed.release(), next.release()]);
  await second.close();
  expectLeft(database, "sessions");
});

test("a lease that nobody adopts lasts for its TTL from the detaching on", async () => {
  await using first = await openLockProcess(database, { options: { ttlMs: 4_000, takeoverDelayMs } });
  await using waiter = openLocker(database, { takeoverDelayMs });
  await first.acquire("nobody's");
  await first.detach("nobody's");
  await first.worker.kill("SIGKILL");
  const { expiresAt } = await leaseRow(sql, "nobody's");
  await using lock = await waiter.acquire("nobody's");
  const { acquiredAt } = await leaseRow(sql, "nobody's");
  expect(acquiredAt).toBeGreaterThanOrEqual(expiresAt);
  expect(lock.held).toBe(true);
  expectLeft(database, "sessions");
});

test.each(presences)("a process that ends as it should leaves it as well (presence: %s)", async (presence) => {
  await using first = await openLockProcess(database, { options: { presence, takeoverDelayMs, ttlMs: 60_000 } });
  await using second = openLocker(database, { takeoverDelayMs });
  const { fence } = await first.acquire("closed");
  const detached = await first.detach("closed");
  await first.close();
  await longAfter(null);
  expect(await second.tryAcquire("closed")).toBeNull();
  const adopted = await second.adopt(detached);
  expect(adopted.fence).toBe(fence);
  await adopted.release();
});

test("the process that has adopted a lock is the one whose death frees it", async () => {
  await using first = await openLockProcess(database, { options: { takeoverDelayMs, ttlMs: 60_000 } });
  await using second = await openLockProcess(database, { options: { takeoverDelayMs, ttlMs: 60_000 } });
  await using waiter = openLocker(database, { takeoverDelayMs });
  await first.acquire("presence");
  await second.adopt(await first.detach("presence"));
  const adopted = await leaseRow(sql, "presence");
  expect(adopted).toMatchObject({ takeoverMs: takeoverDelayMs, pid: expect.any(Number) });

  await second.worker.kill("SIGKILL");
  await using lock = await waiter.acquire("presence");

  const { acquiredAt } = await leaseRow(sql, "presence");
  expect(acquiredAt).toBeGreaterThanOrEqual((await seenAt(sql, adopted.sessionId)) + takeoverDelayMs);
  expect(acquiredAt).toBeLessThan(adopted.expiresAt);
  expect(lock.held).toBe(true);
  await first.close();
  expectLeft(database, "sessions");
});

test("a process that was frozen past the TTL of what it adopted believes no more", async () => {
  await using first = openLocker(database);
  await using second = await openLockProcess(database, { options: { takeoverDelayMs } });
  const lock = await first.acquire("frozen");
  await second.adopt(await lock.detach(), { ttlMs: 2_000 });
  second.worker.stop();
  await using next = await first.acquire("frozen");
  const going = second.goOn("frozen");
  second.worker.cont();
  const { state, renewal, release } = await going;
  const lost = { name: "LeaseLostError", reason: "expired" };
  expect(state).toMatchObject({ held: false, remainingMs: 0, refusal: lost });
  expect([renewal, release]).toEqual([lost, lost]);
  expect(next.fence).toBeGreaterThan(lock.fence);
  expect(next.held).toBe(true);
  await second.close();
});
