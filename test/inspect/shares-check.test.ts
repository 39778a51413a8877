// What check says of a key that several share: in TypeScript and in SQL.
import { expect, test } from "vitest";
import { openGuard, openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const checked = async (key: string) => (await sql`select * from leasehold.check(${key})`)[0];
const lapse = (key: string, fence: bigint) =>
  sql`update leasehold.shares set expires_at = clock_timestamp() where key = ${key} and fence = ${String(fence)}`;

test("all who share a key, the oldest first; the first columns are the oldest's, the end is the last one's", async () => {
  await using first = openLocker(database, { owner: "first", metadata: { page: 1 } });
  await using second = openLocker(database, { owner: "second" });
  await using stranger = openLocker(database);
  const long = await first.acquire("a", { capacity: 5, weight: 2, ttlMs: 60_000, keepAlive: false });
  const short = await second.acquire("a", { capacity: 5, ttlMs: 20_000, keepAlive: false });

  const oldest = { owner: "first", fence: long.fence, weight: 2, expiresAt: long.expiresAt };
  const newest = { owner: "second", fence: short.fence, weight: 1, expiresAt: short.expiresAt };
  const info = await stranger.check("a");
  expect(info).toMatchObject({
    state: "held",
    mode: "semaphore",
    owner: "first",
    fence: long.fence,
    acquiredAt: long.acquiredAt,
    expiresAt: long.expiresAt,
    metadata: { page: 1 },
    isSessionAlive: true,
    isThisProcess: false,
  });
  expect(info?.holders).toEqual([
    { ...oldest, isThisProcess: false },
    { ...newest, isThisProcess: false },
  ]);
  // also who is not the first is found to be this process
  const own = await second.check("a");
  expect(own?.isThisProcess).toBe(true);
  expect(own?.holders.map(({ isThisProcess }) => isThisProcess)).toEqual([false, true]);
  expect(JSON.parse(JSON.stringify(info))).toMatchObject({
    mode: "semaphore",
    holders: [
      { fence: String(long.fence), weight: 2 },
      { fence: String(short.fence), weight: 1 },
    ],
  });

  await long.release();
  expect(await stranger.check("a")).toMatchObject({
    owner: "second",
    fence: short.fence,
    expiresAt: short.expiresAt,
    holders: [newest],
  });
  await short.release();
  expect(await stranger.check("a")).toBeNull();
});

test("in SQL one row, with all holders as JSON and without their tokens", async () => {
  await using first = openLocker(database, { owner: "one" });
  await using second = openLocker(database, { owner: "two", presence: "off" });
  const [reading, other] = [await first.acquire("b", { shared: true }), await second.acquire("b", { shared: true })];

  expect(await sql`select from leasehold.check('b')`).toHaveLength(1);
  const row = await checked("b");
  expect(row).toMatchObject({ state: "held", mode: "shared", owner: "one", fence: String(reading.fence) });
  expect(row?.holders).toEqual([
    {
      state: "held",
      owner: "one",
      fence: String(reading.fence),
      mode: "shared",
      weight: 1,
      capacity: null,
      session_id: row?.session_id,
      is_session_alive: true,
      acquired_at: expect.any(String),
      expires_at: expect.any(String),
    },
    expect.objectContaining({ owner: "two", fence: String(other.fence), session_id: null, is_session_alive: null }),
  ]);
  expect(new Date(row?.holders[0].expires_at)).toEqual(reading.expiresAt);
  const tokens = await sql`select token::text from leasehold.shares`;
  for (const { token } of tokens) expect(JSON.stringify(row)).not.toContain(token);
  await reading.release();
  await other.release();
  expect(await checked("b")).toMatchObject({ state: "free", mode: null, holders: null });
});

test("an exclusive holder is one of weight 1; a key that is free or blocked has no mode or holders", async () => {
  await using locker = openLocker(database, { owner: "alone" });
  const lock = await locker.acquire("c");
  expect(await locker.check("c")).toMatchObject({ mode: "exclusive", holders: [{ fence: lock.fence, weight: 1 }] });
  expect(await checked("c")).toMatchObject({ mode: "exclusive", holders: [{ owner: "alone", weight: null }] });
  await lock.release();
  // its first grant is not committed: nobody can say what it will be
  await using session = await openSession(database);
  await session.begin();
  await session.run("select leasehold.try_acquire('uncommitted')");
  expect(await locker.check("uncommitted")).toMatchObject({ state: "blocked", mode: null, fence: null, holders: [] });
  await session.rollback();
});

test("who holds a share counts, not who held one: expired, dead, cooling, and guarded ones", async () => {
  expectLeft(database, "sessions", "shares", "leases");
  await using dying = await openLockProcess(database, { options: { takeoverDelayMs: 1_000, ttlMs: 600_000 } });
  await using locker = openLocker(database, { keepAlive: false });
  const dead = await dying.acquire("d", { shared: true });
  const old = await locker.acquire("d", { shared: true });
  const live = await locker.acquire("d", { shared: true });
  await lapse("d", old.fence);
  await dying.worker.kill();

  await until("it is confirmed dead", async () => (await locker.check("d"))?.holders.length === 1);
  expect(await locker.check("d")).toMatchObject({ state: "held", fence: live.fence, expiresAt: live.expiresAt });
  expect(await locker.isLocked("d")).toBe(true);
  await lapse("d", live.fence);
  // nobody has it any more: who had it
  const over = await locker.check("d");
  expect(over?.state).toMatch(/orphaned|expired/);
  expect(over?.holders.map(({ fence }) => fence)).toEqual([dead.fence, old.fence, live.fence]);
  expect(await locker.isLocked("d")).toBe(false);

  const brief = await locker.acquire("d", { shared: true, minHoldMs: 60_000 });
  const end = brief.acquiredAt.getTime() + 60_000;
  await brief.release();
  expect(await locker.check("d")).toMatchObject({ state: "cooling", mode: "shared", holders: [], fence: brief.fence });
  expect((await locker.check("d"))?.expiresAt?.getTime()).toBe(end);
  expect(await locker.isLocked("d")).toBe(true);
  // a live one comes before one that is cooling, which keeps the key for longer
  const beside = await locker.acquire("d", { shared: true, ttlMs: 20_000 });
  const info = await locker.check("d");
  expect(info).toMatchObject({ state: "held", fence: beside.fence, holders: [{ fence: beside.fence }] });
  expect(info?.expiresAt?.getTime()).toBe(end);
  await beside.release();
});

test("an open transaction that guards a share is named, while it is held and when it is not", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  await using operator = openLocker(database);
  await operator.ready(); // its server process has the lower number
  const lock = await locker.acquire("e", { shared: true });
  const other = await locker.acquire("e", { shared: true });
  await using session = await openGuard(database, other);
  expect(await operator.check("e")).toMatchObject({ state: "held", fence: lock.fence, blockingPid: session.pid });
  await lock.release();
  await other.release();

  expect(await operator.check("e")).toMatchObject({
    state: "blocked",
    fence: other.fence,
    holders: [],
    expiresAt: null,
  });
  expect(await operator.check("e")).toMatchObject({ blockingPid: session.pid });
  expect(await checked("e")).toMatchObject({ state: "blocked", blocking_pid: session.pid, holders: null });
  expect(await operator.isLocked("e")).toBe(true);
  expect(await operator.tryAcquire("e")).toBeNull();
  await session.rollback();
  expect(await operator.check("e")).toBeNull();
  expect(await operator.isLocked("e")).toBe(false);
});

test("a stale fence of a share is told with who has the key", async () => {
  await using holder = openLocker(database, { owner: "writer" });
  await using locker = openLocker(database, { keepAlive: false });
  const lock = await locker.acquire("f", { capacity: 2 });
  await lapse("f", lock.fence);
  const writing = await holder.acquire("f", { capacity: 3, weight: 3 });
  await using session = await openSession(database);
  const refused = await session.sql
    .begin((tx) => lock.guard(tx, { acceptReconnect: true }))
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({
    name: "StaleFenceError",
    holder: { owner: "writer", fence: writing.fence, weight: 3 },
  });
  await writing.release();
});
