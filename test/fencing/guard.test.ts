import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { expire, openGuard, openSession, waitsForLock } from "./session.js";

const database = await createDatabase();
const { sql } = database;

test("the current grant passes, and the transaction knows what it guards", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using session = await openSession(database);
  await using first = await locker.acquire("a");
  await using second = await locker.acquire(`quotes ' " \\ and ä`);
  await session.begin();
  expect(await session.isGuarded("a")).toBe(false);

  await session.guard("a", first.fence);
  await session.guard(second.key, second.fence);

  expect(await session.isGuarded("a")).toBe(true);
  expect(await session.isGuarded(second.key)).toBe(true);
  expect(await session.isGuarded("b")).toBe(false);
  expect(await session.run("select leasehold.is_guarded(null)")).toEqual([{ is_guarded: false }]);
  await session.commit();
  expect(await session.isGuarded("a")).toBe(false);
  // nothing is left for who gets the connection from the pool next
  expect(await session.setting("leasehold.guards")).toBe("");
  const left = await session.run(
    "select from generate_series(0, 255) n where current_setting('leasehold.guards_' || n, true) <> ''",
  );
  expect(left).toHaveLength(0);
});

test("two keys whose guards are recorded in one setting are both guarded", async () => {
  const [pair] = await sql`
    select min('shared ' || n) as one, max('shared ' || n) as other from generate_series(1, 1000) n
     group by leasehold_internal._guards_setting('shared ' || n) having count(*) > 1 limit 1`;
  const { one, other } = pair as unknown as { one: string; other: string }; // of 1,000 keys some share one of 256 settings
  await using locker = openLocker(database, { presence: "off" });
  await using session = await openSession(database);
  await using first = await locker.acquire(one);
  await using second = await locker.acquire(other);
  await session.begin();
  await session.guard(one, first.fence);
  expect(await session.isGuarded(other)).toBe(false);
  await session.guard(other, second.fence);
  expect([await session.isGuarded(one), await session.isGuarded(other)]).toEqual([true, true]);
  await session.commit();
});

test("every other fence and state of the lease is refused, and told from the others", async () => {
  await using holder = openLocker(database, { presence: "off", keepAlive: false, owner: "first" });
  await using other = openLocker(database, { presence: "off", owner: "second" });
  const refused = async (fence: bigint, detail: RegExp) => {
    await using session = await openSession(database);
    await session.begin();
    await expect(session.guard("b", fence)).rejects.toMatchObject({
      code: "LH001",
      message: `the lease of 'b' with fence ${fence} is not held any more`,
      detail: expect.stringMatching(detail),
      hint: expect.stringMatching(/^Roll back: .*Acquire the lock again/),
    });
    await session.rollback();
    expect(await session.isGuarded("b")).toBe(false);
  };
  const time = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d[0-9.]*\\+\\d\\d";

  await refused(1n, /^Nobody holds the key: it was never granted in this database/);

  const expired = await holder.acquire("b");
  await expire(database, "b");
  await refused(expired.fence, new RegExp(`^The lease of first expired at ${time}\\. Nobody holds the key now\\.$`));
  await expired.release().catch(() => undefined);

  const released = await holder.acquire("b");
  await released.release();
  await refused(released.fence, new RegExp(`^first released it at ${time}\\. Nobody holds the key now\\.$`));

  const revoked = await holder.acquire("b");
  await other.forceRelease("b");
  await refused(revoked.fence, new RegExp(`^It was taken from first by force at ${time}\\.$`));
  await revoked.release().catch(() => undefined);

  const forced = await holder.acquire("b");
  await other.forceRelease("b", { immediate: true });
  await refused(forced.fence, new RegExp(`^It was taken from first by force at ${time}\\.$`));

  const current = await other.acquire("b");
  const held = new RegExp(`^second holds the key since ${time}, with fence ${current.fence}\\.$`);
  await refused(forced.fence, held);
  await refused(
    current.fence + 1n,
    new RegExp(`^The last fence of this key is ${current.fence}: fence ${current.fence + 1n} was never granted`),
  );
  await current.release();
  await refused(
    forced.fence,
    new RegExp(`^second was granted the key at ${time}, with fence ${current.fence}\\. Nobody holds it now\\.$`),
  );
});

test.each([
  ["a key that is null", "null, 1", /key has 1 to 512 bytes/],
  ["an empty key", "'', 1", /key has 1 to 512 bytes/],
  ["a key that is too long", "repeat('ä', 257), 1", /key has 1 to 512 bytes, this one has 514/],
  ["a fence that is null", "'a', null", /fence is 1 or more, not null/],
  ["fence 0", "'a', 0", /fence is 1 or more, not 0/],
  ["no time", "'a', 1, '0s'", /timeout of a guard is more than nothing/],
  ["less than no time", "'a', 1, '-1s'", /timeout of a guard is more than nothing/],
  ["more time than Postgres can count", "'a', 1, '25 days'", /timeout of a guard is .* at most 2147483647 ms/],
])("%s is an invalid argument, before anything is looked at", async (_, args, message) => {
  await using session = await openSession(database);
  await expect(session.run(`select leasehold.guard(${args})`)).rejects.toMatchObject({
    code: "LH003",
    message: expect.stringMatching(message),
    hint: expect.stringMatching(/./),
  });
});

test("the time is read after the wait for a grant in flight, not before", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using session = await openSession(database);
  await using granting = await openSession(database);
  const lock = await locker.acquire("late", { ttlMs: 60_000 });
  await granting.run("begin; select from leasehold.leases where key = 'late' for update");
  await session.begin();

  const guard = session.guard("late", lock.fence);
  const refused = expect(guard).rejects.toMatchObject({
    code: "LH001",
    detail: expect.stringMatching(/^The lease .* expired/),
  });
  await waitsForLock(database, session);
  // ended by the time that the row is free
  await granting.run(
    "update leasehold.leases set expires_at = clock_timestamp() + interval '0.2 s' where key = 'late'",
  );
  await granting.run("select pg_sleep(0.3); commit");

  await refused;
  await session.rollback();
  await lock.release().catch(() => undefined);
});

test("a grant that commits while the guard waits for it is seen", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using session = await openSession(database);
  await using granting = await openSession(database);
  const lock = await locker.acquire("in flight");
  const next = lock.fence + 1_000n;
  await granting.run("begin; select from leasehold.leases where key = 'in flight' for update");
  await session.begin();

  const guard = session.guard("in flight", lock.fence);
  const refused = expect(guard).rejects.toMatchObject({
    code: "LH001",
    detail: expect.stringContaining(`fence ${next}`),
  });
  await waitsForLock(database, session);
  await granting.run(`update leasehold.leases set fence = ${next} where key = 'in flight'; commit`);

  await refused;
  await session.rollback();
  await sql`update leasehold.leases set token = null where key = 'in flight'`;
  await lock.release().catch(() => undefined);
});

test("a row that is deleted and made again while the guard waits is not taken for the one that it locked", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  await using session = await openSession(database);
  await using purging = await openSession(database);
  await using lock = await locker.acquire("again");
  await purging.run("begin; select from leasehold.leases where key = 'again' for update");
  await session.begin();
  const guard = session.guard("again", lock.fence);
  const refused = expect(guard).rejects.toMatchObject({ code: "LH001" });
  await waitsForLock(database, session);
  await purging.run(`
    with row as (delete from leasehold.leases where key = 'again' returning *) select * into temp kept from row;
    insert into leasehold.leases table kept; commit`);
  await refused;
  await session.rollback();
});

test("a grant whose transaction fails makes the guard wait, and changes nothing", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using session = await openSession(database);
  await using granting = await openSession(database);
  await using lock = await locker.acquire("failed");
  await granting.run("begin; select from leasehold.leases where key = 'failed' for update");
  await session.begin();
  const guard = session.guard("failed", lock.fence);
  await waitsForLock(database, session);
  await granting.rollback();
  await guard;
  expect(await session.isGuarded("failed")).toBe(true);
  await session.commit();
});

test("what expires, is released or revoked after the guard stays guarded to the end", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  for (const end of ["expired", "released", "revoked", "forced"]) {
    const lock = await locker.acquire("c");
    await using session = await openGuard(database, lock);
    if (end === "expired") await expire(database, "c");
    if (end === "released") await lock.release();
    if (end === "revoked") await locker.forceRelease("c");
    if (end === "forced") await locker.forceRelease("c", { immediate: true });
    expect(await session.isGuarded("c"), end).toBe(true);
    await session.commit();
    await lock.release().catch(() => undefined);
  }
});

test("outside a transaction a guard ends at once, and the client's second statement says so", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using session = await openSession(database);
  await using lock = await locker.acquire("a");
  const require = () => session.sql`select leasehold_internal.require_guard('a', ${String(lock.fence)}::bigint)`;

  await session.guard("a", lock.fence);
  expect(await session.isGuarded("a")).toBe(false);
  await expect(require()).rejects.toMatchObject({ code: "LH005", hint: expect.stringContaining("begin;") });

  await session.begin();
  await session.guard("a", lock.fence);
  await require();
  await expect(
    session.sql`select leasehold_internal.require_guard('a', ${String(lock.fence + 1n)}::bigint)`,
  ).rejects.toMatchObject({ code: "LH005" });
  await session.rollback();
});

test("the client's guard works in the database of the lease alone", async () => {
  await using elsewhere = await createDatabase();
  const placeOf = async ({ sql }: typeof database) =>
    (await sql`select leasehold_internal.database_id() as id`)[0]?.id as string;
  const guard = (fence: bigint, place: string | null) =>
    sql`select leasehold_internal.guard('a', ${String(fence)}::bigint, null, ${place}::text)`;
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("a");

  // both are copies of one template, tables included
  expect(await placeOf(elsewhere)).not.toBe(await placeOf(database));
  await guard(lock.fence, await placeOf(database));
  for (const other of [await placeOf(elsewhere), "", null]) {
    await expect(guard(lock.fence, other)).rejects.toMatchObject({
      code: "LH007",
      message: expect.stringContaining(database.name),
      hint: expect.stringContaining("check_fence"),
    });
  }

  // where the service hides what cluster it is
  const known = await sql`select system_identifier::text as id from leasehold.fence_epoch`;
  for (const { sql } of [database, elsewhere]) await sql`update leasehold.fence_epoch set system_identifier = null`;
  expect(await placeOf(elsewhere)).not.toBe(await placeOf(database));
  await guard(lock.fence, await placeOf(database));
  await sql`update leasehold.fence_epoch set system_identifier = ${known[0]?.id}::text::bigint`;
});

test("a role with grant_usage alone may guard", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("a");
  const role = await createRole(database, { grantUsage: true });
  await using session = await openGuard(role.url, lock);
  expect(await session.isGuarded("a")).toBe(true);
  await session.commit();
});

test("the key may come from a column with a collation of its own", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  const key = `'a'::text collate "en-x-icu"`;
  await session.begin();
  await session.run(`select leasehold.guard(${key}, ${lock.fence})`);
  const [row] = await session.run(`select leasehold.is_guarded(${key}) as guarded`);
  expect(row?.guarded).toBe(true);
  await session.commit();
});

test("a read-only transaction is refused by Postgres itself: it has nothing to write", async () => {
  await using locker = openLocker(database, { presence: "off" });
  await using lock = await locker.acquire("a");
  await using session = await openSession(database);
  await session.run("begin read only");
  await expect(session.guard("a", lock.fence)).rejects.toMatchObject({ code: "25006" });
  await session.rollback();
});
