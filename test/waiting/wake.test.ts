import { beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { queueOf, untilQueued } from "./queue.js";

/** Two databases, alike but that in one of them every NOTIFY is dropped, and counted. */
let notifying: TestDatabase;
let silent: TestDatabase;

beforeAll(async () => {
  notifying = await createDatabase();
  silent = await createDatabase();
  await silent.sql`create table public.dropped (session integer)`;
  await silent.sql.unsafe(`
    create or replace function leasehold_internal._wake(session integer) returns void
    language sql volatile as $$ insert into public.dropped select session where session is not null $$`);
});

const dropped = async () => Number((await silent.sql`select count(*) as n from public.dropped`)[0]?.n);

/** How long it takes from a release until another locker, which waits, has the lock. */
async function handover(database: TestDatabase): Promise<number> {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const held = await holder.acquire("handover");
  const waiting = waiter.acquire("handover");
  await untilQueued(database, "handover", 1);
  const releasedAt = performance.now();
  await held.release();
  const lock = await waiting;
  const tookMs = performance.now() - releasedAt;
  await lock.release();
  return tookMs;
}

const ROUNDS = 7;

async function times(measure: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) all.push(await measure());
  return all;
}

test("a release wakes the next waiter at once, without waiting for its poll", async () => {
  const before = await dropped();
  const woken = await times(() => handover(notifying));
  const polled = await times(() => handover(silent));

  expect(await dropped()).toBeGreaterThan(before);
  // Who polls has just done so when it queued. A busy machine may be late, but not each time.
  expect(Math.min(...woken)).toBeLessThan(Math.max(...polled) / 4);
});

test("with every NOTIFY dropped the queue is served all the same, and in order", async () => {
  await using holder = openLocker(silent);
  await using a = openLocker(silent);
  await using b = openLocker(silent);
  await Promise.all([a.ready(), b.ready()]);
  const before = await dropped();
  const held = await holder.acquire("silent");
  const grants: { token: string; fence: bigint }[] = [];
  const waits = [a, b, a, b].map(async (locker) => {
    const lock = await locker.acquire("silent");
    grants.push({ token: await tokenOf(silent.sql, "silent"), fence: lock.fence });
    await lock.release();
  });
  const queue = await untilQueued(silent, "silent", 4);

  await held.release();
  await Promise.all(waits);

  expect(grants.map(({ token }) => token)).toEqual(queue.map(({ token }) => token));
  expect(grants.map(({ fence }) => fence)).toEqual(
    grants.map(({ fence }) => fence).toSorted((x, y) => (x < y ? -1 : 1)),
  );
  expect(await dropped()).toBeGreaterThan(before);
});

test("a waiter of the same locker is woken without a NOTIFY", async () => {
  await using locker = openLocker(silent);
  const before = await dropped();

  const same = await times(sameLocker);

  expect(await dropped()).toBe(before);
  const polled = await times(() => handover(silent));
  expect(Math.min(...same)).toBeLessThan(Math.max(...polled) / 4);

  async function sameLocker(): Promise<number> {
    const held = await locker.acquire("same");
    const waiting = locker.acquire("same");
    await untilQueued(silent, "same", 1);
    const releasedAt = performance.now();
    await held.release();
    const lock = await waiting;
    const tookMs = performance.now() - releasedAt;
    await lock.release();
    return tookMs;
  }
});

test("an uncontended release notifies nobody", async () => {
  await using locker = openLocker(silent);
  const before = await dropped();

  await locker.withLock("alone", () => undefined);

  expect(await queueOf(silent, "alone")).toEqual([]);
  await locker.close();
  expect(await dropped()).toBe(before);
});
