// A lock that goes from a locker to SQL, as another language sends it, and back.
import { afterEach, expect, test } from "vitest";
import { openGuard, openSession, type Session } from "../fencing/session.js";
import { createDatabase, createRole } from "../support/database.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
});

interface Grant {
  readonly token: string;
  readonly fence: bigint;
}

async function tryAcquire(session: Session, key: string, more = ""): Promise<Grant> {
  const [row] = await session.run(`select * from leasehold.try_acquire('${key}'${more})`);
  expect(row).toMatchObject({ acquired: true });
  return { token: row?.token, fence: BigInt(row?.fence) };
}

async function adopt(session: Session, key: string, token: string, more = ""): Promise<Grant> {
  const [row] = await session.run(`select * from leasehold.adopt('${key}', '${token}'${more})`);
  return { token: row?.new_token, fence: BigInt(row?.fence) };
}

const attach = async (session: Session): Promise<number> =>
  (await session.run("select leasehold.attach() as id"))[0]?.id;

const isGone = async (pid: number) => (await sql`select from pg_stat_activity where pid = ${pid}`).length === 0;

test("what SQL has acquired is adopted with its key, token and fence", async () => {
  await using session = await openSession(database);
  await using locker = openLocker(database, { owner: "locker" });
  const { token, fence } = await tryAcquire(session, "a", ", ttl => '5 s', metadata => '{\"from\": \"psql\"}'");

  const lock = await locker.adopt({ key: "a", token, fence: fence.toString() });

  expect(lock).toMatchObject({ fence, metadata: { from: "psql" }, owner: "locker", ttlMs: 30_000 });
  expect((await leaseRow(sql, "a")).sessionId).not.toBeNull();
  await expect(session.run(`select leasehold.renew('a', '${token}')`)).rejects.toMatchObject({
    code: "LH002",
    detail: expect.stringContaining("locker holds the key"),
  });
  expect(await session.run(`select leasehold.release('a', '${token}') as released`)).toEqual([{ released: false }]);
  await lock.renew();
  await lock.release();
});

test("SQL goes on with a detached lock by its token alone, and gives it back by it", async () => {
  await using session = await openSession(database);
  await using locker = openLocker(database);
  const lock = await locker.acquire("a", { ttlMs: 2_000 });
  const { key, token, fence } = await lock.detach();

  await session.run(`select leasehold.renew('${key}', '${token}', '1 hour')`);
  await session.begin();
  await session.guard(key, BigInt(fence));
  await session.commit();
  expect(await leaseRow(sql, "a")).toMatchObject({ token, sessionId: null });
  const back = await locker.adopt({ key, token, fence });

  expect(back.fence).toBe(lock.fence);
  await back.release();
});

test("with adopt() SQL is the only one that goes on with it, under a token of its own", async () => {
  await using session = await openSession(database);
  await using other = await openSession(database);
  await using locker = openLocker(database);
  const detached = await (await locker.acquire("a", { ttlMs: 2_000, metadata: "kept" })).detach();

  const mine = await adopt(session, "a", detached.token, ", ttl => '1 minute', owner => 'python'");

  expect(mine.fence.toString()).toBe(detached.fence);
  expect(mine.token).not.toBe(detached.token);
  const row = await leaseRow(sql, "a");
  expect(row).toMatchObject({ token: mine.token, owner: "python", sessionId: null });
  expect(row.expiresAt - row.now).toBeGreaterThan(30_000);
  expect(await locker.check("a")).toMatchObject({ owner: "python", metadata: "kept" });
  const late = { code: "LH002", detail: expect.stringContaining("python holds the key") };
  await expect(adopt(other, "a", detached.token)).rejects.toMatchObject(late);
  await expect(locker.adopt(detached)).rejects.toMatchObject({ code: "lease-lost", reason: "taken" });

  // and back
  const lock = await locker.adopt({ key: "a", ...mine });
  expect(lock.fence).toBe(mine.fence);
  await lock.release();
});

test("an adoption that is carried out a second time, late, takes nothing from what was renewed since", async () => {
  await using locker = openLocker(database);
  const newToken = "00000000-0000-4000-8000-000000000001";
  for (const share of [{}, { shared: true }] as const) {
    const { key, token, ...detached } = await (await locker.acquire("a", share)).detach();
    const fence = String(detached.fence);
    const adopt = () => sql`
      select outcome, expires from leasehold_internal.adopt(
        null, null, null, ${key}, ${token}, ${fence}, ${newToken}, 'second', 2000, null, 'infinity')`;
    const [first] = await adopt();
    const [renewed] = await sql`
      select expires, others from leasehold_internal.renew(
        null, null, null, 60000, array[${key}], array[${newToken}]::uuid[], array[${fence}]::bigint[], null)`;
    const [again] = await adopt();
    const [other] = renewed?.others === null ? [] : JSON.parse(renewed?.others);
    expect(again).toEqual({ outcome: "adopted", expires: renewed?.expires ?? other[2] });
    expect(again?.expires).toBeGreaterThan(first?.expires + 50_000);
    await sql`select from leasehold_internal.release(false, array[${key}], array[${newToken}]::uuid[], array[${fence}]::bigint[])`;
  }
});

test("the lease keeps its TTL when adopt() is given none", async () => {
  await using session = await openSession(database);
  await using locker = openLocker(database);
  const detached = await (await locker.acquire("a", { ttlMs: 77_000 })).detach();
  const [row] = await session.run(
    `select expires_at - clock_timestamp() as left from leasehold.adopt('a', '${detached.token}')`,
  );
  expect(row?.left).toMatch(/^00:01:1[67]/);
  expect(await sql`select ttl_ms from leasehold.leases`).toEqual([{ ttl_ms: 77_000 }]);
});

test("adopt() with a session ties the lock to that connection, whose end frees it", async () => {
  const session = await openSession(database);
  await using locker = openLocker(database);
  const detached = await (await locker.acquire("a", { ttlMs: 3_600_000 })).detach();
  const id = await attach(session);
  const mine = await adopt(session, "a", detached.token, `, session => ${id}`);
  expect(await leaseRow(sql, "a")).toMatchObject({ token: mine.token, sessionId: id, takeoverMs: 5_000 });
  expect(await locker.tryAcquire("a")).toBeNull();

  await sql`select pg_terminate_backend(${session.pid})`;
  await until("it is gone", () => isGone(session.pid));
  await sql`update leasehold.sessions set seen_at = seen_at - interval '1 hour' where id = ${id}`;
  const next = await locker.acquire("a");
  expect(next.fence).toBeGreaterThan(mine.fence);
  await next.release();
  await session.sql.end({ timeout: 0 });
});

test("what is tied to a connection that lives is adopted once it was detached, by a locker and by SQL", async () => {
  await using session = await openSession(database);
  await using other = await openSession(database);
  await using locker = openLocker(database);
  const id = await attach(session);
  const grant = await tryAcquire(session, "a", `, ttl => '20 s', owner => 'psql', session => ${id}`);

  const error = await locker.adopt({ key: "a", ...grant }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "NotHeldError", message: expect.stringContaining('"psql" holds it') });
  await expect(adopt(other, "a", grant.token)).rejects.toMatchObject({
    code: "LH004",
    message: "the lease of 'a' is tied to a session that is alive",
    detail: "psql holds it, and has not let go of it.",
  });
  expect(await leaseRow(sql, "a")).toMatchObject({ token: grant.token, sessionId: id });

  const [row] = await session.run(
    `select extract(epoch from leasehold.detach_lock('a', '${grant.token}', '1 hour'))::float8 * 1000 as until`,
  );
  const detached = await leaseRow(sql, "a");
  expect(detached).toMatchObject({ token: grant.token, sessionId: null, takeoverMs: null });
  expect(row?.until).toBe(detached.expiresAt);
  expect(detached.expiresAt - detached.now).toBeGreaterThan(3_000_000);
  // the connection may end now
  await session.run(`select leasehold.detach(${id})`);
  const lock = await locker.adopt({ key: "a", ...grant });
  expect(lock.held).toBe(true);
  await lock.release();
});

test("what was tied to a connection that has ended is adopted while nobody has the key", async () => {
  const session = await openSession(database);
  await using locker = openLocker(database);
  const id = await attach(session);
  const grant = await tryAcquire(session, "a", `, session => ${id}`);
  await session.sql.end({ timeout: 0 });
  await until("it is gone", () => isGone(session.pid));
  const lock = await locker.adopt({ key: "a", ...grant });
  const row = await leaseRow(sql, "a");
  expect(row.sessionId).not.toBe(id);
  expect(row.sessionId).not.toBeNull();
  await lock.release();
});

test("detach_lock() of what a locker holds takes nothing from it: it never shortens, and belief ends before the lease does", async () => {
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  await using session = await openSession(database);
  const lock = await locker.acquire("a", { ttlMs: 60_000, renewEveryMs: 500 });
  const before = await leaseRow(sql, "a");
  const token = await tokenOf(sql, "a");
  await session.run(`select leasehold.detach_lock('a', '${token}', '1 s')`);
  expect((await leaseRow(sql, "a")).expiresAt).toBe(before.expiresAt);
  await until("it was renewed", async () => (await leaseRow(sql, "a")).expiresAt > before.expiresAt);
  expect(lock.held).toBe(true);
  expect(await leaseRow(sql, "a")).toMatchObject({ token, sessionId: null });
  await lock.release();
});

test("neither does anything about a lock that has ended, or with a token or key that is not its own", async () => {
  await using session = await openSession(database);
  const grant = await tryAcquire(session, "a");
  const other = "00000000-0000-4000-8000-000000000000";
  const calls = (key: string, token: string) =>
    ["adopt", "detach_lock"].map((name) => `select * from leasehold.${name}('${key}', '${token}')`);
  for (const call of [...calls("a", other), ...calls("b", grant.token)]) {
    await expect(session.run(call), call).rejects.toMatchObject({ code: "LH002" });
  }
  await sql`update leasehold.leases set expires_at = clock_timestamp()`;
  const before = await leaseRow(sql, "a");
  for (const call of calls("a", grant.token)) {
    await expect(session.run(call), call).rejects.toMatchObject({
      code: "LH002",
      detail: "It was not renewed in time: it has expired.",
    });
  }
  await sql`update leasehold.leases set expires_at = clock_timestamp() + interval '1 hour', revoked_at = clock_timestamp()`;
  for (const call of calls("a", grant.token)) {
    await expect(session.run(call), call).rejects.toMatchObject({
      code: "LH002",
      detail: "It was taken away by force.",
    });
  }
  expect((await leaseRow(sql, "a")).token).toBe(before.token);
});

test("adopt() waits for no guard, detach_lock() passes it", async () => {
  await using session = await openSession(database);
  const grant = await tryAcquire(session, "a", ", ttl => '1 hour'");
  await using guarded = await openGuard(database, { key: "a", fence: grant.fence });
  await session.run(`select leasehold.detach_lock('a', '${grant.token}')`);
  const error = await adopt(session, "a", grant.token).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: "55P03",
    message: "the lease of 'a' cannot be adopted now: a transaction keeps its row locked",
    detail: `It is open in the server process ${guarded.pid}.`,
  });
  await guarded.commit();
  expect((await adopt(session, "a", grant.token)).fence).toBe(grant.fence);

  // a write keeps it from both
  await guarded.begin();
  await guarded.run("update leasehold.leases set renewed_at = renewed_at");
  const token = await tokenOf(sql, "a");
  for (const name of ["adopt", "detach_lock"]) {
    const refused = await session.run(`select leasehold.${name}('a', '${token}')`).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ code: "55P03" });
  }
  await guarded.rollback();
});

test("adopt() in the name of a session that is not this connection's is refused", async () => {
  await using session = await openSession(database);
  await using other = await openSession(database);
  const grant = await tryAcquire(session, "a");
  const id = await attach(other);
  await expect(adopt(session, "a", grant.token, `, session => ${id}`)).rejects.toMatchObject({ code: "LH004" });
  expect(await leaseRow(sql, "a")).toMatchObject({ token: grant.token, sessionId: null });
});

test.each(["adopt", "detach_lock"])("%s() waits for the disk, whatever the caller's transactions do", async (name) => {
  await using session = await openSession(database);
  const { token } = await tryAcquire(session, "a");
  await session.begin();
  await session.run("set local synchronous_commit = off");
  await session.run(`select leasehold.${name}('a', '${token}')`);
  const durability = await session.setting("synchronous_commit");
  await session.commit();
  expect(durability).toBe("on");
});

test.each(["adopt", "detach_lock"])("%s() of a row that is locked for a moment is tried again, twice", async (name) => {
  await using own = await createDatabase();
  await using session = await openSession(own);
  const { token } = await tryAcquire(session, "busy");
  const [real] = await own.sql`
    select pg_get_function_arguments(oid) as arguments, pg_get_function_result(oid) as result, pronargs::int as count
      from pg_proc where pronamespace = 'leasehold_internal'::regnamespace and proname = ${name}`;
  const values = Array.from({ length: real?.count }, (_, index) => `$${index + 1}`).join(", ");
  // The first so many are told that the row is locked.
  await own.sql.unsafe(`
    create sequence public.asked;
    alter function leasehold_internal.${name} rename to real;
    create function leasehold_internal.${name}(${real?.arguments}) returns ${real?.result} language plpgsql as $$
    #variable_conflict use_column
    begin
      if nextval('public.asked') <= current_setting('test.busy')::int then
        outcome := 'busy';
        return next;
      else
        return query select * from leasehold_internal.real(${values});
      end if;
    end $$;
    grant usage on sequence public.asked to public`);
  const call = `select * from leasehold.${name}('busy', '${token}')`;
  await session.run("set test.busy = 3");
  await expect(session.run(call)).rejects.toMatchObject({ code: "55P03" });
  await own.sql`select setval('public.asked', 1, false)`;
  await session.run("set test.busy = 2");
  expect(await session.run(call)).toHaveLength(1);
});

test.each(["adopt", "detach_lock"])("%s() says what is wrong with its arguments", async (name) => {
  await using session = await openSession(database);
  for (const args of [
    "null, gen_random_uuid()",
    "'', gen_random_uuid()",
    "'a', null",
    "'a', gen_random_uuid(), '1 ms'",
  ]) {
    await expect(session.run(`select leasehold.${name}(${args})`), args).rejects.toMatchObject({ code: "LH003" });
  }
});

test("an application role may hand its locks over, and adopt what it is given", async () => {
  const app = await createRole(database, { grantUsage: true });
  const stranger = await createRole(database);
  await using session = await openSession(app.url);
  await using other = await openSession(stranger.url);
  await using locker = openLocker(app.url);
  const lock = await locker.acquire("a");
  const { token } = await lock.detach();
  const mine = await adopt(session, "a", token);
  await session.run(`select leasehold.detach_lock('a', '${mine.token}')`);
  await (await locker.adopt({ key: "a", ...mine })).release();
  for (const call of ["adopt('a', gen_random_uuid())", "detach_lock('a', gen_random_uuid())"]) {
    await expect(other.run(`select leasehold.${call}`), call).rejects.toMatchObject({ code: "42501" });
  }
});
