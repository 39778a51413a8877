// The first grant of a key, in a transaction that is not committed: nobody sees its row (P6).
import { expect, test } from "vitest";
import { openSession, type Session } from "../fencing/session.js";
import { ask, giveBack } from "../support/ask.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

/** Grants the key in a transaction that stays open, as a driver does that opens one by itself. */
async function openGrant(key: string): Promise<Session> {
  const session = await openSession(database);
  await session.begin();
  expect(await session.run(`select acquired from leasehold.try_acquire('${key}', '5 min')`)).toEqual([
    { acquired: true },
  ]);
  return session;
}

test("keys that are new and share 32 bits of their hash do not wait for each other", async () => {
  const [twins] = await sql`
    select min(k) as one, max(k) as two from (select 'fresh-' || n as k from generate_series(1, 300000) n) candidates
     group by hashtext(k) having count(*) > 1 limit 1`;
  await using locker = openLocker(database);
  await using stranger = await openGrant(twins?.one);

  const lock = await locker.tryAcquire(twins?.two);
  expect(lock).not.toBeNull();
  await lock?.release();
  await sql`delete from leasehold.leases where key = ${twins?.two}`;
  // in one statement, too
  const batch = await Promise.all([twins?.two, "another"].map((key) => locker.tryAcquire(key)));
  expect(batch).not.toContain(null);
  await Promise.all(batch.map((each) => each?.release()));
  expect(await locker.tryAcquire(twins?.one)).toBeNull();
  await stranger.rollback();
});

test("a key whose first grant is not committed is blocked, and everybody is told by whom", async () => {
  await using locker = openLocker(database);
  await using stranger = await openGrant("unseen");

  const { pid } = stranger;
  const info = await locker.check("unseen");
  expect(info).toMatchObject({
    state: "blocked",
    owner: null,
    holders: [],
    fence: null,
    expiresAt: null,
    blockingPid: pid,
  });
  expect(JSON.parse(JSON.stringify(info))).toMatchObject({ state: "blocked", fence: null, blockingPid: pid });
  expect(await locker.isLocked("unseen")).toBe(true);
  expect(await sql`select state, owner, fence, blocking_pid from leasehold.check('unseen')`).toEqual([
    { state: "blocked", owner: null, fence: null, blocking_pid: pid },
  ]);
  await expect(locker.acquire("unseen", { waitMs: 300 })).rejects.toMatchObject({
    code: "wait-timeout",
    blockingPid: pid,
    message: expect.stringContaining(String(pid)),
  });
  // no other key is
  expect(await locker.check("never seen")).toBeNull();

  await stranger.commit();
  expect(await locker.check("unseen")).toMatchObject({ state: "held", blockingPid: null });
  await sql`update leasehold.leases set token = null where key = 'unseen'`;
});

test("a grant within a savepoint is told too; of several transactions it cannot be told which, but that there is one", async () => {
  await using locker = openLocker(database);
  await locker.withLock("known", () => undefined);
  await using stranger = await openSession(database);
  await stranger.begin();
  await stranger.run("savepoint within; select leasehold.try_acquire('known'); release savepoint within");
  expect(await locker.check("known")).toMatchObject({ state: "blocked", blockingPid: stranger.pid });

  await using second = await openGrant("of another");
  expect(await locker.check("known")).toMatchObject({ state: "blocked", blockingPid: null, blockingTransaction: null });
  expect(await locker.isLocked("known")).toBe(true);
  expect(await sql`select state, blocking_pid from leasehold.check('known')`).toEqual([
    { state: "blocked", blocking_pid: null },
  ]);
  await second.rollback();
  await stranger.rollback();
  expect(await locker.check("known")).toBeNull();
});

test("in a statement with other keys, it alone is blocked, and nobody waits for it", async () => {
  await using stranger = await openGrant("among others");
  const asked = await ask(sql, ["among others", "beside"]);
  expect(asked.map(({ outcome }) => outcome)).toEqual(["busy", "granted"]);
  await stranger.rollback();
  await giveBack(sql, asked);
});

test("when it is rolled back, the key is as free as it was", async () => {
  await using locker = openLocker(database);
  await using stranger = await openGrant("undone");
  const wait = locker.acquire("undone");
  expect(await locker.isLocked("undone")).toBe(true);
  await stranger.rollback();
  const lock = await wait;
  await lock.release();
  expect(await locker.check("undone")).toBeNull();
  expect(await locker.isLocked("undone")).toBe(false);
});
