// What an answer says was true when the server wrote it. A client that counts from the moment it heard it believes too long.
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const slowMs = 500;

test.each(["on", "off"] as const)(
  "a grant whose answer is long on its way is not believed beyond the expiry on the server (presence %s)",
  async (presence) => {
    const key = `late-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { presence, ttlMs: 4_000, keepAlive: false });
    await using other = openLocker(database);
    await locker.ready();
    proxy.delayMs.toClient = slowMs;

    const lock = await locker.acquire(key);
    expect(lock.held).toBe(true);
    const next = await other.acquire(key);

    expect(lock.held).toBe(false);
    proxy.delayMs.toClient = 0;
    await next.release();
  },
);

test("a renewal whose answer is long on its way is not believed beyond the expiry on the server", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 4_000, keepAlive: false });
  await using other = openLocker(database);
  const lock = await locker.acquire("renewed");
  await lock.renew();
  proxy.delayMs.toClient = slowMs;

  await lock.renew();
  expect(lock.held).toBe(true);
  const next = await other.acquire("renewed");

  expect(lock.held).toBe(false);
  proxy.delayMs.toClient = 0;
  await next.release();
});

test("a heartbeat whose answer is long on its way counts from the moment it was sent", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 60_000, takeoverDelayMs: 3_000 });
  await using other = openLocker(database);
  const lock = await locker.acquire("beat");
  proxy.delayMs.toClient = slowMs;
  await proxy.onStatement(/leasehold_internal\.heartbeat/);
  // its answer comes late; the one after it never reaches the server
  const lastBeat = proxy.holdStatement(/leasehold_internal\.heartbeat/);
  await lastBeat.arrived;

  await proxy.refuse(true);
  proxy.cutAll();
  const next = await other.acquire("beat");

  expect(lock.held).toBe(false);
  expect(lock.signal.aborted).toBe(false);
  await next.release();
  proxy.delayMs.toClient = 0;
  await proxy.refuse(false);
  await locker.ready();
});

test("an answer from before a reconnect proves nothing: only what was sent after it does", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 60_000, takeoverDelayMs: 5_000 });
  const lock = await locker.acquire("old");
  await lock.renew();
  const before = await leaseRow(sql, "old");
  const renewals = proxy.connections.find((connection) => connection.applicationName?.startsWith("leasehold renewals"));
  expect(renewals).toBeDefined();

  // the server has renewed it, and the answer is long on its way
  renewals?.blackhole("to-client");
  const renewal = lock.renew();
  await until("it is renewed", async () => (await leaseRow(sql, "old")).expiresAt > before.expiresAt);
  await sql`select pg_terminate_backend(${before.pid})`;
  await until("a new session stands", () => !lock.held);
  const proof = proxy.holdStatement(/leasehold_internal\.renew/);
  renewals?.heal();
  await renewal.catch(() => {});
  await proof.arrived;

  expect((await leaseRow(sql, "old")).pid).not.toBe(before.pid);
  expect(lock.held).toBe(false);
  await proof.forward();
  await until("it is proven", () => lock.held);
  await lock.release();
});
