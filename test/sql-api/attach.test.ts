// Presence in a connection of the user's own: psql, Python or Go get crash detection, too.
import { afterEach, expect, test } from "vitest";
import { openSession, type Session } from "../fencing/session.js";
import { createDatabase, createRole } from "../support/database.js";
import { leaseRow } from "../support/lease-row.js";
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

async function acquire(session: Session, key: string): Promise<string> {
  const [row] = await session.run(`select * from leasehold.try_acquire('${key}', '1 hour')`);
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
  await acquire(session, "a");
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
  await acquire(session, "b");
  await silence();
  expect(await attach(session)).toBe(id);
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

test("a connection without it leaves its locks to their TTL; a renewal from another connection makes them that one's", async () => {
  await using first = await openSession(database);
  await using second = await openSession(database);
  const token = await acquire(first, "c");
  expect((await leaseRow(sql, "c")).sessionId).toBeNull();
  const id = await attach(second);
  await second.run(`select leasehold.renew('c', '${token}')`);
  expect(await leaseRow(sql, "c")).toMatchObject({ sessionId: id, takeoverMs: 5_000 });
  await first.run(`select leasehold.renew('c', '${token}')`);
  expect(await leaseRow(sql, "c")).toMatchObject({ sessionId: null, takeoverMs: null });
});

test("it shows who it is, and holds one advisory lock, however often it is called", async () => {
  await using session = await openSession(database);
  const id = await attach(session);
  await session.run("select leasehold.attach('nightly report')");
  expect(await sql`select id, owner, pid, version from leasehold.sessions`).toEqual([
    { id, owner: "nightly report", pid: session.pid, version: "sql" },
  ]);
  const locks = await sql`select objid::int as id from pg_locks where pid = ${session.pid} and locktype = 'advisory'`;
  expect([...locks]).toEqual([{ id }]);
  await acquire(session, "d");
  expect((await leaseRow(sql, "d")).owner).toBe("nightly report");
  const [row] = await session.run("select * from leasehold.try_acquire('d2', owner => 'one task of it')");
  expect(row?.acquired).toBe(true);
  expect((await leaseRow(sql, "d2")).owner).toBe("one task of it");
});

test("what a connection holds is not granted to that very connection either, while it stands", async () => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  await attach(session);
  await acquire(session, "own");
  await silence();
  await session.run("reset all"); // it does not know its session any more, but still has the advisory lock
  expect(await locker.check("own")).toMatchObject({ state: "held", isSessionAlive: true });
  const again = () => session.run("select acquired from leasehold.try_acquire('own')");
  expect(await again()).toEqual([{ acquired: false }]);
  await attach(session);
  expect(await again()).toEqual([{ acquired: false }]);
});

test("detach() is the end of it, as if the connection had ended", async () => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  expect(await session.run("select leasehold.detach() as detached")).toEqual([{ detached: false }]);
  const id = await attach(session);
  await acquire(session, "e");
  await silence();
  expect(await session.run("select leasehold.detach() as detached")).toEqual([{ detached: true }]);
  const lock = await locker.tryAcquire("e");
  expect(lock).not.toBeNull();
  await lock?.release();
  expect(await attach(session)).not.toBe(id);
});

test.each([
  ["discard all, as pools send it", "discard all", false],
  ["pg_advisory_unlock_all", "select pg_advisory_unlock_all()", true],
])("what ends it behind its back is noticed: %s", async (_, statement, isTold) => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  const id = await attach(session);
  const token = await acquire(session, "f");
  await silence();
  await session.run(statement);
  const lock = await locker.tryAcquire("f");
  expect(lock).not.toBeNull();
  await lock?.release();
  if (isTold) {
    for (const call of ["try_acquire('g')", `renew('f', '${token}')`]) {
      await expect(session.run(`select leasehold.${call}`)).rejects.toMatchObject({ code: "LH004" });
    }
  }
  expect(await attach(session)).not.toBe(id);
  await acquire(session, "g");
});

test("a rolled back attach() leaves nothing that counts", async () => {
  await using session = await openSession(database);
  await session.begin();
  await attach(session);
  await session.rollback();
  await acquire(session, "h");
  expect((await leaseRow(sql, "h")).sessionId).toBeNull();
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
  await acquire(attacker, "i");
  expect((await leaseRow(sql, "i")).sessionId).toBeNull();
  expect(await attacker.run("select leasehold.detach() as detached")).toEqual([{ detached: false }]);
  expect(await sql`select from pg_locks where pid = ${victim.pid} and locktype = 'advisory'`).toHaveLength(1);
});
