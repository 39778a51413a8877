import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow, seenAt } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a takeover obeys what the dead holder wrote, not what the taker was made with", async () => {
  const ttlMs = 8_000;
  await using holders = await openLockProcess(database, {
    lockers: {
      none: { ttlMs: 20_000, takeoverDelayMs: 0 },
      short: { ttlMs: 20_000, takeoverDelayMs: 1_000 },
      long: { ttlMs: 20_000, takeoverDelayMs: 2_500 },
      off: { ttlMs, presence: "off" },
      offShort: { ttlMs, presence: "off", keepAlive: false },
    },
  });
  await using patient = openLocker(database, { takeoverDelayMs: 30_000 });
  await using hasty = openLocker(database, { takeoverDelayMs: 0 });
  await using stateless = openLocker(database, { presence: "off" });
  const names = ["none", "short", "long", "off", "offShort"];
  for (const name of names) await holders.acquire(name, {}, name);

  await holders.worker.kill("SIGKILL");
  const dead = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await leaseRow(sql, name)])));
  const takers = { none: patient, short: patient, long: hasty, off: hasty, offShort: stateless };
  const locks = await Promise.all(Object.entries(takers).map(([name, taker]) => taker.acquire(name)));

  const taken = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await leaseRow(sql, name)])));
  for (const [name, delayMs] of Object.entries({ none: 0, short: 1_000, long: 2_500 })) {
    expect(dead[name].takeoverMs).toBe(delayMs);
    expect(taken[name].acquiredAt).toBeGreaterThanOrEqual((await seenAt(sql, dead[name].sessionId)) + delayMs);
    expect(taken[name].acquiredAt).toBeLessThan(dead[name].expiresAt);
  }
  // with a delay of 0 the death of the connection is all: soonest
  expect(taken.none.acquiredAt).toBeLessThan(taken.short.acquiredAt);
  for (const name of ["off", "offShort"]) {
    expect(dead[name]).toMatchObject({ sessionId: null, takeoverMs: null });
    expect(taken[name].acquiredAt).toBeGreaterThanOrEqual(dead[name].expiresAt);
  }
  for (const lock of locks) await lock.release();
  expectLeft(database, "sessions");
});

test("with a takeover delay of 0 a holder whose connection is cut believes until it is told: fences tell the two apart", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 20_000, takeoverDelayMs: 0 });
  await using other = openLocker(database);
  const lock = await locker.acquire("a");
  const { signal } = lock;

  await proxy.refuse(true);
  proxy.cutAll();
  await using successor = await other.acquire("a");

  expect(lock.held).toBe(true);
  expect(successor.fence).toBeGreaterThan(lock.fence);
  await proxy.refuse(false);
  await until("it is told", () => signal.aborted);
  expect(signal.reason).toMatchObject({ reason: "taken" });
  expect(lock.held).toBe(false);
});
