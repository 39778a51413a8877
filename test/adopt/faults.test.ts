// Handing a lock over while the network fails: no answer, a late request, an outage. Whoever is told that it holds the lock is the only one.
import { expect, test } from "vitest";
import type { Locker, LockerOptions } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const requestTimeoutMs = 2_000;
const presences = ["on", "off"] as const;
const detaching = /leasehold_internal\.detach_lock\(/;
const adopting = /leasehold_internal\.adopt\(/;
const renewing = /leasehold_internal\.renew\(/;

function through(proxy: PostgresProxy, options: LockerOptions = {}): Locker {
  return openLocker(proxy.url(database.url), { ttlMs: 30_000, requestTimeoutMs, ...options });
}

const loseAnswer = (proxy: PostgresProxy, of: RegExp, then: "cut" | "blackhole") => proxy.dropAnswerOf(of, { then });
const count = (proxy: PostgresProxy, pattern: RegExp) => proxy.statements.filter((one) => pattern.test(one.sql)).length;
const isFree = (key: string) => async () => (await leaseRow(sql, key)).token === null;
const grants = async (key: string) =>
  (await sql`select acquisitions::int as n from leasehold.leases where key = ${key}`)[0]?.n;

test.each(presences)("a detach whose answer is cut off is repeated, and resolves (presence: %s)", async (presence) => {
  const key = `detach-cut-${presence}`;
  await using proxy = await startProxy(database.url);
  await using first = through(proxy, { presence });
  await using second = openLocker(database);
  const lock = await first.acquire(key);
  const { dropped } = loseAnswer(proxy, detaching, "cut");

  const detached = await lock.detach();
  await dropped;

  expect(count(proxy, detaching)).toBe(2);
  expect(await leaseRow(sql, key)).toMatchObject({ token: detached.token, sessionId: null });
  await (await second.adopt(detached)).release();
});

test.each(presences)(
  "a detach that is never answered rejects, and the handle holds the lock as before (presence: %s)",
  async (presence) => {
    const key = `detach-silent-${presence}`;
    await using proxy = await startProxy(database.url);
    const lost: string[] = [];
    await using first = through(proxy, { presence, renewEveryMs: 300, onLost: (lock) => lost.push(lock.key) });
    await using second = openLocker(database);
    const lock = await first.acquire(key);
    const { dropped } = loseAnswer(proxy, detaching, "blackhole");

    const error = await lock.detach().catch((thrown: unknown) => thrown);
    await dropped;

    expect(error).toMatchObject({ code: "unavailable", outcome: "unknown" });
    // it was carried out: from now on the lease lives by its TTL
    const before = await leaseRow(sql, key);
    expect(before).toMatchObject({ ...grantOf(lock), sessionId: null });
    await until("it is renewed", async () => (await leaseRow(sql, key)).expiresAt > before.expiresAt);
    lock.assertHeld();
    expect(first.get(key)).toBe(lock);
    expect(await second.tryAcquire(key)).toBeNull();
    // once more
    const adopted = await second.adopt(await lock.detach());
    expect(adopted.fence).toBe(lock.fence);
    expect(lost).toEqual([]);
    await adopted.release();
  },
);

test("a detach while Postgres cannot be reached rejects, and the lock outlasts the outage", async () => {
  await using proxy = await startProxy(database.url);
  await using first = through(proxy, { takeoverDelayMs: 10_000, renewEveryMs: 300, onError: () => {} });
  const lock = await first.acquire("outage");
  const { signal } = lock;
  await proxy.refuse(true);
  proxy.cutAll();
  await expect(lock.detach()).rejects.toMatchObject({ code: "unavailable" });
  expect(first.locks()).toEqual([lock]);
  await proxy.refuse(false);
  await until("it is proven again", () => lock.held);
  const { expiresAt } = await leaseRow(sql, "outage");
  await until("it is renewed again", async () => (await leaseRow(sql, "outage")).expiresAt > expiresAt);
  expect(signal.aborted).toBe(false);
  expect((await leaseRow(sql, "outage")).sessionId).not.toBeNull();
  await lock.release();
});

test("a detach while the session is made anew waits for it", async () => {
  await using proxy = await startProxy(database.url);
  await using first = through(proxy);
  await using second = openLocker(database);
  const lock = await first.acquire("reconnect");
  const { pid } = await leaseRow(sql, "reconnect");
  const session = proxy.holdStatement(/leasehold_internal\.open_session\(/);
  await sql`select pg_terminate_backend(${pid})`;
  await session.arrived;

  const detached = lock.detach();
  await new Promise(setImmediate);
  expect(count(proxy, detaching)).toBe(0);
  await session.forward();
  const adopted = await second.adopt(await detached);
  expect(adopted.fence).toBe(lock.fence);
  await adopted.release();
});

test("a lock that expires while it is detached is lost, and what was carried out is undone", async () => {
  await using proxy = await startProxy(database.url);
  const reasons: string[] = [];
  await using first = through(proxy, { presence: "off", onLost: (_, { reason }) => reasons.push(reason) });
  const lock = await first.acquire("expires", { ttlMs: 1_000 });
  const held = proxy.holdStatement(detaching);
  const result = lock.detach().catch((thrown: unknown) => thrown);
  await held.arrived;
  expect(await result).toMatchObject({ code: "lease-lost", reason: "expired" });
  expect(reasons).toEqual(["expired"]);
  await held.forward();
  await until("it is free", isFree("expires"));
});

test.each(presences)("an adoption whose answer is cut off is one adoption (presence: %s)", async (presence) => {
  const key = `adopt-cut-${presence}`;
  await using proxy = await startProxy(database.url);
  await using first = openLocker(database);
  await using second = through(proxy, { presence });
  await second.ready();
  const lock = await first.acquire(key);
  const detached = await lock.detach();
  const { dropped } = loseAnswer(proxy, adopting, "cut");

  const adopted = await second.adopt(detached);
  await dropped;

  expect(count(proxy, adopting)).toBe(2);
  expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
  expect((await leaseRow(sql, key)).token).not.toBe(detached.token);
  await adopted.renew();
  await adopted.release();
  expect(await isFree(key)()).toBe(true);
});

test.each(presences)(
  "an adoption that is never answered rejects as unknown, and what it has adopted is freed long before the TTL (presence: %s)",
  async (presence) => {
    const key = `adopt-silent-${presence}`;
    await using proxy = await startProxy(database.url);
    await using first = openLocker(database);
    await using second = through(proxy, { presence });
    await second.ready();
    const lock = await first.acquire(key);
    const detached = await lock.detach();
    const { dropped } = loseAnswer(proxy, adopting, "blackhole");

    const adoption = second.adopt(detached, { ttlMs: 60_000 }).catch((thrown: unknown) => thrown);
    await dropped;
    const waiting = first.acquire(key); // not before: a look that has the row locked would have the adoption answered busy
    const error = await adoption;
    const orphan = await leaseRow(sql, key);

    expect(error).toMatchObject({ code: "unavailable", outcome: "unknown" });
    expect(orphan).toMatchObject(grantOf(lock));
    expect(orphan.token).not.toBe(detached.token);
    expect(second.locks()).toEqual([]);
    await using next = await waiting;
    expect(next.fence).toBeGreaterThan(lock.fence);
    expect((await leaseRow(sql, key)).acquiredAt).toBeLessThan(orphan.expiresAt - 30_000);
  },
);

test.each(presences)("an adoption that runs after its caller gave up does nothing (presence: %s)", async (presence) => {
  const key = `adopt-late-${presence}`;
  await using proxy = await startProxy(database.url);
  await using first = openLocker(database, { ttlMs: 60_000 });
  await using second = through(proxy, { presence });
  await second.ready();
  const lock = await first.acquire(key);
  const detached = await lock.detach();
  const held = proxy.holdStatement(adopting);
  const result = second.adopt(detached).catch((thrown: unknown) => thrown);
  await held.arrived;
  expect(await result).toMatchObject({ code: "unavailable", outcome: "unknown" });
  await held.forward();

  expect((await leaseRow(sql, key)).token).toBe(detached.token);
  await (await first.adopt(detached)).release();
});

test.each(presences)(
  "an adoption that runs after its lock was released leaves no orphan (presence: %s)",
  async (presence) => {
    const key = `adopt-hung-${presence}`;
    await using proxy = await startProxy(database.url);
    await using first = openLocker(database, { ttlMs: 60_000 });
    await using second = through(proxy, { presence, requestTimeoutMs: 4_000 });
    await second.ready();
    const lock = await first.acquire(key);
    const detached = await lock.detach();
    const held = proxy.holdStatement(adopting);
    void held.arrived.then(({ connection }) => connection.cutClient());

    const adopted = await second.adopt(detached);
    await adopted.release();
    expect(await isFree(key)()).toBe(true);
    await held.forward();

    expect(await isFree(key)()).toBe(true);
    expect(await grants(key)).toBe(1);
  },
);

test.each([
  ["renewal", renewing],
  ["detach", detaching],
] as const)("a %s of the first holder that runs after the adoption changes nothing", async (name, pattern) => {
  const key = `hung-${name}`;
  await using proxy = await startProxy(database.url);
  await using first = through(proxy, {
    presence: "off",
    renewEveryMs: 200,
    requestTimeoutMs: 10_000,
    onError: () => {},
  });
  await using second = openLocker(database);
  const lock = await first.acquire(key);
  const held = proxy.holdStatement(pattern);
  const cut = held.arrived.then(({ connection }) => connection.cutClient());
  if (name === "renewal") await cut;

  const adopted = await second.adopt(await lock.detach(), { keepAlive: false });
  const before = await leaseRow(sql, key);
  await held.forward();

  const after = await leaseRow(sql, key);
  expect(after).toEqual({ ...before, now: after.now, seenAt: after.seenAt });
  expect(after.sessionId).not.toBeNull();
  await adopted.release();
});

test("a detach waits until an acquire of it that had no answer can no longer be carried out", async () => {
  const key = "twin";
  await using proxy = await startProxy(database.url);
  await using first = through(proxy, { presence: "off", requestTimeoutMs: 3_000 });
  await using second = openLocker(database);
  await first.ready();
  const held = proxy.holdStatement(/leasehold_internal\.acquire(_first|_one)?\(/);
  void held.arrived.then(({ connection }) => connection.cutClient());
  const lock = await first.acquire(key);

  const adopted = await second.adopt(await lock.detach());
  await adopted.release();
  await held.forward();

  // granted again under the first token, it would be an orphan
  expect(await isFree(key)()).toBe(true);
  expect(await grants(key)).toBe(1);
});

test("a locker that is closed while it adopts ends with nothing", async () => {
  await using proxy = await startProxy(database.url);
  await using first = openLocker(database);
  const second = through(proxy, { requestTimeoutMs: 5_000 });
  await second.ready();
  const lock = await first.acquire("closing");
  const detached = await lock.detach();
  const held = proxy.holdStatement(adopting);
  const result = second.adopt(detached).catch((thrown: unknown) => thrown);
  await held.arrived;
  const closing = second.close();
  await held.forward();
  expect(await result).toMatchObject({ code: "closed" });
  await closing;
  expect(await isFree("closing")()).toBe(true);
  expect(second.locks()).toEqual([]);
});
