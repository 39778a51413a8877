// A set in line: in the order of its keys, with what it has so far held and renewed, and nothing left when it ends.
import { expect, test } from "vitest";
import { ClosedError, WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { untilQueued } from "../waiting/queue.js";

const database = await createDatabase();
const { sql } = database;

const heldKeys = async (like: string): Promise<string[]> => {
  const rows = await sql<{ key: string }[]>`
    select key from leasehold.leases where key like ${like} and token is not null order by key`;
  return rows.map(({ key }) => key);
};
const queued = async (like: string): Promise<number> =>
  (await sql`select from leasehold.waiters where key like ${like}`).count;
const nothingLeft = (like: string): Promise<boolean> =>
  until(`nothing is left of ${like}`, async () => (await heldKeys(like)).length === 0 && (await queued(like)) === 0);
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

test("it takes the keys before the one that is missing, waits for that, and never holds a later one meanwhile", async () => {
  await using holder = openLocker(database);
  const told: string[] = [];
  await using locker = openLocker(database, { onAcquired: ({ key }) => told.push(key) });
  const held = await holder.acquire("w:c");
  const waiting = locker.acquireAll(["w:d", "w:c", "w:b", "w:a"]);
  await untilQueued(database, "w:c", 1);
  const keys = await heldKeys("w:%");
  const seen = { locks: locker.locks(), get: locker.get("w:a"), told: [...told], active: locker.stats().activeLeases };
  const free = await holder.tryWithLock("w:d", () => "free");
  const { waits } = await locker.debug();
  await held.release();
  const set = await waiting;
  const all = locker.locks().map(({ key }) => key);
  await set.release();
  expect(keys).toEqual(["w:a", "w:b", "w:c"]);
  expect(seen).toEqual({ locks: [], get: undefined, told: [], active: 0 });
  expect(free).toMatchObject({ acquired: true });
  expect(waits.map(({ key }) => key)).toEqual(["w:c"]);
  expect(all.sort()).toEqual(["w:a", "w:b", "w:c", "w:d"]);
  expect(told.sort()).toEqual(all);
});

test("what it holds while it waits is renewed, whatever keepAlive says, for longer than its TTL", async () => {
  await using holder = openLocker(database);
  const lost: string[] = [];
  await using locker = openLocker(database, { onLost: ({ key }) => lost.push(key) });
  const held = await holder.acquire("r:b");
  const waiting = locker.acquireAll(["r:a", "r:b"], {
    ttlMs: 4_000,
    keepAlive: false,
    renewEveryMs: 3_990,
  });
  await untilQueued(database, "r:b", 1);
  const first = await leaseRow(sql, "r:a");
  const later = await until("two TTLs have passed", async () => {
    const row = await leaseRow(sql, "r:a");
    return row.now > first.acquiredAt + 8_000 && row;
  });
  await held.release();
  const set = await waiting;
  const fence = set.get("r:a")?.fence;
  const heldAtOnce = set.held && lost.length === 0;
  await until("it ends by itself", () => !set.held);
  await errorOf(set.release());
  expect(later).toMatchObject({ token: first.token, fence: first.fence });
  expect(later.expiresAt).toBeGreaterThan(later.now);
  expect(fence).toBe(first.fence);
  expect(heldAtOnce).toBe(true);
});

test("the timeout names the key that was missing, and nothing is held when it comes", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  await using locker = openLocker(database);
  const held = await holder.acquire("t:b");
  const error = await errorOf(locker.acquireAll(["t:a", "t:b", "t:c"], { waitMs: 400 }));
  const keys = await heldKeys("t:%");
  const { timedOut, acquired } = locker.stats();
  await nothingLeft("t:[ac]%");
  await held.release();
  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect(error).toMatchObject({ key: "t:b", waitMs: 400, holder: { owner: "the holder", fence: held.fence } });
  expect(keys).toEqual(["t:b"]);
  expect({ timedOut, acquired }).toEqual({ timedOut: 1, acquired: 0 });
});

test("a signal ends the wait with its reason, and nothing is left", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("s:c");
  const controller = new AbortController();
  const waiting = errorOf(locker.acquireAll(["s:a", "s:b", "s:c"], { signal: controller.signal }));
  await untilQueued(database, "s:c", 1);
  const before = await heldKeys("s:%");
  const reason = new Error("no longer wanted");
  controller.abort(reason);
  const error = await waiting;
  await held.release();
  const left = await nothingLeft("s:%");
  const aborted = await errorOf(locker.acquireAll(["s:a"], { signal: controller.signal }));
  const { cancelled } = locker.stats();
  expect(before).toEqual(["s:a", "s:b", "s:c"]);
  expect([error, aborted]).toEqual([reason, reason]);
  expect(left).toBe(true);
  expect(cancelled).toBe(1);
});

test("close rejects it, and gives back what it had", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("c:b");
  const waiting = errorOf(locker.acquireAll(["c:a", "c:b"]));
  await untilQueued(database, "c:b", 1);
  await locker.close();
  const keys = await heldKeys("c:%");
  const waiters = await queued("c:%");
  const refused = await errorOf(locker.acquireAll(["c:a"]));
  await held.release();
  expect(await waiting).toBeInstanceOf(ClosedError);
  expect(keys).toEqual(["c:b"]);
  expect(waiters).toBe(0);
  expect(refused).toBeInstanceOf(ClosedError);
});

test("one that loses a key while it waits gives back all and begins again", async () => {
  await using holder = openLocker(database);
  const lost: string[] = [];
  await using locker = openLocker(database, { renewEveryMs: 100, onLost: ({ key }) => lost.push(key) });
  await using admin = openLocker(database);
  const held = await holder.acquire("l:c");
  const waiting = locker.acquireAll(["l:a", "l:b", "l:c"]);
  await untilQueued(database, "l:c", 1);
  const [a, b] = [await leaseRow(sql, "l:a"), await leaseRow(sql, "l:b")];
  await admin.forceRelease("l:b", { immediate: true });
  const again = await until("it has taken both anew", async () => {
    const rows = [await leaseRow(sql, "l:a"), await leaseRow(sql, "l:b")] as const;
    return rows[0].fence > a.fence && rows[1].fence > b.fence && rows.every(({ token }) => token !== null) && rows;
  });
  await held.release();
  const set = await waiting;
  const fences = [set.get("l:a")?.fence, set.get("l:b")?.fence];
  const isHeld = set.held;
  await set.release();
  expect(isHeld).toBe(true);
  expect(fences).toEqual(again.map(({ fence }) => fence));
  expect(lost).toEqual([]);
});

test("maxHoldMs counts from the first key", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("x:b");
  const waiting = locker.acquireAll(["x:a", "x:b"], { waitMs: 9_000, maxHoldMs: 10_000 });
  await untilQueued(database, "x:b", 1);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await held.release();
  const set = await waiting;
  const rows = await sql`
    select extract(epoch from max_hold_until - min(acquired_at) over ())::float8 * 1000 as limit
      from leasehold.leases where key like 'x:_' order by key`;
  await set.release();
  const [first, second] = rows.map((row) => Number(row.limit));
  expect(first).toBe(10_000);
  // But for the time that the last request took.
  expect(second).toBeLessThan(10_500);
  expect(second).toBeGreaterThan(8_000);
});

test("the order is that of the bytes, not that of JavaScript", async () => {
  const keys = ["o:\u{10000}", "o:\uFFFD"];
  expect([...keys].sort()).toEqual(keys);
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("o:\u{10000}");
  const waiting = locker.acquireAll(keys);
  await untilQueued(database, "o:\u{10000}", 1);
  const row = await leaseRow(sql, "o:\uFFFD");
  await held.release();
  const set = await waiting;
  const named = keys.map((key) => set.get(key)?.held);
  await set.release();
  expect(row.token).not.toBeNull();
  expect(named).toEqual([true, true]);
});

test("with a retry strategy it holds nothing between two tries, and stands in no line", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  const held = await holder.acquire("y:b");
  const tries: number[] = [];
  const seen: unknown[] = [];
  const retry = (attempt: number): number | null => {
    tries.push(attempt);
    return attempt < 4 ? 20 : null;
  };
  const exhausted = await errorOf(locker.acquireAll(["y:a", "y:b"], { retry }));
  const late = await errorOf(locker.acquireAll(["y:a", "y:b"], { retry: () => 20, waitMs: 200 }));
  seen.push(await heldKeys("y:%"), await queued("y:%"));
  const granted = locker.acquireAll(["y:a", "y:b"], { retry: () => 20 });
  await held.release();
  await (await granted).release();
  expect(exhausted).toMatchObject({ name: "RetriesExhaustedError", key: "y:b", attempts: 4 });
  expect(late).toMatchObject({ name: "WaitTimeoutError", key: "y:b" });
  expect(tries).toEqual([1, 2, 3, 4]);
  expect(seen).toEqual([["y:b"], 0]);
});

test("sets and single acquires that cross each other in one process all have their turn", async () => {
  await using locker = openLocker(database, { waitMs: 60_000 });
  let inside = 0;
  const turn = async (locks: { release(): Promise<void> }) => {
    inside += 1;
    await locks.release();
  };
  const calls = Array.from({ length: 60 }, async (_, index) => {
    const keys = [`q:${index % 5}`, `q:${(index * 3 + 1) % 5}`, `q:${(index * 2 + 3) % 5}`];
    await turn(index % 4 === 0 ? await locker.acquire(keys[0] as string) : await locker.acquireAll(keys));
  });
  await Promise.all(calls);
  expect(inside).toBe(60);
});
