// The promises for shares, under the faults that a lock meets.
import { expect, test } from "vitest";
import { LeaseLostError, StaleFenceError } from "../../src/index.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { shareRows } from "./share-row.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table protected (key text primary key, fence bigint not null default 0, writes integer not null default 0)`;

const shared = { shared: true } as const;

const loseAnswer = (proxy: PostgresProxy, of: RegExp, then: "cut" | "blackhole") => proxy.dropAnswerOf(of, { then });

const isQueued = (key: string) =>
  until(`somebody waits for ${key}`, async () => {
    return (await sql`select from leasehold.waiters where key = ${key}`).length > 0;
  });

test("a killed reader frees the waiting writer its takeover delay after its last heartbeat, and takes no other reader with it", async () => {
  await using dying = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  const dead = await dying.acquire("a", shared);
  const other = await locker.acquire("a", shared);
  const waiting = locker.acquire("a");
  await isQueued("a");
  const [row] = await shareRows(sql, "a");

  await dying.worker.kill("SIGKILL");
  await other.renew();
  const isHeld = other.held;
  await other.release();
  await using writer = await waiting;

  expectLeft(database, "sessions");
  const granted = await leaseRow(sql, "a");
  expect(isHeld).toBe(true);
  expect(row?.fence).toBe(dead.fence);
  expect(granted.acquiredAt).toBeGreaterThanOrEqual((await seenAt(sql, row?.sessionId ?? null)) + 1_000);
  expect(granted.acquiredAt).toBeLessThan(row?.expiresAt ?? 0);
  expect(writer.fence).toBeGreaterThan(other.fence);
  expect(await shareRows(sql, "a")).toEqual([]);
});

test("a killed holder's part of a semaphore goes to who waits for it", async () => {
  await using dying = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  await using kept = await locker.acquire("b", { capacity: 2 });
  await dying.acquire("b", { capacity: 2 });
  const waiting = locker.acquire("b", { capacity: 2 });
  await isQueued("b");

  await dying.worker.kill("SIGKILL");
  await using lock = await waiting;

  expectLeft(database, "sessions");
  expect(kept.held && lock.held).toBe(true);
  expect((await shareRows(sql, "b")).map(({ fence }) => fence)).toEqual([kept.fence, lock.fence]);
});

test("a try finds room where the holders are dead, though nobody waits", async () => {
  await using dying = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database);
  await dying.acquire("b2", { capacity: 1 });
  const [row] = await shareRows(sql, "b2");

  await dying.worker.kill("SIGKILL");
  await using lock = await until("a try is granted", () => locker.tryAcquire("b2", { capacity: 1 }));

  expectLeft(database, "sessions");
  const [granted] = await shareRows(sql, "b2");
  expect(granted?.fence).toBe(lock.fence);
  expect(granted?.acquiredAt).toBeLessThan(row?.expiresAt ?? 0);
});

test.each(["on", "off"] as const)(
  "nothing that a reader does after it was frozen past its TTL succeeds (presence %s)",
  async (presence) => {
    const key = `frozen-${presence}`;
    await sql`insert into protected (key) values (${key})`;
    await using frozen = await openLockProcess(database, {
      options: { ttlMs: 5_000, takeoverDelayMs: 1_000, presence },
    });
    await using next = await openLockProcess(database, { options: { ttlMs: 30_000, presence } });
    const first = await frozen.acquire(key, shared);

    frozen.worker.stop();
    const [old] = await shareRows(sql, key);
    const writer = await next.acquire(key);
    expect((await leaseRow(sql, key)).acquiredAt).toBeGreaterThanOrEqual(old?.expiresAt ?? Number.POSITIVE_INFINITY);
    expect(await next.write(key)).toBe(1);
    const going = frozen.goOn(key);
    frozen.worker.cont();
    const after = await going;

    const lost = { name: "LeaseLostError", reason: "expired" };
    expect(writer.fence).toBeGreaterThan(first.fence);
    expect(after.state).toMatchObject({ held: false, remainingMs: 0, refusal: lost });
    expect([after.renewal, after.release, after.written]).toEqual([lost, lost, 0]);
    expect(await frozen.worker.next("signal")).toEqual({ key, reason: "expired" });
    expect((await next.state(key)).held).toBe(true);
    await frozen.close();
    await next.close();
  },
);

test("an exclusive holder whose key a reader has taken over is told so, and cannot renew beside it", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using readers = openLocker(database, { presence: "off" });
  const lock = await locker.acquire("c");
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 ms' where key = 'c'`;

  await using reader = await readers.acquire("c", shared);
  // its session would still be alive, and its row is the one that the reader's grant has written
  const renewal = await lock.renew().catch((error: unknown) => error);

  expect(renewal).toBeInstanceOf(LeaseLostError);
  expect(renewal).toMatchObject({ reason: "taken" });
  expect(reader.fence).toBeGreaterThan(lock.fence);
  expect(lock.held).toBe(false);
});

test("a reader whose share was taken away while it could not renew is told at its next renewal", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using others = openLocker(database, { presence: "off" });
  const expired = await locker.acquire("d", shared);
  const taken = await locker.acquire("d2", shared);
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 ms' where key in ('d', 'd2')`;
  await using writer = await others.acquire("d2");

  const renewals = await Promise.all([expired, taken].map((lock) => lock.renew().catch((error: unknown) => error)));

  expect(renewals).toMatchObject([{ reason: "expired" }, { reason: "taken" }]);
  expect(writer.held).toBe(true);
});

test("over a crash of Postgres readers and a semaphore's holders keep what they have, and nobody gets in beside them", async () => {
  await using cluster = await startCluster();
  await using own = await createDatabase({ on: cluster });
  const losses: string[] = [];
  await using living = openLocker(own, {
    ttlMs: 60_000,
    takeoverDelayMs: 1_000,
    onLost: (lock) => losses.push(lock.key),
  });
  const held = [await living.acquire("r", shared), await living.acquire("r", shared)];
  const part = await living.acquire("s", { capacity: 2, weight: 2 });

  await cluster.stop("immediate");
  await cluster.start();
  await using other = openLocker(own, { requestTimeoutMs: 20_000 });
  await other.ready();
  const tries = [await other.tryAcquire("r"), await other.tryAcquire("s", { capacity: 2 })];
  const reader = await other.tryAcquire("r", shared);
  await until("they are proven again", () => [...held, part].every((lock) => lock.held));

  expect(tries).toEqual([null, null]);
  expect(reader?.held).toBe(true);
  expect(losses).toEqual([]);
  for (const lock of [...held, part, reader]) await lock?.release();
});

test("a standby that lags is promoted: a share that it has not heard of is lost, one that it has is kept, and fences rise", async () => {
  await using primary = await startCluster();
  await using own = await createDatabase({ on: primary });
  await using standby = await primary.createStandby();
  const url = own.url.replace(/@([^/]+)\//, `@$1,127.0.0.1:${new URL(standby.url).port}/`);
  const options = { ttlMs: 20_000, takeoverDelayMs: 1_000, requestTimeoutMs: 15_000, renewEveryMs: 300 };
  await using locker = openLocker(url, options);
  const known = await locker.acquire("k", shared);
  await standby.caughtUp();
  await standby.stopReceiving();
  const unknown = await locker.acquire("k", shared);
  const last = await locker.acquire("u", shared);

  await primary.stop("immediate");
  await standby.promote();
  await until("the known one is proven there", () => known.held);
  await until("the others are lost", () => !unknown.held && unknown.signal.aborted && last.signal.aborted);
  const again = await locker.acquire("u");

  expect(unknown.signal.reason).toMatchObject({ name: "LeaseLostError" });
  expect(again.fence).toBeGreaterThan(last.fence);
  await known.release();
  await again.release();
});

test("a share whose grant had no answer is one grant, or freed by the last word", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 3_000 });
  await locker.ready();
  const attempt = /leasehold_internal\.acquire(_shares|_one)?\(/;

  const cut = loseAnswer(proxy, attempt, "cut");
  const lock = await locker.acquire("e", shared);
  await cut.dropped;
  const rows = await shareRows(sql, "e");
  const [root] = await sql`select acquisitions::int from leasehold.leases where key = 'e'`;
  await lock.release();
  const silent = loseAnswer(proxy, attempt, "blackhole");
  const failed = locker.acquire("f", { ...shared, waitMs: 1 }).catch((error: unknown) => error);
  await silent.dropped;
  const orphans = await shareRows(sql, "f");

  expect(rows.map(({ fence }) => fence)).toEqual([lock.fence]);
  expect(root?.acquisitions).toBe(1);
  expect(await failed).toMatchObject({ name: "UnavailableError", outcome: "unknown" });
  expect(orphans).toHaveLength(1);
  await until("the last word has freed it", async () => (await shareRows(sql, "f")).length === 0);
});

test("cancelled, timed out and closed waits for shares leave nothing", async () => {
  const locker = openLocker(database);
  await using other = openLocker(database);
  await using writer = await other.acquire("g");
  const signal = new AbortController();
  const waits = [
    locker.acquire("g", { ...shared, signal: signal.signal }),
    locker.acquire("g", { capacity: 3, weight: 2, waitMs: 200 }),
    locker.acquire("g", shared),
  ].map((wait) => wait.catch((error: unknown) => error));
  await isQueued("g");

  signal.abort(new Error("enough"));
  const [cancelled, timedOut] = await Promise.all(waits.slice(0, 2));
  await locker.close();
  const closed = await waits[2];

  expect(cancelled).toMatchObject({ message: "enough" });
  expect(timedOut).toMatchObject({ name: "WaitTimeoutError" });
  expect(closed).toMatchObject({ name: "ClosedError" });
  expect(writer.held).toBe(true);
  await until("no entry is left", async () => (await sql`select from leasehold.waiters`).length === 0);
  expect(await shareRows(sql, "g")).toEqual([]);
});

test("a stale token can neither renew nor release a share, and a release that comes late hits no newer one", async () => {
  await using locker = openLocker(database, { presence: "off" });
  const lock = await locker.acquire("h", shared);
  const [row] = await shareRows(sql, "h");
  await lock.release();
  await using next = await locker.acquire("h", shared);
  const what = `array['h'], array['${row?.token}'::uuid], array[${row?.fence}::bigint]`;

  const [renewed] = await sql.unsafe(
    `select others from leasehold_internal.renew(null, null, null, 60000, ${what}, null)`,
  );
  const [released] = await sql.unsafe(`select others from leasehold_internal.release_shares(false, ${what})`);
  const [abandoned] = await sql.unsafe(
    `select outcome from leasehold_internal.abandon(false, array['h'], array['${row?.token}'::uuid], array[true], array[false])`,
  );

  expect(JSON.parse(renewed?.others)).toMatchObject([[1, "lost", null, "taken"]]);
  expect(JSON.parse(released?.others)).toMatchObject([[1, "gone", "taken", null]]);
  expect(abandoned?.outcome).toBe("gone");
  expect((await shareRows(sql, "h")).map(({ fence }) => fence)).toEqual([next.fence]);
});

test("what a reader writes in a guarded transaction after its share was taken over is refused", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  await using others = openLocker(database);
  const reader = await locker.acquire("i", shared);
  const written = await reader.transaction(sql, async (tx) => (await tx`select 1 as one`)[0]?.one);
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 ms' where key = 'i'`;
  await using writer = await others.acquire("i");

  const refused = await reader.transaction(sql, async (tx) => await tx`select 1`).catch((error: unknown) => error);

  expect(written).toBe(1);
  expect(refused).toBeInstanceOf(StaleFenceError);
  expect(writer.held).toBe(true);
  await reader.release().catch(() => undefined);
});
