import type postgres from "postgres";
import { describe, expect, test } from "vitest";
import { type Locker, NotPermittedError } from "../../src/index.js";
import { expire, openGuard, openSession } from "../fencing/session.js";
import { acquireRows } from "../support/acts.js";
import { createDatabase, createRole } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a holder that is forced out is told at its next renewal, and the key goes to the next when it has let go", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000, renewEveryMs: 200 });
  await using operator = openLocker(database);
  const lock = await holder.acquire("a");
  const { signal } = lock;
  const wait = operator.acquire("a");
  await until("somebody waits", async () => (await sql`select from leasehold.waiters`).length > 0);
  const before = await leaseRow(sql, "a");

  expect(await operator.forceRelease("a")).toMatchObject({ outcome: "revoked", holders: [{ fence: lock.fence }] });
  await until("it is told", () => signal.aborted);

  expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "forced" });
  await using next = await wait;
  expect((await leaseRow(sql, "a")).acquiredAt).toBeLessThan(before.expiresAt);
  expect(next.fence).toBeGreaterThan(lock.fence);
  await expect(lock.release()).rejects.toBe(signal.reason);
});

test("a holder that is forced out and does not listen keeps the key until the expiry it was last given, and no longer", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 6_000, takeoverDelayMs: 6_000 } });
  await using operator = openLocker(database);
  const first = await holder.acquire("deaf");
  holder.worker.stop();
  const before = await leaseRow(sql, "deaf");

  const expiresAt = new Date(before.expiresAt);
  expect(await operator.forceRelease("deaf")).toEqual({
    outcome: "revoked",
    freeAt: expiresAt,
    holders: [{ owner: expect.any(String), fence: first.fence, weight: 1, isThisProcess: false, expiresAt }],
    blockingPid: null,
    blockingTransaction: null,
  });
  expect(await operator.check("deaf")).toMatchObject({ state: "revoked", fence: first.fence, expiresAt });
  expect(await operator.isLocked("deaf")).toBe(true);
  expect(await operator.tryAcquire("deaf")).toBeNull();
  const next = await operator.acquire("deaf");

  const row = await leaseRow(sql, "deaf");
  expect(row.acquiredAt).toBeGreaterThanOrEqual(before.expiresAt);
  expect(next.fence).toBeGreaterThan(first.fence);
  await next.release();
  holder.worker.cont();
  await holder.close();
});

test("forced at once, the key goes to who waits while the old holder still believes; its fence is the smaller one", async () => {
  await using holder = openLocker(database, { ttlMs: 60_000, keepAlive: false });
  await using operator = openLocker(database);
  const lock = await holder.acquire("b");
  const wait = operator.acquire("b");
  await until("somebody waits", async () => (await sql`select from leasehold.waiters`).length > 0);

  expect(await operator.forceRelease("b", { immediate: true })).toMatchObject({
    outcome: "released",
    freeAt: null,
    holders: [{ fence: lock.fence, isThisProcess: false }],
  });
  const next = await wait;

  expect(lock.held).toBe(true);
  expect(next.fence).toBeGreaterThan(lock.fence);
  await expect(lock.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "taken" });
  expect(lock.held).toBe(false);
  expect(next.held).toBe(true);
  await next.release();
});

test("forceRelease with a fence spares a newer grant, and says when there is nothing to force", async () => {
  await using locker = openLocker(database, { ttlMs: 60_000 });
  const old = await locker.acquire("c");
  await old.release();
  expect(await locker.forceRelease("c", { immediate: true })).toBeNull();
  expect(await locker.forceRelease("never-seen")).toBeNull();
  const current = await locker.acquire("c");

  expect(await locker.forceRelease("c", { fence: old.fence, immediate: true })).toBeNull();
  await current.renew();
  expect(current.held).toBe(true);
  expect(await locker.forceRelease("c", { fence: current.fence, immediate: true })).toMatchObject({
    holders: [{ isThisProcess: true }],
  });

  await expect(current.renew()).rejects.toMatchObject({ reason: "forced" });
});

test("a lease that is over is free at once: there is no holder to wait for", async () => {
  await using holder = openLocker(database, { owner: "late", keepAlive: false });
  await using operator = openLocker(database);
  const lock = await holder.acquire("over");
  await expire(database, "over");
  expect(await operator.forceRelease("over")).toMatchObject({
    outcome: "released",
    freeAt: null,
    holders: [{ owner: "late" }],
  });
  expect(await operator.check("over")).toBeNull();
  await expect(lock.release()).rejects.toMatchObject({ name: "LeaseLostError" });
});

test.each([false, true])(
  "a minimum hold is ended for who waits, and was nobody's (immediate: %s)",
  async (immediate) => {
    const key = `cool-${immediate}`;
    await using locker = openLocker(database, { minHoldMs: 600_000 });
    await using other = openLocker(database, { waitMs: 60_000 });
    const lock = await locker.acquire(key);
    await lock.release();
    expect(await other.check(key)).toMatchObject({ state: "cooling" });
    expect(await locker.forceRelease(key, { immediate, fence: lock.fence + 1n })).toBeNull();
    const wait = other.acquire(key);
    await until("it waits", async () => (await sql`select from leasehold.waiters where key = ${key}`).length > 0);

    expect(await locker.forceRelease(key, { immediate, fence: lock.fence })).toEqual({
      outcome: "released",
      freeAt: null,
      holders: [],
      blockingPid: null,
      blockingTransaction: null,
    });
    const next = await wait;
    expect(next.fence).toBeGreaterThan(lock.fence);
    await next.release();
  },
);

test.each([false, true])(
  "a key that an open transaction alone keeps is not free: it is told which (immediate: %s)",
  async (immediate) => {
    const key = `kept-${immediate}`;
    await using locker = openLocker(database, { keepAlive: false });
    const lock = await locker.acquire(key);
    await using session = await openGuard(database, lock);
    await lock.release();
    expect(await locker.check(key)).toMatchObject({ state: "blocked" });

    const nobody = { outcome: "released", freeAt: null, holders: [], blockingTransaction: null };
    expect(await locker.forceRelease(key, { immediate })).toEqual({ ...nobody, blockingPid: session.pid });
    expect(await locker.forceRelease(key, { immediate, fence: lock.fence + 1n })).toBeNull();
    const [told] =
      await sql`select outcome, blocking_pid from leasehold.force_release(${key}, immediate => ${immediate})`;
    expect(told).toEqual({ outcome: "gone", blocking_pid: session.pid });
    expect(await locker.tryAcquire(key)).toBeNull();
    await session.rollback();
    expect(await locker.forceRelease(key, { immediate })).toBeNull();
    expect(await locker.isLocked(key)).toBe(false);
  },
);

test.each([false, true])(
  "an open transaction that guards the key keeps it beyond that, and is named (immediate: %s)",
  async (immediate) => {
    const key = `guarded-${immediate}`;
    await using holder = openLocker(database, { keepAlive: false });
    await using operator = openLocker(database);
    await operator.ready(); // its server process has the lower number
    const lock = await holder.acquire(key);
    await using session = await openGuard(database, lock);
    const freeAt = immediate ? null : lock.expiresAt;
    expect(await operator.forceRelease(key, { immediate })).toMatchObject({ freeAt, blockingPid: session.pid });
    await expire(database, key);
    expect(await operator.tryAcquire(key)).toBeNull();
    expect(await operator.isLocked(key)).toBe(true);
    await session.rollback();
    await operator.withLock(key, () => undefined, { waitMs: 0 });
  },
);

test("a row that is locked for a moment, as by a renewal, is waited for", async () => {
  await using holder = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  await operator.ready();
  await using session = await openSession(database);
  await holder.acquire("brief");
  await session.run("begin; select from leasehold.leases where key = 'brief' for update");
  const moment = session.run("select pg_sleep(0.1); commit");
  expect(await operator.forceRelease("brief", { immediate: true })).toMatchObject({ outcome: "released" });
  await moment;
});

test("what is about to be granted for the first time is busy, not free", async () => {
  await using operator = openLocker(database);
  await using session = await openSession(database);
  await session.begin();
  await session.run("select leasehold.try_acquire('first')");
  const refusal = await operator.forceRelease("first").catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: "NotAcquiredError", blockingPid: session.pid });
  await expect(sql`select leasehold.force_release('first')`).rejects.toMatchObject({
    code: "55P03",
    detail: `It is open in the server process ${session.pid}.`,
  });
  await session.rollback();
  expect(await operator.forceRelease("first")).toBeNull();
});

test("a role without any right is told the one that it needs for this, at once", async () => {
  const role = await createRole(database);
  for (const presence of ["on", "off"] as const) {
    await using stranger = openLocker(role.url, { presence });
    await expect(stranger.forceRelease("anything")).rejects.toMatchObject({
      name: "NotPermittedError",
      statement: `select leasehold.grant_admin('${role.name}');`,
    });
    // for anything else grant_usage will do
    await expect(stranger.sweep()).rejects.toMatchObject({
      statement: `select leasehold.grant_usage('${role.name}');`,
    });
  }
});

describe.each(["on", "off"] as const)(
  "forced at once, and granted anew to its own process (presence %s)",
  (presence) => {
    async function acquireTwice(locker: Locker, operator: Locker, key: string) {
      const older = await locker.acquire(key);
      const wait = locker.acquire(key);
      await until("it waits for itself", async () => (await sql`select from leasehold.waiters`).length > 0);
      expect(await operator.forceRelease(key, { immediate: true })).not.toBeNull();
      return { older, newer: await wait };
    }

    test("the older handle is lost as soon as there is a newer one", async () => {
      const losses: string[] = [];
      await using locker = openLocker(database, {
        presence,
        keepAlive: false,
        onLost: (lock, error) => losses.push(`${lock.fence} ${error.reason}`),
      });
      await using operator = openLocker(database);
      const { older, newer } = await acquireTwice(locker, operator, `anew-${presence}`);

      expect(older.held).toBe(false);
      expect(losses).toEqual([`${older.fence} taken`]);
      expect(newer.held).toBe(true);
      expect(locker.locks()).toEqual([newer]);
      await newer.release();
      expect(losses).toHaveLength(1);
    });

    test("what the older handle releases is not the newer grant, and nobody else gets the key", async () => {
      const key = `stale-${presence}`;
      await using locker = openLocker(database, { presence, keepAlive: false });
      await using third = openLocker(database);
      const { older, newer } = await acquireTwice(locker, third, key);

      const refusal = await older.release().catch((reason: unknown) => reason);
      await older[Symbol.asyncDispose]();

      expect(await third.tryAcquire(key)).toBeNull();
      expect(await leaseRow(sql, key)).toMatchObject(grantOf(newer));
      expect(refusal).toMatchObject({ name: "LeaseLostError", reason: "taken" });
      await newer.renew();
      expect(locker.get(key)).toBe(newer);
      await newer.release();
    });
  },
);

test.each([
  ["presence on", "app", "on"],
  ["presence off, with a name that must be quoted", `It's "me"`, "off"],
] as const)(
  "an application's role may not force anybody out until it was granted that: the message has the line to run (%s)",
  async (_, label, presence) => {
    const key = `granted-${presence}`;
    const role = await createRole(database, { grantUsage: true, label });
    await using holder = openLocker(database, { ttlMs: 60_000, keepAlive: false });
    await using app = openLocker(role.url, { presence });
    const lock = await holder.acquire(key);
    // of its own it may do everything
    await app.withLock(`${key}-own`, () => undefined);

    const refusals = await Promise.all(
      [{}, { immediate: true }, { fence: lock.fence }].map((options) =>
        app.forceRelease(key, options).catch((reason: unknown) => reason),
      ),
    );

    const statement = `select leasehold.grant_admin('${role.name.replaceAll("'", "''")}');`;
    for (const refusal of refusals) {
      expect(refusal).toBeInstanceOf(NotPermittedError);
      expect(refusal).toMatchObject({ role: role.name, statement, message: expect.stringContaining(statement) });
    }
    await lock.renew();
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    const [line] = /select leasehold.grant_admin.*;/.exec((refusals[0] as Error).message) ?? [];
    await sql.unsafe(line as string);
    expect(await app.forceRelease(key, { immediate: true })).toMatchObject({ outcome: "released" });
    expect((await leaseRow(sql, key)).token).toBeNull();
    await expect(lock.renew()).rejects.toMatchObject({ name: "LeaseLostError", reason: "forced" });
  },
);

test.each([false, true])(
  "what was taken away is not granted again to the token that had it (waits: %s)",
  async (waits) => {
    const key = `again-${waits}`;
    const token = crypto.randomUUID();
    const acquire = async () => {
      const [row] = await sql.unsafe(`select outcome, fence::text from ${acquireRows([{ key, token, waits }])}`);
      return row as postgres.Row;
    };
    const granted = await acquire();
    expect(granted).toMatchObject({ outcome: "granted" });
    expect(await acquire()).toEqual(granted); // the same grant, asked for again
    await sql`select from leasehold.force_release(${key})`;

    expect(await acquire()).toMatchObject({ outcome: waits ? "queued" : "held", fence: null });
    expect(await sql`select from leasehold.waiters where key = ${key}`).toHaveLength(waits ? 1 : 0);
    await expect(sql`select leasehold.renew(${key}, ${token}::uuid)`).rejects.toMatchObject({ code: "LH002" });
    await sql`update leasehold.leases set expires_at = clock_timestamp() where key = ${key}`;
    const again = await acquire();
    expect(again).toMatchObject({ outcome: "granted" });
    expect(BigInt(again.fence)).toBeGreaterThan(BigInt(granted.fence));
    await sql`select leasehold.release(${key}, ${token}::uuid)`;
  },
);
