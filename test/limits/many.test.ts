import { beforeAll, expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const HELD = 10_000;
const WAITS = 1_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

async function updates(): Promise<{ all: number; hot: number }> {
  const [row] = await database.sql`
    select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables
     where schemaname = 'leasehold' and relname = 'leases'`;
  return { all: row?.all, hot: row?.hot };
}

test("10,000 locks and 1,000 waits of one process: 3 connections, 1 advisory lock, renewals in batches, and HOT", async () => {
  const { sql } = database;
  await using proxy = await startProxy(database.url);
  await using other = openLocker(database);
  await using locker = openLocker(`${proxy.url(database.url)}?application_name=crowd`, {
    ttlMs: 30_000,
    renewEveryMs: 1_500,
    requestTimeoutMs: 30_000,
    waitMs: Number.POSITIVE_INFINITY,
  });
  const contended = await Promise.all(Array.from({ length: 100 }, (_, n) => other.acquire(`contended ${n}`)));

  const held: Lock[] = [];
  while (held.length < HELD) {
    const keys = Array.from({ length: 1_000 }, (_, n) => `held ${held.length + n}`);
    held.push(...(await Promise.all(keys.map((key) => locker.acquire(key)))));
  }
  const controllers = Array.from({ length: WAITS }, () => new AbortController());
  const waits = controllers.map(({ signal }, n) =>
    locker.acquire(`contended ${n % 100}`, { signal }).catch(() => null),
  );
  await until("all wait in the queue", async () => {
    const [row] = await sql`select count(*)::int as n from leasehold.waiters`;
    return row?.n === WAITS;
  });

  // Two rounds of renewals later: the server's own count, which it makes up at the end of a transaction once a second.
  const renewals = () => proxy.statements.filter(({ sql }) => /leasehold_internal\.renew\(/.test(sql)).length;
  await until("a whole round", () => renewals() >= HELD / 1_000);
  const before = { ...(await updates()), statements: renewals() };
  const after = await until("two more rounds", async () => {
    const now = { ...(await updates()), statements: renewals() };
    return now.all - before.all >= 2 * HELD && now;
  });

  const [counts] = await sql`
    select (select count(*)::int from pg_stat_activity a
             where a.datname = current_database() and a.application_name like 'leasehold % crowd') as connections,
           (select count(*)::int from pg_locks k join pg_stat_activity a using (pid)
             where k.locktype = 'advisory' and k.database = a.datid and a.datname = current_database()
               and a.application_name like 'leasehold % crowd') as locks`;
  expect(counts?.connections).toBeLessThanOrEqual(3);
  expect(proxy.connections.length).toBeLessThanOrEqual(3);
  expect(counts?.locks).toBe(1);
  // With an index on what a renewal changes none would be. An ANALYZE that runs meanwhile, with its snapshot, costs a few.
  const done = after.all - before.all;
  expect((after.hot - before.hot) / done).toBeGreaterThan(0.95);
  // In batches of up to 1,000, which are less full while the machine is busy: one by one it would be a statement for each lease.
  expect(done / (after.statements - before.statements)).toBeGreaterThan(100);
  expect(held.every((lock) => lock.held)).toBe(true);

  for (const controller of controllers) controller.abort();
  await Promise.all(waits);
  await Promise.all([...held, ...contended].map((lock) => lock.release()));
});
