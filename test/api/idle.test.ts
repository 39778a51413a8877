import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();

async function connections(): Promise<number> {
  const [row] = await database.sql`select count(*)::int from pg_stat_activity
    where datname = current_database() and application_name like 'leasehold%'`;
  return row?.count;
}

const isQuiet = async () =>
  (await connections()) === 0 && (await database.sql`select from leasehold.sessions`).length === 0;

test("an idle locker gives back its connections, its session and its timers, and comes back with the next call", async () => {
  await using locker = openLocker(database, { idleTimeoutMs: 3_000 });
  await locker.withLock("a", (lock) => lock.renew());
  expect(await connections()).toBe(3);

  await until("all is given back", isQuiet);

  expect(await locker.withLock("a", async (lock) => [lock.held, await connections()])).toEqual([true, 2]);
  await until("all is given back again", isQuiet);
  expect(await locker.check("a")).toBeNull();
});

test("a locker that holds or waits for something is not idle", async () => {
  await using holder = openLocker(database, { idleTimeoutMs: 100, ttlMs: 60_000, keepAlive: false });
  await using waiter = openLocker(database, { idleTimeoutMs: 100 });
  const lock = await holder.acquire("a");
  const waiting = waiter.acquire("a");
  await until("it waits", async () => (await database.sql`select from leasehold.waiters`).length > 0);
  const [before] = await database.sql`select array_agg(id order by id) as ids from leasehold.sessions`;

  await new Promise((resolve) => setTimeout(resolve, 400)); // four idle timeouts, in which nothing is asked for

  expect((await database.sql`select array_agg(id order by id) as ids from leasehold.sessions`)[0]).toEqual(before);
  lock.assertHeld();
  await lock.release();
  await (await waiting).release();
});

test("calls that come while an idle locker gives its connections back are served", async () => {
  await using locker = openLocker(database, { idleTimeoutMs: 50 });
  for (let round = 0; round < 12; round += 1) {
    // some of them meet the very moment
    await new Promise((resolve) => setTimeout(resolve, 45 + round));
    await locker.withLock("a", (lock) => lock.assertHeld());
  }
});

test("what a sweep finds that outlasts the idle timeout is flushed, and the connection for that is given back, too", async () => {
  const { sql } = database;
  await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at) values ('old', 1, 1000, now() - interval '1 hour')`;
  await using locker = openLocker(database, { idleTimeoutMs: 1_600, sweepEveryMs: 1_000, statsFlushMs: 1_000 });
  await locker.check("a");
  await sql.begin(async (held) => {
    await held`lock table leasehold.sweeper in access exclusive mode`;
    await until("it sweeps", async () => (await held`select from pg_locks where not granted`).length > 0);
    await new Promise((resolve) => setTimeout(resolve, 1_600)); // it is idle meanwhile
  });
  await until("it is counted", async () => (await sql`select swept::int from leasehold.stats`)[0]?.swept === 1);
  await until("all is given back", isQuiet);
});
