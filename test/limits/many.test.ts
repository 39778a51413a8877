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

  // Rounds of renewals, by the server's own count, which it makes up at the end of a transaction once a second.
  const renewals = () => proxy.statements.filter(({ sql }) => /leasehold_internal\.renew\(/.test(sql)).length;
  const take = async () => ({ ...(await updates()), statements: renewals() });
  await until("a whole round", () => renewals() >= HELD / 1_000);
  let before = await take();
  const hot = await until("a round of HOT updates", async () => {
    const now = await take();
    const round = {
      updates: now.all - before.all,
      hot: now.hot - before.hot,
      statements: now.statements - before.statements,
    };
    if (round.updates < HELD) return false;
    // With an index on what a renewal changes no round would be. In some an ANALYZE runs, and its snapshot keeps old rows.
    if (round.hot / round.updates > 0.95) return round;
    before = now;
    return false;
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
  // In batches of up to 1,000, which are less full while the machine is busy: one by one it would be a statement for each lease.
  expect(hot.updates / hot.statements).toBeGreaterThan(100);
  expect(held.every((lock) => lock.held)).toBe(true);

  for (const controller of controllers) controller.abort();
  await Promise.all(waits);
  await Promise.all([...held, ...contended].map((lock) => lock.release()));
});
