// Bugs of other lock libraries about waiting, connections and errors, each named after its source.
import postgres from "postgres";
import { expect, onTestFinished, test } from "vitest";
import { createLocker } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
/** What follows an answer that is dropped. */
const then = "blackhole";
const { sql } = database;
const acquire = /internal\.acquire(_first|_one)?\(/;

const isWaiting = async () => (await sql`select from leasehold.waiters`).length > 0;
const isFree = async (key: string) =>
  (await sql`select from leasehold.leases where key = ${key} and token is not null`).length === 0;

test("redisson #5761: a release between the try that failed and the wait is not missed", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  await using waiter = openLocker(proxy.url(database.url));
  const held = await holder.acquire("a");
  await waiter.ready();
  const looking = proxy.holdStatement(acquire);
  const waiting = waiter.acquire("a", { waitMs: Number.POSITIVE_INFINITY });
  await looking.arrived;
  await held.release();
  await looking.forward();
  await (await waiting).release();
});

test("redisson #5761: with every NOTIFY lost, whoever waits is served", async () => {
  await using own = await createDatabase();
  await own.sql`create or replace function leasehold_internal._wake(session integer) returns void language sql as ''`;
  await using holder = openLocker(own);
  await using waiter = openLocker(own);
  const held = await holder.acquire("a");
  const waiting = waiter.acquire("a", { waitMs: Number.POSITIVE_INFINITY });
  await until("it waits", async () => (await own.sql`select from leasehold.waiters`).length > 0);
  await held.release();
  await (await waiting).release();
});

test("sqlx #4198, npgsql #5592: no session lock is left by a client that dies, or by an acquire that is cancelled", async () => {
  expectLeft(database, "leases", "sessions");
  const locks = async () =>
    (
      await sql`select pid from pg_locks where locktype = 'advisory'
        and database = (select oid from pg_database where datname = current_database())`
    ).length;
  const dying = await openLockProcess(database);
  await dying.acquire("held by the dead");
  expect(await locks()).toBe(1);
  await dying.worker.kill();
  await until("its lock is gone", async () => (await locks()) === 0);

  {
    await using locker = openLocker(database);
    const held = await locker.acquire("a");
    const controller = new AbortController();
    const waits = Array.from({ length: 20 }, () => locker.acquire("a", { signal: controller.signal }));
    const settled = Promise.allSettled(waits);
    await until("it waits", isWaiting);
    controller.abort();
    await settled;
    expect(await locks()).toBe(1); // the presence of this process, however much it holds
    await held.release();
  }
  expect(await locks()).toBe(0);
});

test("DistributedLock #147: no lock stays behind a call that reported a timeout, though it was granted", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 3_000 });
  await locker.ready();
  const { dropped } = proxy.dropAnswerOf(acquire, { then });

  const failed = locker.acquire("a", { ttlMs: 60_000, waitMs: 1 }).catch((error: unknown) => error);
  await dropped;
  expect((await leaseRow(sql, "a")).token).not.toBeNull(); // granted, as the server sees it

  expect(await failed).toMatchObject({ code: "unavailable", outcome: "unknown" });
  await until("the orphan is gone, long before its TTL", () => isFree("a"));
});

test("DistributedLock #147: a wait that times out while it is granted either has the lock or leaves it free", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  await waiter.ready();
  const outcomes = { granted: 0, timeout: 0 };
  // The wait is made longer after each that timed out, shorter after each that was granted: so both ends keep meeting.
  let waitMs = 8;
  for (let round = 0; round < 40 || Math.min(outcomes.granted, outcomes.timeout) < 5; round += 1) {
    const held = await holder.acquire("a");
    const waiting = waiter.acquire("a", { waitMs: Math.ceil(waitMs), ttlMs: 60_000 });
    const settled = waiting.then(
      (lock) => lock,
      (error: unknown) => error as { code: string },
    );
    await new Promise((resolve) => setTimeout(resolve, round % 16));
    await held.release();
    const outcome = await settled;
    if ("release" in outcome) {
      outcomes.granted += 1;
      waitMs = Math.max(1, waitMs * 0.7);
      await outcome.release();
    } else {
      expect(outcome.code).toBe("wait-timeout");
      outcomes.timeout += 1;
      waitMs *= 1.3;
      await until("the key is free", () => isFree("a"));
    }
  }
});

test("pikku #1314: locks do not exhaust the pool of the application, and do not deadlock with it", async () => {
  const client = postgres(database.url, { max: 1 });
  onTestFinished(() => client.end({ timeout: 1 }));
  await using locker = createLocker({ client });
  const work = (key: string) =>
    locker.withLock(key, () => locker.withLock(`inner ${key}`, () => client.begin((tx) => tx`select 1 as one`)));

  const [different, same] = await Promise.all([
    Promise.all(Array.from({ length: 50 }, (_, i) => work(`key ${i}`))),
    Promise.all(Array.from({ length: 20 }, () => work("one key"))),
  ]);

  expect(different).toHaveLength(50);
  expect(same).toHaveLength(20);
});

test("porsager/postgres #1195: a backend that is swapped beneath the session is noticed, and proves nothing", async () => {
  await using locker = openLocker(database, { takeoverDelayMs: 1_000, keepAlive: false });
  const lock = await locker.acquire("a");
  const session = async () =>
    (
      await sql`select id, nonce::text, pid from leasehold.sessions where id = (select session_id from leasehold.leases where key = 'a')`
    )[0];
  const before = await session();
  await sql`select pg_terminate_backend(${before?.pid})`;

  const after = await until("a new session stands", async () => {
    const now = await session();
    return now?.pid !== before?.pid && now;
  });
  await until("the lock is proven under it", () => lock.held);

  expect(after.nonce).not.toBe(before?.nonce);
  const holders =
    await sql`select pid from pg_locks where locktype = 'advisory' and classid::bigint = 1279480140 and objid::bigint = ${after.id}
    and database = (select oid from pg_database where datname = current_database())`;
  expect(holders).toEqual([{ pid: after.pid }]);
  expect(lock.signal.aborted).toBe(false);
  await lock.release();
});

test("node-redlock #369: a release that fails does not mask the error of the block", async () => {
  expectLeft(database, "sessions");
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 3_000 });
  const bug = new Error("the block's");
  const errors: unknown[] = [];
  try {
    await using lock = await locker.acquire("a");
    lock.assertHeld();
    proxy.blackhole();
    throw bug;
  } catch (error) {
    errors.push(error);
  }
  expect(errors).toEqual([bug]);
  expect(errors[0]).toBe(bug);
  proxy.heal();
  proxy.cutAll();
  await until("the release follows", () => isFree("a"));
});

test("node-redlock #296: a lock that is expired when its answer comes is not returned", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { keepAlive: false });
  await locker.ready();
  const arrived = proxy.onStatement(acquire);
  const waiting = locker.acquire("a", { ttlMs: 300 }).then(
    (lock) => (lock.held ? "held" : "expired"),
    (error: unknown) => error,
  );
  proxy.delayMs.toClient = 700;
  await arrived;
  const outcome = await waiting;
  proxy.delayMs.toClient = 0;

  expect(outcome).toMatchObject({ code: "unavailable" });
  await until("nothing is left", () => isFree("a"));
});
