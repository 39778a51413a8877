import { getEventListeners } from "node:events";
import { beforeAll, expect, test } from "vitest";
import { WaitTimeoutError } from "../../src/index.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { queueOf, untilQueued } from "./queue.js";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

test("a wait ends after waitMs, and not before, with the holder's name", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  await using waiter = openLocker(database);
  await waiter.ready();
  const held = await holder.acquire("timed");
  const start = performance.now();

  const error = await waiter.acquire("timed", { waitMs: 300 }).catch((reason: unknown) => reason);

  expect(performance.now() - start).toBeGreaterThanOrEqual(300);
  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect(error).toMatchObject({
    code: "wait-timeout",
    key: "timed",
    waitMs: 300,
    holder: { owner: "the holder", fence: held.fence, isThisProcess: false },
  });
  await waiter.close();
  expect(await queueOf(database, "timed")).toEqual([]);
  await held.release();
});

test("waitMs 0 is one try, which does not join the queue", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  await using waiter = openLocker(proxy.url(database.url));
  await waiter.ready();
  const held = await holder.acquire("zero");
  proxy.statements.length = 0;

  await expect(waiter.acquire("zero", { waitMs: 0 })).rejects.toBeInstanceOf(WaitTimeoutError);

  expect(commands(proxy.statements)).toEqual(["acquire_first"]);
  expect((await database.sql`select queued from leasehold.leases where key = 'zero'`)[0]?.queued).toBe(false);
  await held.release();
  const lock = await waiter.acquire("zero", { waitMs: 0 });
  await lock.release();
});

test("a signal of a polyfill, without a reason and throwIfAborted, cancels as well", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const held = await holder.acquire("polyfill");
  const polyfill = Object.assign(new EventTarget(), { aborted: false });
  const signal = polyfill as unknown as AbortSignal;
  const waiting = waiter.acquire("polyfill", { signal });
  await untilQueued(database, "polyfill", 1);

  polyfill.aborted = true;
  polyfill.dispatchEvent(new Event("abort"));

  await expect(waiting).rejects.toMatchObject({ name: "AbortError" });
  await expect(waiter.acquire("polyfill", { signal })).rejects.toMatchObject({ name: "AbortError" });
  await held.release();
});

test("waitMs Infinity outlasts the locker's own waitMs", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database, { waitMs: 200 });
  const held = await holder.acquire("endless");
  const endless = waiter.acquire("endless", { waitMs: Number.POSITIVE_INFINITY });
  await untilQueued(database, "endless", 1);

  await expect(waiter.acquire("endless")).rejects.toBeInstanceOf(WaitTimeoutError);
  await held.release();

  const lock = await endless;
  expect(lock.held).toBe(true);
  await lock.release();
});

test("a signal that is aborted already sends nothing", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));
  const reason = { why: "not even begun" };
  const signal = AbortSignal.abort(reason);

  await expect(locker.acquire("never", { signal })).rejects.toBe(reason);
  await expect(locker.tryAcquire("never", { signal })).rejects.toBe(reason);
  await expect(locker.withLock("never", () => undefined, { signal })).rejects.toBe(reason);
  expect(proxy.connections).toHaveLength(0);

  await locker.ready();
  proxy.statements.length = 0;
  await expect(locker.acquire("never", { signal })).rejects.toBe(reason);
  await locker.close();
  expect(commands(proxy.statements)).toEqual([]);
  expect(listeners(signal)).toBe(0);
});

test("an abort ends the wait with the signal's own reason, and the next waiter is served", async () => {
  await using holder = openLocker(database);
  await using first = openLocker(database);
  await using second = openLocker(database);
  const held = await holder.acquire("aborted");
  const controller = new AbortController();
  const reason = new Error("changed my mind");
  const refused = expect(first.acquire("aborted", { signal: controller.signal })).rejects.toBe(reason);
  const [entry] = await untilQueued(database, "aborted", 1);
  const waiting = second.acquire("aborted");
  await untilQueued(database, "aborted", 2);

  controller.abort(reason);
  await refused;
  expect(listeners(controller.signal)).toBe(0);
  await first.close();
  expect((await queueOf(database, "aborted")).map(({ token }) => token)).not.toContain(entry?.token);
  await held.release();

  await (await waiting).release();
});

test("a signal cancels the waiting only: the lock outlives it", async () => {
  await using locker = openLocker(database);
  const controller = new AbortController();
  const lock = await locker.acquire("kept", { signal: controller.signal });

  controller.abort();
  await lock.renew();

  expect(lock.held).toBe(true);
  expect(lock.signal.aborted).toBe(false);
  await lock.release();
});

test("many waits on one long-lived signal leave no listener on it, however they end", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const { signal } = new AbortController();
  const held = await holder.acquire("long-lived");

  await locker.withLock("free", () => undefined, { signal });
  await locker.tryAcquire("long-lived", { signal });
  await expect(locker.acquire("long-lived", { signal, waitMs: 50 })).rejects.toBeInstanceOf(WaitTimeoutError);
  const waiting = locker.acquire("long-lived", { signal });
  await untilQueued(database, "long-lived", 1);
  expect(listeners(signal)).toBe(1);
  await held.release();
  await (await waiting).release();

  expect(listeners(signal)).toBe(0);
});

test("a thousand waits hold no connection of their own, and one abort ends them all", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(`${database.url}?application_name=crowd`, { waitMs: Number.POSITIVE_INFINITY });
  const keys = Array.from({ length: 50 }, (_, n) => `crowd ${n}`);
  const held = await Promise.all(keys.map((key) => holder.acquire(key)));
  const controller = new AbortController();
  const reason = new Error("all of you");
  const waits = Array.from({ length: 1_000 }, (_, n) =>
    locker.acquire(`crowd ${n % 50}`, { signal: controller.signal }).catch((error: unknown) => error),
  );
  const count = async () => Number((await database.sql`select count(*) as n from leasehold.waiters`)[0]?.n);
  await until("all wait in the queue", async () => (await count()) === 1_000);

  const connections = await database.sql`
    select application_name from pg_stat_activity where datname = current_database() and application_name like '%crowd'`;
  controller.abort(reason);
  const errors = await Promise.all(waits);
  await locker.close();

  expect(connections.length).toBeLessThanOrEqual(3);
  expect(errors.every((error) => error === reason)).toBe(true);
  expect(listeners(controller.signal)).toBe(0);
  expect(await count()).toBe(0);
  expect(held.every((lock) => lock.held)).toBe(true);
  await Promise.all(held.map((lock) => lock.release()));
});

function commands(statements: readonly { sql: string }[]): string[] {
  return statements.flatMap(
    ({ sql }) => /leasehold_internal\.(acquire_first|acquire_one|acquire|release|abandon|renew)\(/.exec(sql)?.[1] ?? [],
  );
}
