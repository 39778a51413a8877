// The statement runs, and its answer never comes back: the connection is cut, or falls silent.
import { expect, test } from "vitest";
import type { Locker, LockerOptions } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { settled } from "./settled.js";

const database = await createDatabase();
const { sql } = database;
const requestTimeoutMs = 3_000;
const presences = ["on", "off"] as const;

function through(proxy: PostgresProxy, options: LockerOptions): Locker {
  return openLocker(proxy.url(database.url), { ttlMs: 30_000, requestTimeoutMs, ...options });
}

const loseAnswer = (proxy: PostgresProxy, of: RegExp, then: "cut" | "blackhole") => proxy.dropAnswerOf(of, { then });
const isFree = (key: string) => async () => (await leaseRow(sql, key)).token === null;
const count = (proxy: PostgresProxy, pattern: RegExp) => proxy.statements.filter((one) => pattern.test(one.sql)).length;

test.each(presences)(
  "an acquire whose answer is cut off ends as one grant, which its holder can use and free (presence: %s)",
  async (presence) => {
    const key = `acquire-cut-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    await locker.ready();
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.acquire(_first|_one)?\(/, "cut");

    const lock = await locker.acquire(key);
    await dropped;

    expect(count(proxy, /leasehold_internal\.acquire(_first|_one)?\(/)).toBe(2);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    expect(await sql`select acquisitions::int from leasehold.leases where key = ${key}`).toEqual([{ acquisitions: 1 }]);
    await lock.release();
    expect(await isFree(key)()).toBe(true);
  },
);

test.each(presences)(
  "an acquire whose answer is never heard fails as unknown, and frees what it was granted long before the TTL (presence: %s)",
  async (presence) => {
    const key = `acquire-silent-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    await using other = openLocker(database);
    await locker.ready();
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.acquire(_first|_one)?\(/, "blackhole");

    const acquiring = locker.acquire(key, { waitMs: 1 });
    const outcome = settled(acquiring, requestTimeoutMs);
    await dropped;
    const orphan = await leaseRow(sql, key);
    expect(orphan.token).not.toBeNull();
    const next = other.acquire(key);

    expect(await outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    expect(locker.locks()).toEqual([]);
    await using lock = await next;
    expect(lock.acquiredAt.getTime()).toBeLessThan(orphan.expiresAt - 15_000);
    expect(lock.fence).toBeGreaterThan(orphan.fence);
  },
);

test.each(presences)(
  "a try whose answer is never heard leaves nothing, also when the locker is closed at once (presence: %s)",
  async (presence) => {
    const key = `try-silent-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    await locker.ready();
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.acquire(_first|_one)?\(/, "blackhole");
    const trying = settled(locker.tryAcquire(key), requestTimeoutMs);
    await dropped;

    const closed = await settled(locker.close(), requestTimeoutMs);

    expect(closed).toEqual({ value: undefined });
    expect(await trying).toMatchObject({ error: { name: "ClosedError" } });
    expect(await isFree(key)()).toBe(true);
  },
);

test.each(presences)(
  "a release whose answer is cut off succeeds when it is repeated, and the repeat does not hit who came after (presence: %s)",
  async (presence) => {
    const key = `release-cut-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, requestTimeoutMs: 5_000 });
    await using other = openLocker(database);
    const lock = await locker.acquire(key);
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.release\(/, "cut");
    // it cannot be repeated before another has the key
    await proxy.refuse(true);

    const releasing = lock.release();
    await dropped;
    await using next = await other.acquire(key);
    await proxy.refuse(false);
    await releasing;

    expect(count(proxy, /leasehold_internal\.release\(/)).toBe(2);
    expect(lock.held).toBe(false);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(next));
    expect(next.fence).toBeGreaterThan(lock.fence);
  },
);

test.each(presences)(
  "a release whose answer is never heard fails as unknown, and the key is free (presence: %s)",
  async (presence) => {
    const key = `release-silent-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    const lock = await locker.acquire(key);
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.release\(/, "blackhole");

    const outcome = await settled(lock.release(), requestTimeoutMs);
    await dropped;

    expect(outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    expect(lock.held).toBe(false);
    expect(await isFree(key)()).toBe(true);
    await expect(lock.renew()).rejects.toMatchObject({ name: "NotHeldError" });
  },
);

test.each(presences.flatMap((presence) => (["cut", "blackhole"] as const).map((then) => [presence, then] as const)))(
  "a renewal whose answer is lost is sent again, and the lock is held throughout (presence: %s, then: %s)",
  async (presence, then) => {
    const key = `renewal-${presence}-${then}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, ttlMs: 20_000, renewEveryMs: 200 });
    await using lock = await locker.acquire(key);
    const losses: unknown[] = [];
    lock.signal.addEventListener("abort", () => losses.push(lock.signal.reason));
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.renew\(/, then);

    await dropped;
    const first = await leaseRow(sql, key);
    await until("it is renewed again", async () => {
      expect(lock.held).toBe(true);
      return (await leaseRow(sql, key)).expiresAt > first.expiresAt;
    });

    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    expect(losses).toEqual([]);
  },
);

test.each(presences)(
  "a renewal that was asked for resolves although its first answer was cut off (presence: %s)",
  async (presence) => {
    const key = `renew-call-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, keepAlive: false, requestTimeoutMs: 5_000 });
    await using lock = await locker.acquire(key, { ttlMs: 10_000 });
    const { dropped } = loseAnswer(proxy, /leasehold_internal\.renew\(/, "cut");

    await lock.renew(60_000);
    await dropped;

    expect(count(proxy, /leasehold_internal\.renew\(/)).toBe(2);
    expect(lock.ttlMs).toBe(60_000);
    expect(lock.remainingMs).toBeGreaterThan(30_000);
  },
);
