// Presence in a connection of the user's own: psql, Python or Go get crash detection, too.
import { afterEach, expect, test } from "vitest";
import { openSession, type Session } from "../fencing/session.js";
import { createDatabase, createRole } from "../support/database.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
});

async function attach(session: Session): Promise<number> {
  return (await session.run("select leasehold.attach() as id"))[0]?.id;
}

async function acquire(session: Session, key: string, id: number | null): Promise<string> {
  const [row] = await session.run(`select * from leasehold.try_acquire('${key}', '1 hour', session => ${id})`);
  expect(row).toMatchObject({ acquired: true });
  return row?.token;
}

/** As if the last heartbeat had been longer ago than a takeover takes. The server itself must have been up for so long as well. */
async function silence(): Promise<void> {
  await sql`update leasehold.sessions set seen_at = seen_at - interval '1 hour'`;
  await until("the server is old enough", async () => {
    const [row] = await sql`select clock_timestamp() > pg_postmaster_start_time() + interval '5 seconds' as old`;
    return row?.old;
  });
}

const isGone = async (pid: number) => (await sql`select from pg_stat_activity where pid = ${pid}`).length === 0;

test("what an attached connection holds is its own while it stands, however silent, and free when it is gone", async () => {
  await using locker = openLocker(database);
  const session = await openSession(database);
  const id = await attach(session);
  await acquire(session, "a", id);
  expect((await leaseRow(sql, "a")).sessionId).toBe(id);
  await silence();
  expect(await locker.tryAcquire("a")).toBeNull();
  expect(await locker.check("a")).toMatchObject({ state: "held", isSessionAlive: true });

  await sql`select pg_terminate_backend(${session.pid})`;
  await until("it is gone", () => isGone(session.pid));
  const lock = await locker.tryAcquire("a");
  expect(lock).not.toBeNull();
  await lock?.release();
  await session.sql.end({ timeout: 0 });
});

test("it is not taken over sooner than 5 s after its last heartbeat, which attach() is", async () => {
  await using locker = openLocker(database);
  const session = await openSession(database);
  const id = await attach(session);
  await acquire(session, "b", id);
  await silence();
  expect(await session.run(`select leasehold.attach(session => ${id}) as id`)).toEqual([{ id }]);
  await session.sql.end({ timeout: 1 });
  await until("it is gone", () => isGone(session.pid));

  expect(await locker.tryAcquire("b")).toBeNull();
  const lock = await locker.acquire("b");
  const [row] = await sql`
    select extract(epoch from l.acquired_at - s.seen_at)::float8 as seconds
      from leasehold.leases l, leasehold.sessions s where l.key = 'b' and s.id = ${id}`;
  expect(row?.seconds).toBeGreaterThan(5);
  await lock.release();
});

test("presence is said with each call: on a connection that somebody else left attached, a lock is tied to nothing", async () => {
  await using pooled = await openSession(database);
  await attach(pooled);
  const token = await acquire(pooled, "c", null);
  expect(await leaseRow(sql, "c")).toMatchObject({ sessionId: null, takeoverMs: null });
  await pooled.run(`select leasehold.renew('c', '${token}')`);
  expect(await leaseRow(sql, "c")).toMatchObject({ sessionId: null, takeoverMs: null });

  // and who attaches it again does not get what the other left there
  const [first, second] = [await attach(pooled), await attach(pooled)];
  expect(first).not.toBe(second);
  expect(await pooled.run(`select leasehold.detach(${second}) as detached`)).toEqual([{ detached: true }]);
  await acquire(pooled, "c2", first);
});

test("a number that is not attached on this very connection is refused, whoever has it", async () => {
  await using mine = await openSession(database);
  await using other = await openSession(database);
  const id = await attach(other);
  for (const call of [
    `try_acquire('n', session => ${id})`,
    `renew('n', gen_random_uuid(), session => ${id})`,
    `attach(session => ${id})`,
    "try_acquire('n', session => 2147483647)",
  ]) {
    await expect(mine.run(`select leasehold.${call}`), call).rejects.toMatchObject({ code: "LH004" });
  }
  expect(await mine.run(`select leasehold.detach(${id}) as detached`)).toEqual([{ detached: false }]);
  expect(await sql`select from leasehold.leases where key = 'n'`).toHaveLength(0);
});

test("a renewal through another session leaves the lease with the one that lives", async () => {
  await using locker = openLocker(database);
  await using helper = await openSession(database);
  const lock = await locker.acquire("helped", { keepAlive: false });
  const before = await leaseRow(sql, "helped");
  const token = await tokenOf(sql, "helped");
  const own = await attach(helper);
  for (const session of [own, null]) {
    await helper.run(`select leasehold.renew('helped', '${token}', '2 hours', ${session})`);
    const { sessionId, takeoverMs, expiresAt } = await leaseRow(sql, "helped");
    expect({ sessionId, takeoverMs }).toEqual({ sessionId: before.sessionId, takeoverMs: before.takeoverMs });
    expect(expiresAt).toBeGreaterThan(before.expiresAt + 3_600_000);
  }
  // the helper's end is nothing to it
  await sql`select pg_terminate_backend(${helper.pid})`;
  await until("the helper is gone", () => isGone(helper.pid));
  await sql`update leasehold.sessions set seen_at = seen_at - interval '1 hour' where id = ${own}`;
  await using other = openLocker(database);
  expect(await other.tryAcquire("helped")).toBeNull();
  await lock.renew();
  expect(lock.held).toBe(true);
  await lock.release();
});

test("once the connection of its session has ended, a lease is tied to the session that a renewal names, or to none", async () => {
  for (const names of [true, false]) {
    await using first = await openSession(database);
    await using second = await openSession(database);
    const key = `moved-${names}`;
    const token = await acquire(first, key, await attach(first));
    await sql`select pg_terminate_backend(${first.pid})`;
    await until("it is gone", () => isGone(first.pid));
    const id = names ? await attach(second) : null;
    await second.run(`select leasehold.renew('${key}', '${token}', session => ${id})`);
    expect(await leaseRow(sql, key)).toMatchObject({ sessionId: id, takeoverMs: names ? 5_000 : null });
  }
});

test("a process that is cut off for longer than its takeover delay may come back, so a renewal meanwhile leaves its lease to the TTL", async () => {
  await using helper = await openSession(database);
  const id = await attach(helper);
  const token = crypto.randomUUID();
  await sql`insert into leasehold.sessions select 2000000000, gen_random_uuid(), 'cut off', pid, host, client_address, application_name,
    '1.0.0', started_at, seen_at from leasehold.sessions where id = ${id}`;
  await sql`insert into leasehold.leases (key, token, fence, owner, session_id, ttl_ms, takeover_ms, acquired_at, expires_at)
    values ('cut', ${token}, 1, 'cut off', 2000000000, 60000, 1000, clock_timestamp(), clock_timestamp() + interval '1 hour')`;
  await helper.run(`select leasehold.renew('cut', '${token}', session => ${id})`);
  expect((await leaseRow(sql, "cut")).sessionId).toBe(2000000000);
  await silence();
  await helper.run(`select leasehold.renew('cut', '${token}', session => ${id})`);
  expect(await leaseRow(sql, "cut")).toMatchObject({ sessionId: null, takeoverMs: null });
});

test("it shows who it is, and holds one advisory lock, however often it is called with its number", async () => {
  await using session = await openSession(database);
  const id = await attach(session);
  await session.run(`select leasehold.attach('nightly report', ${id})`);
  expect(await sql`select id, owner, pid, version from leasehold.sessions`).toEqual([
    { id, owner: "nightly report", pid: session.pid, version: "sql" },
  ]);
  const locks = await sql`select objid::int as id from pg_locks where pid = ${session.pid} and locktype = 'advisory'`;
  expect([...locks]).toEqual([{ id }]);
  await acquire(session, "d", id);
  expect((await leaseRow(sql, "d")).owner).toBe("nightly report");
  const [row] = await session.run(
    `select * from leasehold.try_acquire('d2', owner => 'one task of it', session => ${id})`,
  );
  expect(row?.acquired).toBe(true);
  expect((await leaseRow(sql, "d2")).owner).toBe("one task of it");
});

test("what a connection holds is not granted to that very connection either, while it stands", async () => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  const id = await attach(session);
  await acquire(session, "own", id);
  await silence();
  await session.run("reset all"); // presence is no setting
  expect(await locker.check("own")).toMatchObject({ state: "held", isSessionAlive: true });
  for (const own of [null, id, await attach(session)]) {
    const again = await session.run(`select acquired from leasehold.try_acquire('own', session => ${own})`);
    expect(again).toEqual([{ acquired: false }]);
  }
});

test("detach() is the end of it, as if the connection had ended", async () => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  expect(await session.run("select leasehold.detach(1) as detached")).toEqual([{ detached: false }]);
  const id = await attach(session);
  await acquire(session, "e", id);
  await silence();
  expect(await session.run(`select leasehold.detach(${id}) as detached`)).toEqual([{ detached: true }]);
  const lock = await locker.tryAcquire("e");
  expect(lock).not.toBeNull();
  await lock?.release();
  await expect(session.run(`select leasehold.try_acquire('e', session => ${id})`)).rejects.toMatchObject({
    code: "LH004",
  });
  await expect(session.run("select leasehold.detach(null)")).rejects.toMatchObject({ code: "LH003" });
});

test.each([
  ["discard all, as pools send it", "discard all"],
  ["pg_advisory_unlock_all", "select pg_advisory_unlock_all()"],
])("what ends it behind its back is noticed: %s", async (_, statement) => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  const id = await attach(session);
  const token = await acquire(session, "f", id);
  await silence();
  await session.run(statement);
  const lock = await locker.tryAcquire("f");
  expect(lock).not.toBeNull();
  await lock?.release();
  for (const call of ["try_acquire('g', ", `renew('f', '${token}', `, "attach("]) {
    await expect(session.run(`select leasehold.${call}session => ${id})`)).rejects.toMatchObject({ code: "LH004" });
  }
  await acquire(session, "g", await attach(session));
});

test("a connection has 100 sessions at most, and a refusal leaves no lock behind", async () => {
  await using session = await openSession(database);
  await session.run("select leasehold.attach() from generate_series(1, 100)");
  await expect(attach(session)).rejects.toMatchObject({ code: "LH003" });
  const locks = () => sql`select from pg_locks where pid = ${session.pid} and locktype = 'advisory'`;
  expect(await locks()).toHaveLength(100);
  await session.run("select pg_advisory_unlock_all()");
  await attach(session);
  expect(await locks()).toHaveLength(1);
});

test("a rolled back attach() leaves nothing that counts", async () => {
  await using session = await openSession(database);
  await session.begin();
  const id = await attach(session);
  await session.rollback();
  await expect(session.run(`select leasehold.try_acquire('h', session => ${id})`)).rejects.toMatchObject({
    code: "LH004",
  });
  expect(await sql`select from leasehold.sessions`).toHaveLength(0);
});

test("nobody can pass for another: neither by the number of its session nor by its setting", async () => {
  const app = await createRole(database, { grantUsage: true });
  await using victim = await openSession(database);
  const id = await attach(victim);
  const [row] = await sql`select nonce::text from leasehold.sessions where id = ${id}`;
  await using attacker = await openSession(app.url);
  // even if it knew the nonce, which it cannot read
  await expect(attacker.run("select nonce from leasehold.sessions")).rejects.toMatchObject({ code: "42501" });
  await attacker.run(`set leasehold.session = '${row?.nonce}'`);
  await expect(attacker.run(`select leasehold.try_acquire('i', session => ${id})`)).rejects.toMatchObject({
    code: "LH004",
  });
  expect(await attacker.run(`select leasehold.detach(${id}) as detached`)).toEqual([{ detached: false }]);
  expect(await sql`select from pg_locks where pid = ${victim.pid} and locktype = 'advisory'`).toHaveLength(1);
});
