// A statement hangs on its way and runs later: after its caller gave up, after its twin was granted, after the release.
import { expect, test } from "vitest";
import { createLocker, type Locker, type LockerOptions } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { settled } from "./settled.js";

const database = await createDatabase();
const { sql } = database;
const presences = ["on", "off"] as const;
const acquire = /leasehold_internal\.acquire(_first|_one)?\(/;
const release = /leasehold_internal\.release\(/;
const renew = /leasehold_internal\.renew\(/;
const abandon = /leasehold_internal\.abandon\(/;

function through(proxy: PostgresProxy, options: LockerOptions): Locker {
  return openLocker(proxy.url(database.url), { ttlMs: 30_000, requestTimeoutMs: 3_000, ...options });
}

const grants = async (key: string) =>
  Number((await sql`select acquisitions::int as n from leasehold.leases where key = ${key}`)[0]?.n ?? 0);
const isFree = async (key: string) =>
  (await sql`select from leasehold.leases where key = ${key} and token is not null`).length === 0;

test.each(presences)(
  "an acquire that runs after its caller gave up is granted nothing and queues nothing (presence: %s)",
  async (presence) => {
    const key = `late-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    await locker.ready();
    const held = proxy.holdStatement(acquire);
    const lastWord = proxy.onStatement(abandon);

    const outcome = await settled(locker.acquire(key, { waitMs: 1 }), 3_000);
    await lastWord;
    await held.forward();

    expect(outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    expect(await grants(key)).toBe(0);
    expect(await sql`select from leasehold.waiters where key = ${key}`).toHaveLength(0);
  },
);

test.each(presences)(
  "a look that runs after its wait was aborted does not queue again (presence: %s)",
  async (presence) => {
    const key = `look-${presence}`;
    await using proxy = await startProxy(database.url);
    await using other = openLocker(database);
    await using locker = through(proxy, { presence });
    await using lock = await other.acquire(key);
    const abort = new AbortController();
    const waiting = locker.acquire(key, { signal: abort.signal, waitMs: 20_000 }).catch((error: unknown) => error);
    await until(
      "it is in the queue",
      async () => (await sql`select from leasehold.waiters where key = ${key}`).length > 0,
    );
    const held = proxy.holdStatement(acquire);
    await held.arrived;
    const lastWord = proxy.onStatement(abandon);

    abort.abort(new Error("no more"));
    expect(await waiting).toMatchObject({ message: "no more" });
    await lastWord;
    await until(
      "it has left the queue",
      async () => (await sql`select from leasehold.waiters where key = ${key}`).length === 0,
    );
    await held.forward();

    expect(await sql`select from leasehold.waiters where key = ${key}`).toHaveLength(0);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    expect(await grants(key)).toBe(1);
  },
);

test.each(presences)(
  "a first attempt that runs after the release of the second leaves no orphan (presence: %s)",
  async (presence) => {
    const key = `twin-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, requestTimeoutMs: 4_000 });
    await locker.ready();
    const held = proxy.holdStatement(acquire);
    void held.arrived.then(({ connection }) => connection.cutClient());

    const lock = await locker.acquire(key);
    const token = await tokenOf(sql, key);
    await lock.release();
    expect(await isFree(key)).toBe(true);
    await held.forward();
    const orphaned = await leaseRow(sql, key);

    // the fault has happened: granted under the same token, to nobody
    expect(orphaned.token).toBe(token);
    expect(orphaned.fence).toBeGreaterThan(lock.fence);
    await until("the last word frees it", () => isFree(key));
    expect((await leaseRow(sql, key)).now).toBeLessThan(orphaned.expiresAt - 20_000);
  },
);

test.each(presences)(
  "a first attempt that runs while the grant of the second is held changes nothing, then or later (presence: %s)",
  async (presence) => {
    const key = `twin-held-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, requestTimeoutMs: 3_000, renewEveryMs: 1_500 });
    await locker.ready();
    const held = proxy.holdStatement(acquire);
    void held.arrived.then(({ connection }) => connection.cutClient());

    const lock = await locker.acquire(key);
    await held.forward();

    expect(await grants(key)).toBe(1);
    // three renewals: well past the time until which the first attempt could run
    for (let renewals = 0; renewals < 3; renewals += 1) await proxy.onStatement(renew);
    expect(lock.held).toBe(true);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    await lock.release();
    expect(await isFree(key)).toBe(true);
  },
);

test.each(presences)(
  "a release that runs late does not free the grant of who came after (presence: %s)",
  async (presence) => {
    const key = `release-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence });
    await using other = openLocker(database);
    const lock = await locker.acquire(key);
    const held = proxy.holdStatement(release);

    const outcome = await settled(lock.release(), 3_000);
    await using next = await other.acquire(key);
    await held.forward();

    expect(outcome).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(next));
  },
);

test.each(presences)("a renewal that runs after the release brings nothing back (presence: %s)", async (presence) => {
  const key = `renewal-${presence}`;
  await using proxy = await startProxy(database.url);
  await using locker = through(proxy, { presence, renewEveryMs: 100 });
  const held = proxy.holdStatement(renew);
  const lock = await locker.acquire(key);
  await held.arrived;

  await lock.release();
  const before = await leaseRow(sql, key);
  await held.forward();

  expect(await leaseRow(sql, key)).toMatchObject({ token: null, expiresAt: before.expiresAt });
  expect(lock.held).toBe(false);
});

test.each(presences)("close() settles while each of its statements hangs (presence: %s)", async (presence) => {
  const requestTimeoutMs = 3_000;
  const key = `close-${presence}`;
  await using proxy = await startProxy(database.url);
  const locker = createLocker({ url: proxy.url(database.url), presence, requestTimeoutMs, ttlMs: 30_000 });
  const lock = await locker.acquire(key);
  const { signal } = lock;
  const held = proxy.holdStatement(release);
  const leaving = proxy.holdStatement(/close_session/);

  const outcome = await settled(locker.close(), requestTimeoutMs);

  expect(outcome).toEqual({ value: undefined });
  expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "closed" });
  // it was freed by the last word, without the answer to the release
  expect(await isFree(key)).toBe(true);
  await held.forward();
  if (presence === "on") await leaving.forward();
});

test("close() takes the session's row back although a heartbeat is on its way", async () => {
  await using proxy = await startProxy(database.url);
  const errors: unknown[] = [];
  await using locker = through(proxy, { onError: (error) => errors.push(error) });
  await locker.ready();
  const heartbeat = proxy.holdStatement(/leasehold_internal\.heartbeat\(/);
  await heartbeat.arrived;
  const leaving = proxy.onStatement(/close_session/);

  const closing = locker.close();
  // close() has begun: what it sends stands behind the heartbeat
  await new Promise((resolve) => setImmediate(resolve));
  await heartbeat.forward();
  await closing;

  await leaving;
  expect(errors).toEqual([]);
  expect(await sql`select from leasehold.sessions`).toHaveLength(0);
});

test.each(presences)(
  "what only waited behind a hung statement is asked again on the next connection (presence: %s)",
  async (presence) => {
    const requestTimeoutMs = 2_000;
    await using proxy = await startProxy(database.url);
    await using locker = through(proxy, { presence, requestTimeoutMs });
    await using lock = await locker.acquire(`behind-${presence}`);
    const held = proxy.holdStatement(acquire);
    const hung = settled(locker.tryAcquire(`hung-${presence}`), requestTimeoutMs);
    await held.arrived;
    // so that the hung one's time is up first
    await new Promise((resolve) => setTimeout(resolve, requestTimeoutMs / 2));

    const [state, pong, checked, debug] = await Promise.all([
      locker.check(lock.key),
      locker.ping(),
      locker.isLocked(`hung-${presence}`),
      locker.debug(),
    ]);

    expect(state).toMatchObject({ state: "held", isThisProcess: true });
    expect(pong.serverVersion).toEqual(expect.any(String));
    expect(checked).toBe(false);
    expect(debug).toMatchObject({ server: { database: expect.any(String) } });
    expect(await hung).toMatchObject({ error: { name: "UnavailableError", outcome: "unknown" } });
  },
);
