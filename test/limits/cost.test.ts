// What the usual calls cost the server: round trips, commits that wait for the disk, WAL.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../support/cluster.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

let cluster: Cluster;
let database: TestDatabase;

beforeAll(async () => {
  // Quiet: nothing but what is measured writes, and what is not waited for stays unwritten.
  cluster = await startCluster({ settings: { autovacuum: "off", wal_writer_delay: "10s", checkpoint_timeout: "1h" } });
  database = await createDatabase({ on: cluster });
});

afterAll(() => cluster.destroy());

interface Position {
  readonly inserted: number;
  readonly flushed: number;
  readonly transactions: number;
}

async function position(): Promise<Position> {
  const [row] = await database.sql`
    select (pg_current_wal_insert_lsn() - '0/0')::float8 as inserted, (pg_current_wal_flush_lsn() - '0/0')::float8 as flushed,
           pg_snapshot_xmax(pg_current_snapshot())::text::float8 as transactions`;
  return { inserted: row?.inserted, flushed: row?.flushed, transactions: row?.transactions };
}

test("an uncontended acquire and a release are one round trip each, and one durable commit in all", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  await locker.withLock("cost", () => undefined); // connected, planned, and the key has its row
  proxy.statements.length = 0;
  const before = await position();

  const lock = await locker.acquire("cost");
  const acquired = await position();
  await lock.release();
  const released = await position();

  expect(proxy.statements.map(({ sql }) => /leasehold_internal\.(\w+)/.exec(sql)?.[1])).toEqual([
    expect.stringMatching(/^acquire/),
    expect.stringMatching(/^release/),
  ]);
  expect(acquired.inserted).toBeGreaterThan(before.inserted);
  expect(acquired.flushed).toBe(acquired.inserted);
  expect(released.inserted).toBeGreaterThan(acquired.inserted);
  expect(released.flushed).toBe(acquired.flushed);
});

test("a thousand tries that fail write nothing", async () => {
  // The tries are counted, and all together written later, in one row.
  await using holder = openLocker(database, { statsFlushMs: 600_000 });
  await using locker = openLocker(database, { statsFlushMs: 600_000 });
  const held = await holder.acquire("taken", { ttlMs: 600_000 });
  await locker.tryAcquire("taken");
  const start = performance.now();
  const before = await position();

  for (let tries = 0; tries < 1_000; tries += 1) expect(await locker.tryAcquire("taken")).toBeNull();

  const after = await position();
  const tookMs = performance.now() - start;
  // An interval as long, in which the two sessions only say that they live.
  await new Promise((resolve) => setTimeout(resolve, tookMs));
  const idle = await position();
  const busyBytes = after.inserted - before.inserted;
  const idleBytes = idle.inserted - after.inserted;
  // The shortest record has 24 bytes: were one written per try, it would be 24,000 and more.
  expect(busyBytes - idleBytes).toBeLessThan(1_000);
  expect(after.transactions - before.transactions).toBeLessThan(50);
  await held.release();
});
