// Readers that come together are granted together: none waits for a poll, and none is refused because of another.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { aroundPooler } from "../support/pooler.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const queued = (count: number) =>
  until(`${count} wait`, async () => (await sql`select from leasehold.waiters`).length === count);

test("20 readers of a process that stand next to each other look together, in a handful of statements", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), aroundPooler(database.url));
  await using other = openLocker(database);
  const writer = await other.acquire("a");
  const waiting = Array.from({ length: 20 }, () => locker.acquire("a", { shared: true }));
  await queued(20);
  const isLook = (text: string) => /leasehold_internal\.acquire(_one|_busy|_shares)?\(/.test(text);
  const before = proxy.statements.filter((one) => isLook(one.sql)).length;

  await writer.release();
  const readers = await Promise.all(waiting);
  const looks = proxy.statements.filter((one) => isLook(one.sql)).length - before;

  // a look of the first that a poll may have sent, one for all, and one that a late wake-up may cause
  expect(looks).toBeLessThanOrEqual(6);
  expect(readers.every(({ held }) => held)).toBe(true);
  await Promise.all(readers.map((reader) => reader.release()));
});

test.each([
  ["another share of the key", "b"],
  ["the first share of a key", "new"],
])("while %s is being committed, a try waits for it instead of being refused", async (_, name) => {
  await using locker = openLocker(database);
  await locker.ready();
  await using first = await locker.acquire("b", { shared: true });
  await using session = await openSession(database);
  // whether it finds the row locked is up to how fast the machine is; that it is never refused is not
  for (let turn = 0; turn < 5; turn += 1) {
    const key = name === "b" ? name : `${name} ${turn}`;
    await session.begin();
    await session.run(`select leasehold_internal.acquire_one(
      null, null, null, false, '${key}', gen_random_uuid(), 'me', 60000, 0, null, null, 'infinity', false, null, null, null, true, 1, null)`);
    const trying = locker.tryAcquire(key, { shared: true });
    const isWaiting = await Promise.race([
      until("it waits for the row", async () => {
        const rows = await sql`select from pg_stat_activity
          where wait_event_type = 'Lock' and state = 'active' and query like '%acquire_busy%' and datname = ${database.name}`;
        return rows.length > 0;
      }),
      trying.then(() => false),
    ]);
    await session.commit();
    const lock = await trying;
    await lock?.release();
    await sql`delete from leasehold.shares where owner = 'me'`;
    if (isWaiting && lock !== null) {
      expect(first.held).toBe(true);
      return;
    }
  }
  throw new Error("it was refused each time, or never waited");
});

test("16 lockers that try a free key at once as readers all have it", async () => {
  const lockers = Array.from({ length: 16 }, () => openLocker(database));
  await Promise.all(lockers.map((locker) => locker.ready()));

  const locks = await Promise.all(lockers.map((locker) => locker.tryAcquire("c", { shared: true })));

  expect(locks.filter((lock) => lock === null)).toHaveLength(0);
  await Promise.all(lockers.map((locker) => locker.close()));
});
