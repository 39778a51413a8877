// Until a guarding transaction ends nobody else is granted its key, whatever becomes of the lease; and nobody is held up
// who does not want that very key.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { expire, openGuard, openSession } from "./session.js";

const database = await createDatabase();
const { sql } = database;

describe("nobody is granted the key before the guarding transaction ends", () => {
  test.each(["commit", "rollback"] as const)("that of an expired, released or forced lease, until %s", async (end) => {
    await using locker = openLocker(database, { presence: "off", keepAlive: false });
    for (const way of ["expired", "released", "forced"]) {
      const lock = await locker.acquire("a");
      await using session = await openGuard(database, lock);
      if (way === "expired") await expire(database, "a");
      if (way === "released") await lock.release();
      if (way === "forced") expect(await locker.forceRelease("a", { immediate: true })).not.toBeNull();

      // alone and in a batch, which go different ways in the function
      const alone = await ask(sql, ["a"]);
      const among = await ask(sql, ["a", `a-${way}-${end}-1`, `a-${way}-${end}-2`]);
      expect([alone[0]?.outcome, among[0]?.outcome], way).toEqual(["busy", "busy"]);
      expect(among.slice(1).map(({ outcome }) => outcome)).toEqual(["granted", "granted"]);
      await giveBack(sql, among);

      await session.run(end);
      const after = await ask(sql, ["a"]);
      expect(after[0]?.outcome, way).toBe("granted");
      expect(after[0]?.fence).toBeGreaterThan(lock.fence);
      await giveBack(sql, after);
      await lock.release().catch(() => undefined);
    }
  });

  test("that of a holder whose process has died", async () => {
    expectLeft(database, "sessions");
    const options = { takeoverDelayMs: 1_000, ttlMs: 60_000 };
    await using holder = await openLockProcess(database, { options });
    await using locker = openLocker(database);
    const { fence } = await holder.acquire("a");
    // its own connection for data, which outlives it: a pooler's, or a long statement's
    await using session = await openGuard(database, { key: "a", fence });
    await holder.worker.kill();
    await until("it is orphaned", async () => (await locker.check("a"))?.state === "orphaned");

    expect((await ask(sql, ["a"]))[0]?.outcome).toBe("busy");
    expect(await locker.tryAcquire("a")).toBeNull();
    const waiting = locker.acquire("a");
    let isGranted = false;
    void waiting.then(() => {
      isGranted = true;
    });
    await until("it has looked", async () => (await sql`select from leasehold.waiters`).length > 0);
    expect(await session.isGuarded("a")).toBe(true);
    expect(isGranted).toBe(false);
    await session.commit();
    await using lock = await waiting;
    expect(lock.fence).toBeGreaterThan(fence);
  });
});

test("renewals, release and other guards pass", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  const lock = await locker.acquire("a", { ttlMs: 5_000 });
  await using session = await openGuard(database, lock);
  for (let round = 1; round <= 5; round += 1) await lock.renew(5_000 + round * 1_000);
  await using another = await openGuard(database, lock);
  await lock.renew(20_000);
  expect(lock.remainingMs).toBeGreaterThan(15_000);
  await lock.release();
  expect(await session.isGuarded("a")).toBe(true);
  expect(await another.isGuarded("a")).toBe(true);
  await session.commit();
  await another.commit();
});

test("other keys of a batch do not wait for a guarded one, also in their queues", async () => {
  await using holder = openLocker(database, { presence: "off", keepAlive: false });
  await using locker = openLocker(database);
  const lock = await holder.acquire("guarded");
  await using session = await openGuard(database, lock);
  await expire(database, "guarded");
  const waiting = locker.acquire("guarded");
  await until("it waits in the queue", async () => (await sql`select from leasehold.waiters`).length > 0);

  // asked for at once, they go in one statement with the next look for the guarded key
  const keys = Array.from({ length: 50 }, (_, index) => `other-${index}`);
  for (let round = 0; round < 5; round += 1) {
    const locks = await Promise.all(keys.map((key) => locker.acquire(key, { waitMs: 0 })));
    await Promise.all(locks.map((other) => other.release()));
    await sleep(100);
  }

  expect(await session.isGuarded("guarded")).toBe(true);
  await session.commit();
  await (await waiting).release();
  await lock.release().catch(() => undefined);
});

test("who waits is told which backend holds it up, also behind a savepoint", async () => {
  await using holder = openLocker(database, { presence: "off", keepAlive: false });
  await using locker = openLocker(database);
  for (const isWithSavepoint of [false, true]) {
    const lock = await holder.acquire("a");
    await using session = await openSession(database);
    await session.begin();
    if (isWithSavepoint) await session.run("savepoint s");
    await session.guard("a", lock.fence);
    if (isWithSavepoint) await session.run("release s");
    await expire(database, "a");

    expect(await locker.check("a")).toMatchObject({ blockingPid: session.pid, blockingTransaction: null });
    await expect(locker.acquire("a", { waitMs: 300 })).rejects.toMatchObject({
      name: "WaitTimeoutError",
      blockingPid: session.pid,
      message: expect.stringContaining(`blocked by the open transaction of server process ${session.pid}`),
    });
    expect(await session.isGuarded("a")).toBe(true);
    await session.commit();
    expect(await locker.check("a")).toMatchObject({ blockingPid: null, blockingTransaction: null });
    await lock.release().catch(() => undefined);
  }
});

test("hundreds of guarded transactions on one lease wait neither for each other nor for renewals", async () => {
  await using cluster = await startCluster({ settings: { max_connections: 320 } });
  await using own = await createDatabase({ on: cluster });
  await using locker = openLocker(own, { presence: "off", keepAlive: false });
  const lock = await locker.acquire("hot");
  const sessions = await Promise.all(Array.from({ length: 300 }, () => openSession(own)));
  // whoever waited for a lock, however shortly, would fail
  await Promise.all(sessions.map((session) => session.run("begin; set local lock_timeout = '1ms'")));

  let isDone = false;
  const renewing = (async () => {
    while (!isDone) await lock.renew();
  })();
  await Promise.all(sessions.map((session) => session.guard("hot", lock.fence)));
  for (let round = 0; round < 5; round += 1) await lock.renew();
  isDone = true;
  await renewing;
  const guarded = await Promise.all(sessions.map((session) => session.isGuarded("hot")));

  expect(guarded).toEqual(sessions.map(() => true));
  await lock.release();
  expect((await ask(own.sql, ["hot"]))[0]?.outcome).toBe("busy");
  await Promise.all(sessions.map((session) => session.commit()));
  const asked = await ask(own.sql, ["hot"]);
  expect(asked[0]?.outcome).toBe("granted");
  await giveBack(own.sql, asked);
  await Promise.all(sessions.map((session) => session[Symbol.asyncDispose]()));
});
