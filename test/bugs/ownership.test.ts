// Bugs of other lock libraries about whose lock it is, each named after its source.
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { createLocker, LeaseLostError } from "../../src/index.js";
import { releaseRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
/** What follows an answer that is dropped. */
const then = "cut";
const { sql } = database;

const expire = (key: string) =>
  sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 ms' where key = ${key}`;

test("redis-py #415: a release after the own TTL ran out does not delete another owner's lock", async () => {
  await using first = openLocker(database, { keepAlive: false });
  await using second = openLocker(database);
  const old = await first.acquire("a");
  await expire("a");
  const lock = await second.acquire("a");

  await expect(old.release()).rejects.toBeInstanceOf(LeaseLostError);

  await lock.renew();
  expect(await leaseRow(sql, "a")).toMatchObject(grantOf(lock));
  await lock.release();
});

test("etcd #22082: a release that is retried after a lost answer does not delete a newer hold of the same session", async () => {
  await using proxy = await startProxy(database.url);
  // of several connections, so that the newer hold overtakes the retry
  const client = postgres(proxy.url(database.url), { max: 4 });
  onTestFinished(() => client.end({ timeout: 1 }));
  await using locker = createLocker({ client, url: database.url });
  const old = await locker.acquire("a");
  const { dropped } = proxy.dropAnswerOf(/internal\.release\(/, { then });
  const retry = proxy.holdStatement(/internal\.release\(/);

  const released = old.release();
  await dropped;
  await retry.arrived;
  const lock = await locker.acquire("a");
  await retry.forward();

  await released; // it found nothing, and that is what it wanted
  expect(await leaseRow(sql, "a")).toMatchObject(grantOf(lock));
  await lock.renew();
  await lock.release();
});

test("etcd #11456: a waiter that waited for longer than its own TTL is granted a whole one", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const held = await holder.acquire("a");
  const waiting = waiter.acquire("a", { ttlMs: 3_000, keepAlive: false });
  const [entry] = await until("it waits", async () => {
    const rows = await sql`select enqueued_at from leasehold.waiters`;
    return rows.length === 1 && rows;
  });
  await until("its TTL has ended", async () => {
    const [row] = await sql`select clock_timestamp() > ${entry?.enqueued_at}::timestamptz + interval '3200 ms' as over`;
    return row?.over;
  });

  await held.release();
  const lock = await waiting;

  expect(lock.held).toBe(true);
  expect(lock.expiresAt.getTime() - lock.acquiredAt.getTime()).toBe(3_000);
  await lock.release();
});

test("redlock-rb #36: a renewal after the expiry fails, even when nobody else took the lock", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  const lock = await locker.acquire("a");
  await expire("a");
  const before = await leaseRow(sql, "a");

  await expect(lock.renew()).rejects.toMatchObject({ code: "lease-lost", reason: "expired" });

  expect(lock.held).toBe(false);
  expect((await leaseRow(sql, "a")).expiresAt).toBe(before.expiresAt);
});

test("redis-semaphore #175: a renewal never acquires again, neither a freed key nor one whose row is gone", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  const [freed, gone] = [await locker.acquire("freed"), await locker.acquire("gone")];
  await sql`update leasehold.leases set token = null, session_id = null where key = 'freed'`;
  await sql`delete from leasehold.leases where key = 'gone'`;

  await expect(freed.renew()).rejects.toBeInstanceOf(LeaseLostError);
  await expect(gone.renew()).rejects.toBeInstanceOf(LeaseLostError);

  expect((await leaseRow(sql, "freed")).token).toBeNull();
  expect(await sql`select from leasehold.leases where key = 'gone'`).toHaveLength(0);
});

test("with_advisory_lock #45: two workers on the same backend exclude each other", async () => {
  const client = postgres(database.url, { max: 1 });
  onTestFinished(() => client.end({ timeout: 1 }));
  await using first = createLocker({ client });
  await using second = createLocker({ client });
  const lock = await first.acquire("a");
  expect(await second.tryAcquire("a")).toBeNull();
  expect(await first.tryAcquire("a")).toBeNull();
  const many = await Promise.all(Array.from({ length: 20 }, () => second.tryAcquire("b")));
  expect(many.filter((one) => one !== null)).toHaveLength(1);
  await lock.release();
  await Promise.all(many.map((one) => one?.release()));
});

test("symfony #58838: keys with the same hash, and long keys with the same beginning, are different keys", async () => {
  const [pair] = await sql`
    select min(k) as one, max(k) as other from (select 'key ' || i as k from generate_series(1, 300000) i) keys
     group by hashtext(k) having count(*) > 1 limit 1`;
  const long = "x".repeat(510);
  await using first = openLocker(database);
  await using second = openLocker(database);

  for (const [one, other] of [
    [pair?.one, pair?.other],
    [`${long}1`, `${long}2`],
    ["A", "a"],
    ["e\u0301", "é"],
  ]) {
    const lock = await first.acquire(one);
    expect(await second.tryAcquire(one)).toBeNull();
    const different = await second.acquire(other, { waitMs: 0 });
    // both as one batch of keys that nobody has seen before
    const batch = await Promise.all([`${one}`, `${other}`].map((key) => first.acquire(`n${key}`, { waitMs: 0 })));
    expect(batch.map((each) => each.held)).toEqual([true, true]);
    await Promise.all([lock, different, ...batch].map((each) => each.release()));
  }
});

test("curator #1121: a client that comes back does not adopt its own dying lock", async () => {
  expectLeft(database, "sessions");
  const options = { owner: "the same name", takeoverDelayMs: 4_000 };
  await using process = await openLockProcess(database, { options });
  const old = await process.acquire("a");
  const token = await tokenOf(sql, "a");
  await process.worker.kill();

  await using locker = openLocker(database, options);
  expect(await locker.tryAcquire("a")).toBeNull();
  const lock = await locker.acquire("a");

  expect(await tokenOf(sql, "a")).not.toBe(token);
  expect(lock.fence).toBeGreaterThan(old.fence);
  await lock.release();
});

test("curator #1121: a session that comes back has no second grant of what it holds", async () => {
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  const lock = await locker.acquire("a");
  const { pid } = await leaseRow(sql, "a");
  await sql`select pg_terminate_backend(${pid})`;
  await until("the session is back", async () => {
    const row = await leaseRow(sql, "a");
    return row.pid !== null && row.pid !== pid && lock.held;
  });
  expect(await locker.tryAcquire("a")).toBeNull();
  expect(await leaseRow(sql, "a")).toMatchObject(grantOf(lock));
  await lock.release();
});

test("ShedLock: two processes that call themselves the same do not unlock each other", async () => {
  await using first = openLocker(database, { owner: "host", keepAlive: false });
  await using second = openLocker(database, { owner: "host" });
  const old = await first.acquire("a");
  const token = await tokenOf(sql, "a");
  await second.forceRelease("a", { immediate: true });
  const lock = await second.acquire("a");

  await expect(old.release()).rejects.toBeInstanceOf(LeaseLostError);
  await expect(old.renew()).rejects.toBeInstanceOf(LeaseLostError);
  // with the right key, fence and owner, but without the token
  const forged = { key: "a", token, fence: lock.fence };
  const [answer] = await sql.unsafe(`select outcome from ${releaseRows([forged])} a`);

  expect(answer?.outcome).toBe("gone");
  expect(await leaseRow(sql, "a")).toMatchObject(grantOf(lock));
  await lock.release();
});

test("fabric8 #7258: who has a short TTL and delay does not steal from who has long ones", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000, takeoverDelayMs: 60_000, keepAlive: false });
  await using thief = openLocker(database, { ttlMs: 100, takeoverDelayMs: 1_000 });
  const lock = await holder.acquire("a");

  // six of its own TTLs
  await expect(thief.acquire("a", { waitMs: 600 })).rejects.toMatchObject({ code: "wait-timeout" });

  await lock.renew();
  await lock.release();
});
