// Instances on two servers, one of which is stopped: it takes its own keys with it, and nothing else.
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/postgres-js";
import { afterAll, expect, onTestFinished, test } from "vitest";
import {
  createLocker,
  InvalidOptionError,
  LeaseLostError,
  type Locker,
  type LockerOptions,
  NotMigratedError,
  StaleFenceError,
  UnavailableError,
} from "../../src/index.js";
import { Router } from "../../src/instances/router.js";
import { openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

// Servers that were made for themselves: otherwise both are copies of one, with one identity.
const [one, two] = await Promise.all([startCluster({ ownIdentity: true }), startCluster({ ownIdentity: true })]);
afterAll(() => Promise.all([one.destroy(), two.destroy()]));
const [east, west] = await Promise.all([createDatabase({ on: one }), createDatabase({ on: two })]);

const names = ["east", "west"];
const router = new Router(names.map((name) => ({ name, weight: 1, target: name })));
const keysOf = (name: string, count: number): string[] =>
  Array.from({ length: 20 * count }, (_, index) => `order:${index}`)
    .filter((key) => router.of(key) === name)
    .slice(0, count);

function open(options: LockerOptions = {}): Locker {
  const locker = createLocker({
    waitMs: 60_000,
    requestTimeoutMs: 2_000,
    connectTimeoutMs: 2_000,
    instances: { east: { url: east.url }, west: { url: west.url } },
    ...options,
  });
  onTestFinished(() => locker.close());
  return locker;
}

const rowsOf = async ({ sql }: typeof east): Promise<string[]> => {
  const rows = await sql<{ key: string }[]>`select key from leasehold.active_leases order by key`;
  return rows.map(({ key }) => key);
};

test("each key is a row on the server of its instance alone, and all processes agree", async () => {
  const locker = open();
  const other = open();
  await locker.ready();
  const [eastern, western] = [keysOf("east", 5), keysOf("west", 5)];
  const locks = await Promise.all([...eastern, ...western].map((key) => locker.acquire(key)));
  const rows = [await rowsOf(east), await rowsOf(west)];
  const tries = await Promise.all([...eastern, ...western].map((key) => other.tryAcquire(key)));
  const infos = await Promise.all([...eastern, ...western].map((key) => other.check(key)));
  await Promise.all(locks.map((lock) => lock.release()));

  expect(rows).toEqual([[...eastern].sort(), [...western].sort()]);
  expect(tries.every((lock) => lock === null)).toBe(true);
  expect(infos.map((info) => info?.instance)).toEqual([...eastern.map(() => "east"), ...western.map(() => "west")]);
  expect(await locker.capabilities()).toMatchObject({ presence: "on", features: { "guarded-writes": { isOn: true } } });
});

test("a transaction is guarded in the database of the lock's instance, and refused in another", async () => {
  const locker = open();
  const sql = await openClient(east.url);
  onTestFinished(() => sql.end());
  const db = drizzle(sql);
  const [key = ""] = keysOf("east", 1);
  const [other = ""] = keysOf("west", 1);
  const locks = await Promise.all([locker.acquire(key), locker.acquire(other)]);
  const results = await Promise.allSettled(
    locks.map((lock) => lock.transaction(db, (tx) => tx.execute(drizzleSql`select 1 as one`))),
  );
  await Promise.all(locks.map((lock) => lock.release()));

  expect(results[0]?.status).toBe("fulfilled");
  expect(results[1]).toMatchObject({ status: "rejected", reason: expect.any(InvalidOptionError) });
});

test("fences of one instance are compared there", async () => {
  const locker = open();
  const [key = ""] = keysOf("west", 1);
  const first = await locker.acquire(key);
  await first.release();
  const second = await locker.acquire(key);
  await locker.checkFence(second.key, second.fence);
  const stale = await locker.checkFence(first.key, first.fence).catch((error: unknown) => error);
  await locker.on("west").checkFence("bucket/report.pdf", second.fence);
  const rows = await west.sql`select resource from leasehold.resource_fences order by resource`;
  const elsewhere = await east.sql`select resource from leasehold.resource_fences`;
  await second.release();

  expect(stale).toBeInstanceOf(StaleFenceError);
  expect(rows).toEqual([{ resource: "bucket/report.pdf" }, { resource: key }]);
  expect(elsewhere).toEqual([]);
});

test("while one server is stopped, its keys fail or wait; the other's go on; after its start all go on", async () => {
  const errors: unknown[] = [];
  const locker = open({ onError: (error) => errors.push(error), ttlMs: 60_000 });
  await locker.ready();
  const [held = "", waiting = "", tried = ""] = keysOf("west", 3);
  const eastern = keysOf("east", 10);
  const lock = await locker.acquire(held);
  await two.stop("fast");

  const refused = await locker.tryAcquire(tried).catch((error: unknown) => error);
  const wait = locker.acquire(waiting);
  const served = await Promise.all(eastern.map((key) => locker.withLock(key, ({ instance }) => instance)));
  const [ready, pinged, east1] = await Promise.allSettled([locker.ready(), locker.ping(), locker.on("east").ping()]);
  const stats = locker.stats();
  const info = await locker.debug();

  await two.start();
  const late = await wait;
  await until("the lock that was held is proven again", () => lock.held);
  const afterwards = await Promise.all(
    [tried, ...eastern].map((key) => locker.withLock(key, ({ instance }) => instance)),
  );
  await Promise.all([lock.release(), late.release(), locker.ready()]);

  expect(refused).toBeInstanceOf(UnavailableError);
  expect(served).toEqual(eastern.map(() => "east"));
  expect(ready).toMatchObject({ status: "rejected", reason: expect.any(UnavailableError) });
  expect(ready.status === "rejected" && ready.reason.message).toMatch(/^Instance "west": /);
  expect(ready.status === "rejected" && ready.reason.message).not.toContain("east");
  expect(pinged).toMatchObject({ status: "rejected", reason: { address: `127.0.0.1:${two.port}` } });
  expect(east1.status).toBe("fulfilled");
  expect(stats).toMatchObject({ acquired: 11, waiters: 1, activeLeases: 1 });
  expect(info).toMatchObject({
    server: { isReachable: false },
    instances: { east: { server: { isReachable: true } }, west: { server: { isReachable: false } } },
  });
  expect(late.instance).toBe("west");
  expect(afterwards).toEqual(["west", ...eastern.map(() => "east")]);
  // One server was away, and that was told once.
  expect(errors.filter((error) => error instanceof UnavailableError)).toHaveLength(1);
  expect(errors.filter((error) => error instanceof LeaseLostError)).toEqual([]);
});

test("close closes what can be reached while the other server is stopped", async () => {
  const locker = open();
  await locker.ready();
  const [eastern = "", western = ""] = [...keysOf("east", 1), ...keysOf("west", 1)];
  const locks = await Promise.all([eastern, western].map((key) => locker.acquire(key)));
  await two.stop("immediate");
  await locker.close();
  const rows = await rowsOf(east);
  const info = await locker.debug();
  await two.start();
  await using after = openLocker(west);
  await after.forceRelease(western, { immediate: true });

  expect(rows).toEqual([]);
  expect(locks.map(({ held }) => held)).toEqual([false, false]);
  expect(info.state).toBe("closed");
});

test("ready names the instance that was not migrated, and migrate migrates all", async () => {
  const [a, b] = await Promise.all([createEmptyDatabase({ on: one }), createDatabase({ on: one })]);
  const locker = open({ instances: { a: { url: a.url }, b: { url: b.url } } });
  const refused = await locker.ready().catch((error: unknown) => error);
  await locker.migrate();
  await locker.ready();

  expect(refused).toBeInstanceOf(NotMigratedError);
  expect(refused).toMatchObject({
    found: null,
    message: expect.stringMatching(/^Instance "a": This database has no schema/),
  });
});
