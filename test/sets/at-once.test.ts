// Several keys in one statement: all of them or none (decision 26).
import { expect, test } from "vitest";
import { InvalidKeyError, InvalidOptionError, type Lock, WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { untilQueued } from "../waiting/queue.js";

const database = await createDatabase();
const { sql } = database;

const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}:${index}`);
const heldKeys = async (like: string): Promise<string[]> => {
  const rows = await sql<{ key: string }[]>`
    select key from leasehold.leases where key like ${like} and token is not null order by key`;
  return rows.map(({ key }) => key);
};

test.each([1, 2, 20, 200, 1_000])("%i keys, new and known, are all held, each with its own token", async (count) => {
  await using locker = openLocker(database);
  const keys = numbered(`many-${count}`, count);
  const outcomes: unknown[] = [];
  for (let round = 0; round < 2; round += 1) {
    const set = await locker.acquireAll(keys);
    const rows = await sql`
      select count(*)::int as held, count(distinct token)::int as tokens, min(acquisitions)::int as least, max(acquisitions)::int as most
        from leasehold.leases where key like ${`many-${count}:%`} and token is not null`;
    outcomes.push({ rows, held: set.held, locks: set.locks.map((lock) => lock.key), all: locker.locks().length });
    await set.release();
  }
  const left = await heldKeys(`many-${count}:%`);
  expect(outcomes).toEqual(
    [1, 2].map((grants) => ({
      rows: [{ held: count, tokens: count, least: grants, most: grants }],
      held: true,
      locks: keys,
      all: count,
    })),
  );
  expect(left).toEqual([]);
});

test("20 free keys take one statement, also when they are new", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { presence: "off" });
  await locker.withLock("cost", () => undefined);
  const keys = numbered("cost", 20);
  const named: (string | undefined)[][] = [];
  for (let round = 0; round < 2; round += 1) {
    proxy.statements.length = 0;
    const set = await locker.acquireAll(keys);
    await set.release();
    named.push(proxy.statements.map((one) => /leasehold_internal\.(\w+)/.exec(one.sql)?.[1]));
  }
  expect(named).toEqual([
    ["acquire_all", "release"],
    ["acquire_all", "release"],
  ]);
});

test("a try that fails leaves all as it was, and says which key was taken and by whom", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  await using locker = openLocker(database);
  const held = await holder.acquire("taken:m");
  await locker.withLock("taken:z", () => undefined);
  const before =
    await sql`select key, fence, acquisitions, token from leasehold.leases where key like 'taken:%' order by key`;

  const none = await locker.tryAcquireAll(["taken:z", "taken:m", "taken:new"]);
  const result = await locker.tryWithLocks(["taken:z", "taken:m"], () => expect.fail("it ran"));
  const thrown = await locker.acquireAll(["taken:z", "taken:m"], { waitMs: 0 }).catch((error: unknown) => error);

  const rows =
    await sql`select key, fence, acquisitions, token from leasehold.leases where key like 'taken:%' order by key`;
  const all = locker.locks();
  const granted = await locker.tryWithLocks(["taken:z", "taken:new"], (locks) => locks.locks.length);
  await held.release();
  expect(none).toBeNull();
  expect(result).toMatchObject({ acquired: false, key: "taken:m", holder: { owner: "the holder", fence: held.fence } });
  expect(thrown).toBeInstanceOf(WaitTimeoutError);
  expect(thrown).toMatchObject({ key: "taken:m", waitMs: 0, holder: { owner: "the holder" } });
  expect(rows.filter(({ key }) => key !== "taken:new")).toEqual(before);
  expect(all).toEqual([]);
  expect(granted).toMatchObject({ acquired: true, value: 2 });
});

test("a thousand tries that fail write nothing", async () => {
  await using holder = openLocker(database, { statsFlushMs: 600_000 });
  await using locker = openLocker(database, { statsFlushMs: 600_000, presence: "off" });
  const held = await holder.acquire("quiet:b", { ttlMs: 600_000 });
  await (await locker.acquireAll(["quiet:a", "quiet:c"])).release();
  const at = async () =>
    (await sql`select l.xmax::text, l.ctid::text from leasehold.leases l where key like 'quiet:%' order by key`).map(
      (row) => ({ ...row }),
    );
  const before = await at();
  for (let tries = 0; tries < 1_000; tries += 1) {
    expect(await locker.tryAcquireAll(["quiet:a", "quiet:b", "quiet:c"])).toBeNull();
  }
  const after = await at();
  await held.release();
  expect(after).toEqual(before);
});

test("a key that is named twice counts once, and the locks come in the order of the call", async () => {
  await using locker = openLocker(database, { prefix: "shop:" });
  const set = await locker.acquireAll(["b", "a", "b", "a", "c"]);
  const found = [set.get("a")?.key, set.get("c")?.key, set.get("shop:a"), set.get("x")];
  const keys = set.locks.map((lock) => lock.key);
  const granted = await sql`select distinct acquisitions::int from leasehold.leases where key like 'shop:%'`;
  await set.release();
  expect(keys).toEqual(["shop:b", "shop:a", "shop:c"]);
  expect(found).toEqual(["shop:a", "shop:c", undefined, undefined]);
  expect(granted).toEqual([{ acquisitions: 1 }]);
});

test("a key that somebody waits for is not passed by a try", async () => {
  await using holder = openLocker(database);
  await using waiter = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("line:b");
  const waiting = waiter.acquire("line:b");
  await untilQueued(database, "line:b", 1);
  // Freed without a word to anybody: the one who waits looks within a second.
  await sql`update leasehold.leases set token = null, session_id = null, released_at = clock_timestamp() where key = 'line:b'`;

  const none = await locker.tryAcquireAll(["line:a", "line:b"]);

  const lock = await waiting;
  await Promise.allSettled([lock.release(), held.release()]);
  expect(none).toBeNull();
});

test("an open transaction that guards one of the keys keeps the set, and its other keys stay free", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const lock = await holder.acquire("guarded:b");
  const results: unknown[] = [];
  await lock.transaction(sql, async () => {
    await lock.release();
    results.push(await locker.tryAcquireAll(["guarded:a", "guarded:b", "guarded:c"]));
    results.push(await locker.tryWithLocks(["guarded:a", "guarded:c"], () => "free"));
  });
  results.push(await locker.tryWithLocks(["guarded:a", "guarded:b"], () => "all"));
  expect(results).toMatchObject([null, { acquired: true, value: "free" }, { acquired: true, value: "all" }]);
});

test("a first grant that is not committed keeps the set, and is not waited for", async () => {
  await using locker = openLocker(database, { requestTimeoutMs: 3_000 });
  await locker.ready();
  const results: unknown[] = [];
  await sql.begin(async (tx) => {
    await tx`insert into leasehold.leases (key, fence, ttl_ms) values ('fresh:b', 0, 0)`; // without the lock of those who insert
    results.push(await locker.tryAcquireAll(["fresh:a", "fresh:b"]));
  });
  results.push(await locker.tryWithLocks(["fresh:a", "fresh:b"], () => "all"));
  expect(results).toMatchObject([null, { value: "all" }]);
});

test("what has expired, and what a dead process held, is taken over, and the fences rise", async () => {
  await using dead = await openLockProcess(database, { options: { takeoverDelayMs: 1_000, ttlMs: 600_000 } });
  await using brief = openLocker(database, { presence: "off" });
  await using locker = openLocker(database);
  const orphan = await dead.acquire("over:a");
  const expired = await brief.acquire("over:b", { keepAlive: false });
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 s' where key = 'over:b'`;
  await dead.worker.kill("SIGKILL");
  const set = await locker.acquireAll(["over:a", "over:b", "over:c"], { waitMs: 60_000 });
  const fences = set.locks.map(({ fence }) => fence);
  const { takenOver } = locker.stats();
  await Promise.allSettled([set.release(), expired.release()]);
  expect(fences[0]).toBeGreaterThan(orphan.fence);
  expect(fences[1]).toBeGreaterThan(expired.fence);
  expect(takenOver).toEqual({ orphaned: 1, expired: 1 });
  expectLeft(database, "sessions");
});

test("a minimum hold counts after a release, and not after a set that gave back what it had", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database);
  const held = await holder.acquire("min:b");
  const refused = await locker
    .acquireAll(["min:a", "min:b"], { waitMs: 300, minHoldMs: 60_000 })
    .catch((error) => error);
  const given = await locker.tryWithLock("min:a", () => "free");
  await held.release();
  await (await locker.acquireAll(["min:a", "min:b"], { minHoldMs: 60_000 })).release();
  const rows = [await leaseRow(sql, "min:a"), await leaseRow(sql, "min:b")];
  expect(refused).toBeInstanceOf(WaitTimeoutError);
  expect(given).toMatchObject({ acquired: true, value: "free" });
  expect(rows.map((row) => (row.holdUntil ?? 0) - row.acquiredAt)).toEqual([60_000, 60_000]);
});

test("what cannot be asked for is refused by name", async () => {
  await using locker = openLocker(database);
  const acquire = (keys: unknown, options?: object) =>
    locker.acquireAll(keys as string[], options).catch((error: unknown) => error);
  const errors = [
    await acquire([]),
    await acquire("a"),
    await acquire(numbered("x", 1_001)),
    await acquire(["a", ""]),
    await acquire(["a"], { maxHoldMs: 5_000, waitMs: 5_000 }),
    await acquire(["a"], { maxHoldMs: 5_000, waitMs: Number.POSITIVE_INFINITY }),
    await locker.tryAcquireAll(["a"], { waitMs: 5 } as object).catch((error: unknown) => error),
    await locker.withLocks(["a"], 5 as never).catch((error: unknown) => error),
  ];
  const allowed = [
    await locker.withLocks(["a"], () => 1, { maxHoldMs: 5_000, waitMs: 4_999 }),
    await locker.tryWithLocks(["a"], () => 1, { maxHoldMs: 1_000 }),
    await locker.tryWithLocks(Array(1_500).fill("a"), () => 1), // it counts once
  ];
  expect(errors[3]).toBeInstanceOf(InvalidKeyError);
  expect(errors.filter((error) => error instanceof InvalidOptionError).map(({ option }) => option)).toEqual([
    "keys",
    "keys",
    "keys",
    "waitMs",
    "waitMs",
    "waitMs",
    "body",
  ]);
  expect(errors.slice(0, 5).map((error) => (error as Error).message)).toEqual([
    "keys: expected an array of 1 to 1000 keys, got an empty array",
    'keys: expected an array of 1 to 1000 keys, got "a" (string)',
    "keys: expected an array of 1 to 1000 keys, got 1001 or more",
    'keys[1]: expected text that is not empty, got "" (string)',
    expect.stringContaining("less than maxHoldMs (5000)"),
  ]);
  expect(allowed).toMatchObject([1, { value: 1 }, { value: 1 }]);
});

test("onAcquired is told of each lock once, when all are held", async () => {
  const told: (readonly [string, number])[] = [];
  await using locker = openLocker(database, {
    onAcquired: (lock: Lock) => told.push([lock.key, locker.locks().length]),
  });
  const set = await locker.acquireAll(["told:b", "told:a"]);
  const { acquired, refused } = locker.stats();
  await set.release();
  expect(told.map(([key]) => key).sort()).toEqual(["told:a", "told:b"]);
  expect(told.map(([, count]) => count)).toEqual([2, 2]);
  expect({ acquired, refused }).toEqual({ acquired: 2, refused: 0 });
});
