import { describe, expect, test } from "vitest";
import { changeUrl, openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

describe("check says who has a key", () => {
  test("null for a key that is free, whether it was ever used or not", async () => {
    await using locker = openLocker(database);
    await locker.withLock("used", () => undefined);
    expect(await locker.check("used")).toBeNull();
    expect(await locker.check("never used")).toBeNull();
    expect(await locker.isLocked("used")).toBe(false);
    expect(await locker.isLocked("never used")).toBe(false);
  });

  test("held: by whom, until when, for how many who wait", async () => {
    await using holder = openLocker(database, { owner: "holder", metadata: { job: 7 } });
    await using other = openLocker(database);
    const lock = await holder.acquire("a", { ttlMs: 20_000 });
    const waits = [other.acquire("a"), other.acquire("a")];
    await until("both wait", async () => (await sql`select from leasehold.waiters`).length === 2);

    const [own, strange] = [await holder.check("a"), await other.check("a")];

    expect(strange).toMatchObject({
      key: "a",
      state: "held",
      owner: "holder",
      holders: [{ owner: "holder", fence: lock.fence, weight: 1, isThisProcess: false, expiresAt: lock.expiresAt }],
      isThisProcess: false,
      fence: lock.fence,
      acquiredAt: lock.acquiredAt,
      expiresAt: lock.expiresAt,
      isSessionAlive: true,
      metadata: { job: 7 },
      waiters: 2,
      blockingPid: null,
      blockingTransaction: null,
    });
    expect(strange?.remainingMs).toBeGreaterThan(10_000);
    expect(strange?.remainingMs).toBeLessThanOrEqual(20_000);
    expect(own?.isThisProcess).toBe(true);
    expect(await other.isLocked("a")).toBe(true);
    await lock.release();
    for (const waiting of waits) await (await waiting).release();
  });

  test("held, without presence: whether the session lives is not known", async () => {
    await using holder = openLocker(database, { presence: "off" });
    await using other = openLocker(database);
    await holder.withLock("a", async () => {
      expect(await other.check("a")).toMatchObject({ state: "held", isSessionAlive: null, isThisProcess: false });
      expect(await holder.check("a")).toMatchObject({ state: "held", isSessionAlive: null, isThisProcess: true });
    });
  });

  test("cooling: released before its minimum hold", async () => {
    await using locker = openLocker(database, { owner: "cron" });
    const lock = await locker.acquire("a", { minHoldMs: 20_000 });
    await lock.release();
    const info = await locker.check("a");
    expect(info).toMatchObject({ state: "cooling", owner: "cron", holders: [], fence: lock.fence });
    expect(info?.expiresAt?.getTime()).toBe(lock.acquiredAt.getTime() + 20_000);
    expect(await locker.isLocked("a")).toBe(true);
    await locker.forceRelease("a", { immediate: true });
    expect(await locker.check("a")).toBeNull();
  });

  test("orphaned: its process is confirmed dead, before the TTL has ended", async () => {
    expectLeft(database, "sessions");
    await using locker = openLocker(database);
    const options = { takeoverDelayMs: 1_000, ttlMs: 60_000 };
    await using holder = await openLockProcess(database, { options });
    await holder.acquire("a");
    expect(await locker.check("a")).toMatchObject({ state: "held", isSessionAlive: true });

    await holder.worker.kill();

    await until("it is orphaned", async () => (await locker.check("a"))?.state === "orphaned");
    expect(await locker.check("a")).toMatchObject({ isSessionAlive: false, isThisProcess: false });
    expect(await locker.isLocked("a")).toBe(false);
    await locker.withLock("a", () => undefined, { waitMs: 0 });
  });

  test("expired: nobody renewed it", async () => {
    await using holder = openLocker(database, { keepAlive: false });
    await using locker = openLocker(database);
    const lock = await holder.acquire("a");
    await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'a'`;
    expect(await locker.check("a")).toMatchObject({ state: "expired", remainingMs: 0, fence: lock.fence });
    expect(await locker.isLocked("a")).toBe(false);
    await lock.release().catch(() => undefined);
  });

  test("which backend keeps the row locked, however it locked it", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    const client = await openClient(changeUrl(database.url, {}));
    try {
      for (const strength of ["update", "no key update", "share", "key share"]) {
        await client.begin(async (tx) => {
          const [row] = await tx.unsafe(
            `select pg_backend_pid() as pid from leasehold.leases where key = 'a' for ${strength}`,
          );
          expect(await locker.check("a"), strength).toMatchObject({ state: "held", blockingPid: row?.pid });
        });
        expect(await locker.check("a"), strength).toMatchObject({ blockingPid: null });
      }
    } finally {
      await client.end();
    }
    await lock.release();
  });
});

test("check and a try that fails change nothing: not the row, not its locks, and no row comes into being", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000 });
  await using locker = openLocker(database);
  const lock = await holder.acquire("a");
  await locker.ready();
  const row = async () =>
    (
      await sql`select l.xmin::text, l.xmax::text, l.ctid::text, l::text as content from leasehold.leases l where key = 'a'`
    )[0];
  const before = await row();

  for (let round = 0; round < 20; round += 1) {
    await locker.check("a");
    await locker.isLocked("a");
    await locker.check("unknown");
    await locker.tryAcquire("a");
  }

  expect(await row()).toEqual(before);
  expect(await sql`select from leasehold.leases where key = 'unknown'`).toHaveLength(0);
  await lock.release();
});

test("isLocked throws when it cannot know", async () => {
  await using locker = openLocker(changeUrl(database.url, { port: 1 }), { requestTimeoutMs: 300 });
  await expect(locker.isLocked("a")).rejects.toMatchObject({ code: "unavailable" });
  await expect(locker.check("a")).rejects.toMatchObject({ code: "unavailable" });
});
