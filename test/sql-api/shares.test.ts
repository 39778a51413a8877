// Read locks and semaphores from SQL alone, beside lockers.
import { expect, test } from "vitest";
import { openSession, type Session } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

interface Answer {
  readonly acquired: boolean;
  readonly token: string | null;
  readonly fence: string | null;
  readonly holder: string | null;
}

async function tryAcquire(key: string, more: string, on?: Session): Promise<Answer> {
  const text = `select * from leasehold.try_acquire('${key}', ${more})`;
  const [row] = on ? await on.run(text) : await sql.unsafe(text);
  return row as unknown as Answer;
}
const release = async (key: string, { token }: Answer) =>
  (await sql`select leasehold.release(${key}, ${token}) as released`)[0]?.released;
const rowsOf = (key: string) =>
  sql`select mode, weight, capacity from leasehold.active_leases where key = ${key} order by fence`;

test("readers together, never beside a writer; parts of a semaphore as long as they fit", async () => {
  const readers = [await tryAcquire("a", "shared => true"), await tryAcquire("a", "shared => true, owner => 'two'")];
  expect(readers.map(({ acquired }) => acquired)).toEqual([true, true]);
  expect(Number(readers[1]?.fence)).toBeGreaterThan(Number(readers[0]?.fence));
  expect([...(await rowsOf("a"))]).toEqual(Array(2).fill({ mode: "shared", weight: 1, capacity: null }));
  expect(await tryAcquire("a", "shared => false")).toMatchObject({ acquired: false, holder: expect.any(String) });
  for (const reader of readers) expect(await release("a", reader)).toBe(true);
  const writer = await tryAcquire("a", "owner => 'writer'");
  expect(await tryAcquire("a", "shared => true")).toMatchObject({ acquired: false, token: null, holder: "writer" });
  expect(await release("a", writer)).toBe(true);

  const two = await tryAcquire("b", "capacity => 3, weight => 2");
  expect(await tryAcquire("b", "capacity => 3, weight => 2")).toMatchObject({ acquired: false });
  const one = await tryAcquire("b", "capacity => 3");
  expect(one.acquired).toBe(true);
  expect(await tryAcquire("b", "capacity => 3")).toMatchObject({ acquired: false });
  expect([...(await rowsOf("b"))]).toEqual([
    { mode: "semaphore", weight: 2, capacity: 3 },
    { mode: "semaphore", weight: 1, capacity: 3 },
  ]);
  for (const part of [two, one]) expect(await release("b", part)).toBe(true);
  expect(await release("b", one)).toBe(false);
});

test("a try waits for a share that is being committed, and not for its own that is being renewed", async () => {
  await using other = await openSession(database);
  const outcomes: boolean[] = [];
  // Again, when the machine stood still for longer than a try waits.
  for (let round = 0; round < 10 && !outcomes.includes(true); round += 1) {
    const key = `committing ${round}`;
    await release(key, await tryAcquire(key, "shared => true"));
    await other.run("begin");
    const first = await tryAcquire(key, "shared => true", other);
    const trying = tryAcquire(key, "shared => true");
    await new Promise((resolve) => setTimeout(resolve, 80));
    await other.run("commit");
    const second = await trying;
    outcomes.push(second.acquired);
    for (const share of [first, second]) if (share.acquired) await release(key, share);
  }
  expect(outcomes).toContain(true);

  const own = await tryAcquire("own", "shared => true");
  await other.run("begin");
  await other.run(`select leasehold.renew('own', '${own.token}')`);
  const [again] = await sql`select outcome, nextlook from leasehold_internal.acquire_one(
    null, null, null, false, 'own', ${own.token}::uuid, 'me', 60000, 0, null, null, 'infinity', false, null, null, null, true, 1, null)`;
  await other.run("rollback");
  expect(again).toEqual({ outcome: "busy", nextlook: null });
  expect(await release("own", own)).toBe(true);
});

test("a try that is refused in an open transaction keeps the key from nobody", async () => {
  await using locker = openLocker(database);
  await using holder = await openSession(database);
  await using open = await openSession(database);
  const outcomes: unknown[] = [];
  // More than once: on a machine that stands still for longer than a try waits, it is refused without the wait.
  for (const key of ["refused 1", "refused 2", "refused 3"]) {
    await release(key, await tryAcquire(key, "capacity => 1"));
    await holder.run("begin");
    const first = await tryAcquire(key, "capacity => 1", holder);
    await open.run("begin");
    const trying = tryAcquire(key, "capacity => 1", open);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await holder.run("commit");
    const refused = await trying;
    await release(key, first);
    const lock = await locker.tryAcquire(key, { capacity: 1 });
    await open.run("rollback");
    await lock?.release();
    outcomes.push({ isRefused: !refused.acquired, isFreeForOthers: lock !== null });
  }
  expect(outcomes).toEqual(Array(3).fill({ isRefused: true, isFreeForOthers: true }));
});

test.each([
  ["shared => true, capacity => 2", "either shared or has a capacity"],
  ["weight => 1", "a weight is a part of a capacity"],
  ["shared => true, weight => 1", "a weight is a part of a capacity"],
  ["capacity => 0", "a capacity is 1 to 2147483647, not 0"],
  ["capacity => 2, weight => 3", "a weight is 1 up to the capacity (2), not 3"],
  ["capacity => 2, weight => 0", "a weight is 1 up to the capacity (2), not 0"],
  ["shared => null", "shared is null"],
])("refused at once: %s", async (more, message) => {
  await expect(tryAcquire("refused", more)).rejects.toMatchObject({
    code: "LH003",
    message: expect.stringContaining(message),
    hint: expect.any(String),
  });
  expect(await sql`select from leasehold.leases where key = 'refused'`).toHaveLength(0);
});

test("the largest capacity and weight", async () => {
  const part = await tryAcquire("large", "capacity => 2147483647, weight => 2147483647");
  expect(part.acquired).toBe(true);
  expect(await tryAcquire("large", "capacity => 2147483647")).toMatchObject({ acquired: false });
  await release("large", part);
});

test("a share is renewed, guarded and checked as a lock is, by its token and its fence", async () => {
  await using session = await openSession(database);
  const reader = await tryAcquire("c", "ttl => '20 s', shared => true");
  const other = await tryAcquire("c", "ttl => '20 s', shared => true");
  const [renewed] = await sql`
    select leasehold.renew('c', ${reader.token}, '50 s') - clock_timestamp() > '40 s' as longer`;
  expect(renewed).toEqual({ longer: true });
  const [row] = await sql`select mode, holders from leasehold.check('c')`;
  expect(row).toMatchObject({ mode: "shared", holders: [{ fence: reader.fence }, { fence: other.fence }] });

  await session.begin();
  await session.guard("c", BigInt(reader.fence ?? 0));
  // as many as like may share it meanwhile
  const third = await tryAcquire("c", "shared => true");
  expect(third.acquired).toBe(true);
  for (const share of [reader, other, third]) expect(await release("c", share)).toBe(true);
  expect(await tryAcquire("c", "ttl => '1 s'")).toMatchObject({ acquired: false });
  await session.rollback();

  await expect(sql`select leasehold.renew('c', ${reader.token})`).rejects.toMatchObject({ code: "LH002" });
  const beside = await tryAcquire("c", "shared => true");
  await expect(sql`select leasehold.renew('c', ${reader.token})`).rejects.toMatchObject({
    code: "LH002",
    detail: "It was released, or it expired. Others share the key now.",
  });
  await release("c", beside);
});

test("tied to a connection: a share is free when that has ended, and those of others stay", async () => {
  const session = await openSession(database);
  const [attached] = await session.run("select leasehold.attach() as id");
  expect((await tryAcquire("d", `shared => true, session => ${attached?.id}`, session)).acquired).toBe(true);
  const other = await tryAcquire("d", "shared => true");
  await sql`update leasehold.shares set takeover_ms = 0 where session_id = ${attached?.id}`;
  await session[Symbol.asyncDispose]();
  await until(
    "it is orphaned",
    async () => (await sql`select from leasehold.expired_leases where key = 'd' and reason = 'orphaned'`).length === 1,
  );
  expect([...(await rowsOf("d"))]).toHaveLength(1);
  await release("d", other);
  const alone = await tryAcquire("d", "ttl => '5 s'");
  expect(alone.acquired).toBe(true);
  await release("d", alone);
  await sql`delete from leasehold.sessions where id = ${attached?.id}`;
});

test("a release wakes all who fit, and nobody else", async () => {
  const whole = await tryAcquire("e", "capacity => 4, weight => 4, ttl => '1 min'");
  // three that no process looks for: so none is told by another one's grant
  await sql`
    insert into leasehold.waiters (key, ticket, token, session_id, owner, weight, capacity, enqueued_at, alive_until)
    select 'e', n, gen_random_uuid(), 900000 + n, 'waiter', 2, 4, clock_timestamp(), clock_timestamp() + interval '1 min'
      from generate_series(1, 3) n`;
  const heard = new Set<number>();
  const listening = [];
  for (const n of [1, 2, 3, 4]) listening.push(await sql.listen(`leasehold_${900_000 + n}`, () => void heard.add(n)));
  expect(await release("e", whole)).toBe(true);
  await sql`select pg_notify('leasehold_900004', '')`; // comes after the others
  await until("all of them have come", () => heard.has(4));
  const told = [...heard].sort();
  for (const { unlisten } of listening) await unlisten();
  await sql`delete from leasehold.waiters`;
  expect(told).toEqual([1, 2, 4]); // the third does not fit
});

test("a share that SQL has acquired goes on in a locker, and back", async () => {
  await using locker = openLocker(database, { owner: "locker" });
  const { token, fence } = await tryAcquire("f", "capacity => 5, weight => 2, ttl => '1 min'");
  const lock = await locker.adopt({ key: "f", token: token ?? "", fence: fence ?? "" });
  expect(lock).toMatchObject({ mode: "semaphore", weight: 2, owner: "locker", fence: BigInt(fence ?? 0) });
  await expect(sql`select leasehold.renew('f', ${token})`).rejects.toMatchObject({ code: "LH002" });
  const detached = await lock.detach();
  const [row] = await sql`select * from leasehold.adopt('f', ${detached.token}, owner => 'psql')`;
  expect(row).toMatchObject({ fence });
  expect([...(await rowsOf("f"))]).toEqual([{ mode: "semaphore", weight: 2, capacity: 5 }]);
  const [ended] = await sql`
    select leasehold.detach_lock('f', ${row?.new_token}, '30 s') > clock_timestamp() as lasts`;
  expect(ended).toEqual({ lasts: true });
  expect(await release("f", { token: row?.new_token } as Answer)).toBe(true);
});
