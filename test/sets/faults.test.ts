// A set beside what goes wrong: a holder that dies or freezes, answers that are lost, an outage.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { untilQueued } from "../waiting/queue.js";

const database = await createDatabase();
const { sql } = database;
const ACQUIRE_ALL = /leasehold_internal\.acquire_all\(/;

const loseAnswer = (proxy: PostgresProxy, then: "cut" | "blackhole") => proxy.dropAnswerOf(ACQUIRE_ALL, { then });
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const heldKeys = async (like: string): Promise<string[]> => {
  const rows = await sql<{ key: string }[]>`
    select key from leasehold.leases where key like ${like} and token is not null order by key`;
  return rows.map(({ key }) => key);
};

test("when the holder of one of the keys is killed, the set goes on after its takeover delay", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 600_000, takeoverDelayMs: 1_000 } });
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  const first = await holder.acquire("k:b");
  const waiting = locker.acquireAll(["k:a", "k:b", "k:c"]);
  await untilQueued(database, "k:b", 1);
  await holder.worker.kill("SIGKILL");
  const dead = await leaseRow(sql, "k:b");
  const set = await waiting;
  const row = await leaseRow(sql, "k:b");
  const seen = await seenAt(sql, dead.sessionId);
  const fence = set.get("k:b")?.fence;
  await set.release();
  expectLeft(database, "sessions");
  expect(row.acquiredAt).toBeGreaterThanOrEqual(seen + 1_000);
  expect(row.acquiredAt).toBeLessThan(dead.expiresAt);
  expect(fence).toBeGreaterThan(first.fence);
});

test("a waiting set that is killed leaves its keys to others after its takeover delay", async () => {
  await using holder = openLocker(database);
  await using other = openLocker(database);
  await using dying = await openLockProcess(database, { options: { ttlMs: 600_000, takeoverDelayMs: 1_000 } });
  const held = await holder.acquire("d:b");
  await dying.worker.request("waitForSet", { keys: ["d:a", "d:b"] });
  await untilQueued(database, "d:b", 1);
  const part = await leaseRow(sql, "d:a");
  await dying.worker.kill("SIGKILL");
  await held.release();
  const set = await other.acquireAll(["d:a", "d:b"]);
  const row = await leaseRow(sql, "d:a");
  await set.release();
  expectLeft(database, "sessions");
  expect(row.fence).toBeGreaterThan(part.fence);
  expect(row.acquiredAt).toBeLessThan(part.expiresAt);
});

test("a set whose process freezes while it waits has lost its parts when it wakes up, and begins again", async () => {
  await using holder = openLocker(database);
  await using other = openLocker(database);
  await using frozen = await openLockProcess(database, { options: { ttlMs: 1_500, takeoverDelayMs: 60_000 } });
  const held = await holder.acquire("z:b");
  const granted = frozen.worker.next("set");
  await frozen.worker.request("waitForSet", { keys: ["z:a", "z:b"] });
  await untilQueued(database, "z:b", 1);
  frozen.worker.stop();
  const theirs = await other.acquire("z:a");
  frozen.worker.cont();
  await theirs.release();
  await held.release();
  const set = (await granted) as { held: boolean; fences: readonly bigint[] };
  const row = await leaseRow(sql, "z:a");
  await frozen.worker.request("releaseSet");
  await frozen.close();
  expect(set.held).toBe(true);
  expect(row.fence).toBeGreaterThan(theirs.fence);
});

test.each(["on", "off"] as const)(
  "an answer that is cut off is asked for again, and is the same grants (presence: %s)",
  async (presence) => {
    const keys = ["a", "b", "c"].map((key) => `cut-${presence}:${key}`);
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { presence, requestTimeoutMs: 3_000 });
    await locker.ready();
    const { dropped } = loseAnswer(proxy, "cut");
    const set = await locker.acquireAll(keys);
    await dropped;
    const rows =
      await sql`select acquisitions::int, fence::text from leasehold.leases where key like ${`cut-${presence}:%`} order by key`;
    const asked = proxy.statements.filter((one) => ACQUIRE_ALL.test(one.sql)).length;
    const isHeld = set.held;
    await set.release();
    const left = await heldKeys(`cut-${presence}:%`);
    expect(asked).toBe(2);
    expect(rows.map((row) => ({ ...row }))).toEqual(
      set.locks.map(({ fence }) => ({ acquisitions: 1, fence: String(fence) })),
    );
    expect(isHeld).toBe(true);
    expect(left).toEqual([]);
  },
);

test("a try whose answer is never heard fails as unknown, and frees what it was granted long before the TTL", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 1_500 });
  await locker.ready();
  const { dropped } = loseAnswer(proxy, "blackhole");
  const trying = errorOf(locker.tryAcquireAll(["dark:a", "dark:b"]));
  await dropped;
  const orphans = await heldKeys("dark:%");
  const error = await trying;
  const freed = await until("they are free", async () => (await heldKeys("dark:%")).length === 0);
  expect(orphans).toEqual(["dark:a", "dark:b"]);
  expect(error).toMatchObject({ name: "UnavailableError", outcome: "unknown" });
  expect(freed).toBe(true);
});

test("a prefix whose answer is never heard is given back before the set stands in line again", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  await using locker = openLocker(proxy.url(database.url), { requestTimeoutMs: 1_500, onError: () => undefined });
  await locker.ready();
  const held = await holder.acquire("q:c");
  await errorOf(locker.tryAcquireAll(["q:0", "q:c"])); // it is planned
  const asked = proxy.onStatement(ACQUIRE_ALL);
  const waiting = locker.acquireAll(["q:a", "q:b", "q:c"]);
  // The first answer says which key is missing; the second is that of the prefix.
  await asked;
  const { dropped } = loseAnswer(proxy, "blackhole");
  await dropped;
  const first = await leaseRow(sql, "q:a");
  await untilQueued(database, "q:c", 1);
  const second = await leaseRow(sql, "q:a");
  await held.release();
  const set = await waiting;
  const isHeld = set.held;
  await set.release();
  expect(second.token).not.toBe(first.token);
  expect(isHeld).toBe(true);
});

test("a set that waits outlasts an outage of Postgres", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  const errors: unknown[] = [];
  await using locker = openLocker(proxy.url(database.url), {
    requestTimeoutMs: 500,
    ttlMs: 1_000,
    onError: (error) => errors.push(error),
    onLost: () => undefined,
  });
  await locker.ready();
  const held = await holder.acquire("out:b");
  const waiting = locker.acquireAll(["out:0", "out:a", "out:b"]);
  await untilQueued(database, "out:b", 1);
  await proxy.refuse(true);
  proxy.cutAll();
  await until("the outage is told", () => errors.length > 0);
  await until("its part has expired", async () => {
    const row = await leaseRow(sql, "out:a");
    return row.token === null || row.expiresAt < row.now;
  });
  await proxy.refuse(false);
  await held.release();
  const set = await waiting;
  const isHeld = set.held;
  await set.release();
  expect(isHeld).toBe(true);
});
