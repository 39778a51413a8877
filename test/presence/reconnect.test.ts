import { expect, test } from "vitest";
import { changeUrl } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const ofSession = /^leasehold session/;

test("a session that is terminated and comes back in time leaves its leases unproven until they are renewed, and loses none", async () => {
  await using proxy = await startProxy(database.url);
  const losses: string[] = [];
  await using locker = openLocker(proxy.url(database.url), {
    ttlMs: 30_000,
    takeoverDelayMs: 20_000,
    onLost: (lock) => losses.push(lock.key),
  });
  await using other = openLocker(database);
  await using renewed = await locker.acquire("renewed");
  await using kept = await locker.acquire("kept", { keepAlive: false });
  const before = { renewed: await leaseRow(sql, "renewed"), kept: await leaseRow(sql, "kept") };
  const proof = proxy.holdStatement(/leasehold_internal\.renew/);

  expect(await sql`select pg_terminate_backend(${before.kept.pid}) as done`).toEqual([{ done: true }]);
  await proof.arrived;

  // the new session stands, the renewal that proves the leases is on its way
  for (const lock of [renewed, kept]) {
    expect(lock.held).toBe(false);
    expect(lock.signal.aborted).toBe(false);
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ name: "NotHeldError", code: "not-held" }));
  }
  expect(await other.tryAcquire("kept")).toBeNull();
  await proof.forward();
  await until("both are proven", () => renewed.held && kept.held);
  const after = { renewed: await leaseRow(sql, "renewed"), kept: await leaseRow(sql, "kept") };
  expect(after.kept.pid).not.toBe(before.kept.pid);
  expect(after.kept).toMatchObject({ ...grantOf(kept), expiresAt: before.kept.expiresAt });
  expect(after.renewed).toMatchObject(grantOf(renewed));
  expect(losses).toEqual([]);
});

test("an old backend that is still there on a dead connection is ended by its own process, which keeps its number and its leases", async () => {
  await using proxy = await startProxy(database.url);
  const losses: string[] = [];
  await using locker = openLocker(proxy.url(database.url), {
    ttlMs: 30_000,
    takeoverDelayMs: 20_000,
    requestTimeoutMs: 4_000,
    onLost: (lock) => losses.push(lock.key),
  });
  await using lock = await locker.acquire("a");
  const before = await leaseRow(sql, "a");
  const ending = proxy.holdStatement(/pg_terminate_backend/);

  proxy.connections.find(({ applicationName }) => ofSession.test(applicationName ?? ""))?.blackhole();
  await ending.arrived;

  const standing = () => sql`select from pg_locks where locktype = 'advisory' and pid = ${before.pid}`;
  expect(await standing()).toHaveLength(1);
  await ending.forward();
  await until("the new session has its row", async () => (await leaseRow(sql, "a")).pid !== before.pid);
  await until("the lease is proven", () => lock.held);
  expect(await standing()).toHaveLength(0);
  expect(await leaseRow(sql, "a")).toMatchObject({ sessionId: before.sessionId, token: before.token });
  expect(losses).toEqual([]);
});

test("where a role may not end backends, a session comes back all the same: under a new number while its old backend stands", async () => {
  await using guarded = await createDatabase();
  await guarded.sql`revoke execute on function pg_terminate_backend(integer, bigint) from public`;
  const role = await createRole(guarded, { grantUsage: true });
  await using proxy = await startProxy(guarded.url);
  const { port } = new URL(proxy.url(guarded.url));
  await using locker = openLocker(changeUrl(role.url, { port: Number(port) }), {
    ttlMs: 30_000,
    takeoverDelayMs: 20_000,
    requestTimeoutMs: 4_000,
  });
  await using lock = await locker.acquire("a");
  const before = await leaseRow(guarded.sql, "a");

  proxy.connections.find(({ applicationName }) => ofSession.test(applicationName ?? ""))?.blackhole();
  await until("the lease is under another session", async () => {
    return (await leaseRow(guarded.sql, "a")).sessionId !== before.sessionId;
  });
  await until("the lease is proven", () => lock.held);

  const after = await leaseRow(guarded.sql, "a");
  expect(after).toMatchObject(grantOf(before));
  // gone without a word: then the number is free to be taken again
  await guarded.sql`select pg_terminate_backend(${after.pid})`;
  await until("the next session has its row", async () => (await leaseRow(guarded.sql, "a")).pid !== after.pid);
  await until("the lease is proven again", () => lock.held);
  expect(await leaseRow(guarded.sql, "a")).toMatchObject({ token: before.token, sessionId: after.sessionId });
  await guarded.sql`select pg_terminate_backend(${before.pid})`;
});

test.each([true, false])(
  "without a session for the takeover delay a lease is unproven, and when it comes back lost only if taken (taken: %s)",
  async (isTaken) => {
    const key = `cut-${isTaken}`;
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { ttlMs: 60_000, takeoverDelayMs: 1_000 });
    await using other = openLocker(database);
    const lock = await locker.acquire(key);
    const { signal } = lock;

    await proxy.refuse(true);
    proxy.cutAll();
    await until("its belief has ended", () => !lock.held);
    expect(signal.aborted).toBe(false);
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: "not-held" }));
    const successor = isTaken ? await other.acquire(key) : null;
    // also now: nobody has told it
    expect(lock.held).toBe(false);
    expect(signal.aborted).toBe(false);
    await proxy.refuse(false);

    if (successor === null) {
      await until("it is proven again", () => lock.held);
      expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
      await lock.release();
    } else {
      await until("it is told", () => signal.aborted);
      expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "taken" });
      await expect(lock.release()).rejects.toBe(signal.reason);
      expect(successor.held).toBe(true);
      await successor.release();
    }
  },
);

test("a process with no connection at all believes from its own clocks until its delay has passed, and never after somebody was granted", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 60_000, takeoverDelayMs: 2_000 });
  await using other = openLocker(database);
  const lock = await locker.acquire("dark");
  let isGranted = false;
  let believedAfter = 0;

  await proxy.refuse(true);
  proxy.cutAll();
  // its own connection is gone, but in time: still held
  expect(lock.held).toBe(true);
  const successor = other.acquire("dark").then((granted) => {
    isGranted = true;
    return granted;
  });
  await until("another is granted", () => {
    if (isGranted && lock.held) believedAfter += 1;
    return isGranted;
  });
  expect(believedAfter).toBe(0);
  expect(lock.held).toBe(false);
  await (await successor).release();
  await proxy.refuse(false);
  await locker.ready();
});
