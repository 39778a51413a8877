import { expect, test } from "vitest";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

test("a short crash of Postgres loses no lock; who died meanwhile is taken over at the TTL, for nobody can tell that it is dead", async () => {
  await using cluster = await startCluster();
  await using database = await createDatabase({ on: cluster });
  const { sql } = database;
  const losses: string[] = [];
  await using living = openLocker(database, {
    ttlMs: 60_000,
    takeoverDelayMs: 1_000,
    onLost: (lock) => losses.push(lock.key),
  });
  await using dying = await openLockProcess(database, { options: { ttlMs: 5_000, takeoverDelayMs: 1_000 } });
  const renewed = await living.acquire("renewed");
  const kept = await living.acquire("kept", { keepAlive: false });
  const lost = await dying.acquire("lost");
  const before = await leaseRow(sql, "kept");

  await cluster.stop("immediate");
  await dying.worker.kill("SIGKILL");
  await cluster.start();
  await using client = openLocker(database);
  await client.ready();
  const dead = await leaseRow(sql, "lost");
  const second = await client.acquire("lost");

  expect(dead).toMatchObject({ ...grantOf(lost), seenAt: null });
  expect((await leaseRow(sql, "lost")).acquiredAt).toBeGreaterThanOrEqual(dead.expiresAt);
  expect(second.fence).toBeGreaterThan(lost.fence);
  await until("the living holder has proven its leases", () => renewed.held && kept.held);
  expect(losses).toEqual([]);
  expect(await leaseRow(sql, "kept")).toMatchObject({
    ...grantOf(kept),
    expiresAt: before.expiresAt,
  });
  expect(await leaseRow(sql, "renewed")).toMatchObject(grantOf(renewed));
  for (const lock of [renewed, kept, second]) await lock.release();
});

test("after a clean restart a dead holder is taken over when the server has been up for the delay", async () => {
  await using cluster = await startCluster();
  await using database = await createDatabase({ on: cluster });
  const { sql } = database;
  await using dying = await openLockProcess(database, { options: { ttlMs: 30_000, takeoverDelayMs: 2_000 } });
  await using client = openLocker(database);
  const first = await dying.acquire("a");

  await cluster.stop("fast");
  await dying.worker.kill("SIGKILL");
  await cluster.start();
  const dead = await leaseRow(sql, "a");
  // asks all the time: a waiter would look when its time has come
  const second = await until("it is granted", () => client.tryAcquire("a"));

  const [server] = await sql`select extract(epoch from pg_postmaster_start_time())::float8 * 1000 as started`;
  const row = await leaseRow(sql, "a");
  expect(row.acquiredAt).toBeGreaterThanOrEqual(server?.started + 2_000);
  expect(second.fence).toBeGreaterThan(first.fence);
  expect(row.acquiredAt).toBeLessThan(dead.expiresAt);
  await second.release();
  expectLeft(database, "sessions");
});
