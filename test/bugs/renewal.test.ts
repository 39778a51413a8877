// Bugs of other lock libraries about renewal and loss, each named after its source.
import { once } from "node:events";
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
/** What follows an answer that is dropped. */
const then = "cut";
const { sql } = database;
const renewal = /internal\.renew/;

test("redisson #7272: a renewal does not outlive the release, not even one that was on its way", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 30_000, renewEveryMs: 100 });
  const late = proxy.holdStatement(renewal);
  const lock = await locker.acquire("a");
  await late.arrived;

  await lock.release();
  const freed = await leaseRow(sql, "a");
  await late.forward();
  proxy.statements.length = 0;
  const other = await locker.acquire("other", { ttlMs: 30_000, renewEveryMs: 100 });
  const before = other.expiresAt.getTime();
  await until("renewals go on for another lock", () => other.expiresAt.getTime() >= before + 400);

  expect(await leaseRow(sql, "a")).toMatchObject({ token: null, fence: freed.fence, expiresAt: freed.expiresAt });
  expect(lock.held).toBe(false);
  await other.release();
  proxy.statements.length = 0;
  await until("a heartbeat", () => proxy.statements.some((statement) => /heartbeat/.test(statement.sql)));
  expect(proxy.statements.filter((statement) => renewal.test(statement.sql))).toEqual([]);
});

test("redisson #2515, #3194: renewal goes on after a connection error, for this lock and the next on its key", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 30_000, renewEveryMs: 100 });

  for (let round = 0; round < 2; round += 1) {
    const lock = await locker.acquire("a");
    const { dropped } = proxy.dropAnswerOf(renewal, { then });
    await dropped;
    const after = (await leaseRow(sql, "a")).expiresAt;
    await until("two later renewals", async () => (await leaseRow(sql, "a")).expiresAt >= after + 200);
    lock.assertHeld();
    await lock.release();
  }
});

test("pglock #40: one transient error does not drop a lock that has most of its TTL left", async () => {
  await using proxy = await startProxy(database.url);
  const lost: unknown[] = [];
  await using locker = openLocker(proxy.url(database.url), {
    ttlMs: 60_000,
    renewEveryMs: 100,
    onLost: (_, error) => lost.push(error),
  });
  const lock = await locker.acquire("a");

  for (const failure of ["cut", "terminated"] as const) {
    const errors: unknown[] = [];
    const stop = lock.keepAlive({ everyMs: 100, onError: (error) => errors.push(error) });
    if (failure === "cut") {
      await proxy.dropAnswerOf(renewal, { then }).dropped;
    } else {
      const held = proxy.holdStatement(renewal);
      await held.arrived;
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'leasehold renewals'`;
      held.discard();
    }
    await until("the renewal has failed", () => errors.length > 0);
    lock.assertHeld();
    await stop();
  }

  await lock.renew();
  expect(lost).toEqual([]);
  await lock.release();
});

test("kubernetes #23731: the holder is told that it lost the lock", async () => {
  await using first = openLocker(database, { ttlMs: 60_000, renewEveryMs: 100 });
  await using second = openLocker(database);
  const lock = await first.acquire("a");
  const fired = once(lock.signal, "abort");
  await sql`update leasehold.leases set expires_at = clock_timestamp() where key = 'a'`;
  await second.withLock("a", () => fired);
  expect(lock.signal.reason).toMatchObject({ code: "lease-lost", key: "a", fence: lock.fence });
  expect(() => lock.assertHeld()).toThrow();
});

test("consul #18271: the holder is told in time, before Postgres could grant the key to another", async () => {
  expectLeft(database, "leases", "sessions");
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 4_000, requestTimeoutMs: 3_000 });
  const lock = await locker.acquire("a");
  const order: string[] = [];
  const fired = once(lock.signal, "abort").then(() => order.push("told"));
  proxy.blackhole();

  // Timers run in the order in which they are due, however late. This one is due when Postgres could grant the key, or later.
  const row = await leaseRow(sql, "a");
  const over = new Promise((resolve) => setTimeout(resolve, row.expiresAt - row.now)).then(() => order.push("over"));
  await Promise.all([fired, over]);

  expect(order).toEqual(["told", "over"]);
  expect(lock.signal.reason).toMatchObject({ reason: "expired" });
  expect(lock.held).toBe(false);
});

test("redis-semaphore #24: no timer throws, whatever fails for how long", async () => {
  expectLeft(database, "leases", "sessions");
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  await using proxy = await startProxy(database.url);
  {
    // without onError and onLost: nobody listens at all
    await using locker = openLocker(proxy.url(database.url), {
      ttlMs: 900,
      renewEveryMs: 50,
      takeoverDelayMs: 1_000,
      requestTimeoutMs: 3_000,
      connectTimeoutMs: 3_000,
    });
    const lock = await locker.acquire("a");
    await proxy.refuse(true);
    proxy.cutAll();
    await until("it is lost", () => !lock.held && lock.signal.aborted);
  }
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
});

test("RedLock.net #68: a participant that hangs does not extend for ever", async () => {
  await using hanging = openLocker(database, { ttlMs: 3_000, renewEveryMs: 50, maxHoldMs: 4_000 });
  await using other = openLocker(database);
  const lock = await hanging.acquire("a");

  const next = await other.acquire("a"); // nobody releases: the body never returns

  expect(next.acquiredAt.getTime()).toBeGreaterThanOrEqual(lock.acquiredAt.getTime() + 4_000);
  expect(lock.expiresAt.getTime()).toBe(lock.acquiredAt.getTime() + 4_000);
  expect(lock.signal.reason).toMatchObject({ reason: "max-hold" });
  await next.release();
});
