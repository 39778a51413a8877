import { beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { lineOf, untilQueued } from "./line.js";

/** Two databases, alike but that in one of them every NOTIFY is dropped, and counted. */
let notifying: TestDatabase;
let silent: TestDatabase;

beforeAll(async () => {
  notifying = await createDatabase();
  silent = await createDatabase();
  await silent.sql`create table public.dropped (session integer)`;
  await silent.sql.unsafe(`
    create or replace function leasehold_internal.notify(p_sessions integer[]) returns void
    language sql volatile security definer as $$ insert into public.dropped select unnest(p_sessions) $$`);
});

const dropped = async () => Number((await silent.sql`select count(*) as n from public.dropped`)[0]?.n);

/** Releases a key while another locker waits for it, several times over: how long each handover took. */
async function handovers(database: TestDatabase): Promise<number[]> {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  const keys = Array.from({ length: 8 }, (_, n) => `handover ${n}`);
  const held = await Promise.all(keys.map((key) => holder.acquire(key)));
  const waits = keys.map(async (key) => {
    const lock = await waiter.acquire(key);
    const at = performance.now();
    await lock.release();
    return at;
  });
  for (const key of keys) await untilQueued(database, key, 1);
  const releasedAt = performance.now();
  await Promise.all(held.map((lock) => lock.release()));
  return (await Promise.all(waits)).map((at) => at - releasedAt).sort((a, b) => a - b);
}

test("a release wakes the next in line at once, without waiting for its poll", async () => {
  const before = await dropped();
  const [woken, polled] = [await handovers(notifying), await handovers(silent)];

  expect(await dropped()).toBeGreaterThan(before);
  expect(woken.at(-1)).toBeLessThan((polled[0] ?? 0) / 2);
});

test("with every NOTIFY dropped the line is served all the same, and in order", async () => {
  await using holder = openLocker(silent);
  await using a = openLocker(silent);
  await using b = openLocker(silent);
  await Promise.all([a.ready(), b.ready()]);
  const before = await dropped();
  const held = await holder.acquire("silent");
  const grants: { token: string; fence: bigint }[] = [];
  const waits = [a, b, a, b].map(async (locker) => {
    const lock = await locker.acquire("silent");
    grants.push({ token: lock.token, fence: lock.fence });
    await lock.release();
  });
  const line = await untilQueued(silent, "silent", 4);

  await held.release();
  await Promise.all(waits);

  expect(grants.map(({ token }) => token)).toEqual(line.map(({ token }) => token));
  expect(grants.map(({ fence }) => fence)).toEqual(
    grants.map(({ fence }) => fence).toSorted((x, y) => (x < y ? -1 : 1)),
  );
  expect(await dropped()).toBeGreaterThan(before);
});

test("a waiter of the same locker is woken without a NOTIFY", async () => {
  await using locker = openLocker(silent);
  const before = await dropped();

  const same = await sameLocker();

  expect(await dropped()).toBe(before);
  const polled = await handovers(silent);
  expect(same).toBeLessThan((polled[0] ?? 0) / 2);

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

  expect(await lineOf(silent, "alone")).toEqual([]);
  await locker.close();
  expect(await dropped()).toBe(before);
});
