// call leasehold.acquire(...): what it gives, and that it waits in the queue beside lockers.
import pg from "pg";
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { until } from "../support/until.js";
import { queueOf, untilQueued } from "../waiting/queue.js";
import { callAcquire, type Grant, releaseInSql, startCall } from "./waiting-call.js";

const database = await createDatabase();
const { sql } = database;

test("a key that is free is granted at once, and renew, check, guard and release know the grant", async () => {
  const grant = await callAcquire(sql, "free", ", ttl => '10 s', owner => 'me', metadata => '{\"a\": 1}'");
  const row = await leaseRow(sql, "free");
  expect(row).toMatchObject({ token: grant.token, fence: grant.fence, owner: "me", sessionId: null });
  expect(row.expiresAt - row.acquiredAt).toBe(10_000);
  expect(grant.expiresAt.getTime()).toBe(Math.floor(row.expiresAt));
  expect(await sql`select metadata from leasehold.leases where key = 'free'`).toEqual([{ metadata: { a: 1 } }]);

  const [renewed] = await sql`select leasehold.renew('free', ${grant.token}, '1 min') as until`;
  expect(renewed?.until.getTime()).toBeGreaterThan(grant.expiresAt.getTime());
  expect((await sql`select * from leasehold.check('free')`)[0]).toMatchObject({
    state: "held",
    owner: "me",
    fence: String(grant.fence),
  });
  await using session = await openSession(database);
  await session.begin();
  await session.guard("free", grant.fence);
  await session.commit();
  expect(await releaseInSql(sql, "free", grant)).toBe(true);
  expect(await releaseInSql(sql, "free", grant)).toBe(false);
});

test("it waits for its turn: behind a locker that came before, and before one that came later", async () => {
  await using holder = openLocker(database);
  await using first = openLocker(database);
  await using last = openLocker(database);
  const held = await holder.acquire("turn");
  const before = first.acquire("turn");
  await untilQueued(database, "turn", 1);
  await using call = await startCall(database, "turn");
  await untilQueued(database, "turn", 2);
  const after = last.acquire("turn");
  const queue = await untilQueued(database, "turn", 3);
  await held.release();

  const firstLock = await before;
  const isWaiting = call.grant === null;
  await firstLock.release();
  const grant = (await call.ended) as Grant;
  const row = await leaseRow(sql, "turn");
  await releaseInSql(sql, "turn", grant);
  const lastLock = await after;
  await lastLock.release();

  expect(isWaiting).toBe(true);
  expect(row.token).toBe(grant.token);
  expect(queue[1]?.token).toBe(grant.token);
  expect(grant.fence).toBeGreaterThan(firstLock.fence);
  expect(lastLock.fence).toBeGreaterThan(grant.fence);
  expect(await queueOf(database, "turn")).toEqual([]);
});

test("a lease that nobody renews is taken over when it ends", async () => {
  const lapsing = await callAcquire(sql, "lapsing", ", ttl => '1 s'");
  const grant = await callAcquire(sql, "lapsing");
  expect(grant.fence).toBeGreaterThan(lapsing.fence);
  expect((await leaseRow(sql, "lapsing")).acquiredAt).toBeGreaterThanOrEqual(Math.floor(lapsing.expiresAt.getTime()));
  await releaseInSql(sql, "lapsing", grant);
});

test("called again with its token, on whichever connection, it is the same grant", async () => {
  const token = crypto.randomUUID();
  const first = await callAcquire(sql, "again", `, token => '${token}'`);
  await using other = await openSession(database);
  const second = await callAcquire(other.sql, "again", `, token => '${token}'`);
  expect(first.token).toBe(token);
  expect(second).toEqual(first);
  expect(await sql`select acquisitions::int from leasehold.leases where key = 'again'`).toEqual([{ acquisitions: 1 }]);
  await releaseInSql(sql, "again", first);
  const third = await callAcquire(sql, "again", `, token => '${token}', fence => 1, expires_at => 'epoch'`);
  expect(third.fence).toBeGreaterThan(first.fence);
  await releaseInSql(sql, "again", third);
});

test("a repetition that is in vain leaves the lease of its token alone", async () => {
  const grant = await callAcquire(sql, "kept");
  await sql`select leasehold.force_release('kept')`; // so that it is nobody's to be granted before it ends
  await using repetition = await startCall(database, "kept", `, token => '${grant.token}', wait => '0.1 s'`);
  const ended = await repetition.ended;
  const row = await leaseRow(sql, "kept");
  await releaseInSql(sql, "kept", grant);
  expect(ended).toMatchObject({ code: "LH009" });
  expect(row).toMatchObject({ token: grant.token, fence: grant.fence });
});

test("with the number of an attached session the lock is tied to the connection, and so is the place in the queue", async () => {
  await using locker = openLocker(database);
  await using session = await openSession(database);
  const id = (await session.run("select leasehold.attach('attached') as id"))[0]?.id;
  const lock = await locker.acquire("attached");
  const call = callAcquire(session.sql, "attached", `, session => ${id}`);
  await untilQueued(database, "attached", 1);
  const waiting = await sql`select session_id, owner from leasehold.waiters where key = 'attached'`;
  await lock.release();
  const grant = await call;
  const row = await leaseRow(sql, "attached");
  await releaseInSql(sql, "attached", grant);

  expect(waiting).toEqual([{ session_id: id, owner: "attached" }]);
  expect(row).toMatchObject({ sessionId: id, takeoverMs: 5_000, owner: "attached" });
  await expect(callAcquire(sql, "attached", `, session => ${id}`)).rejects.toMatchObject({ code: "LH004" });
  // the connection alone says nothing: presence is named with each call
  const plain = await callAcquire(session.sql, "plain");
  expect(await leaseRow(sql, "plain")).toMatchObject({ token: plain.token, sessionId: null, takeoverMs: null });
  await releaseInSql(sql, "plain", plain);
  expectLeft(database, "sessions");
});

test.each([
  ["an acquire of a new key that is not committed", "select leasehold.try_acquire('new')"],
  ["an insert of a stranger's", "insert into leasehold.leases (key, fence, ttl_ms) values ('new', 0, 0)"],
])("%s is waited for, however long it takes", async (_, statement) => {
  await using keeping = await openSession(database);
  await keeping.begin();
  await keeping.run(statement);
  await using call = await startCall(database, "new");
  const looks = () => sql`select from pg_stat_activity where pid = ${call.session.pid} and wait_event = 'PgSleep'`;
  await until("it sleeps between two looks", async () => (await looks()).length === 1);
  await until("it has looked at least twice", async () => {
    const [row] =
      await sql`select clock_timestamp() - query_start > interval '0.7 s' as yes from pg_stat_activity where pid = ${call.session.pid}`;
    return row?.yes;
  });
  await keeping.rollback();
  const ended = await call.ended;
  expect(ended).toMatchObject({ token: expect.any(String) });
  await releaseInSql(sql, "new", ended as Grant);
  await sql`delete from leasehold.leases where key = 'new'`;
});

test("a long wait keeps no old snapshot: vacuum goes on", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("long");
  await using call = await startCall(database, "long", ", wait => null");
  await untilQueued(database, "long", 1);
  const [mark] = await sql`select pg_current_xact_id()::text as id`;
  const passed = until("what began after that is all that it sees", async () => {
    const [row] = await sql`
      select backend_xmin is null or age(backend_xmin) < age((${mark?.id}::numeric % 4294967296)::text::xid) as yes
        from pg_stat_activity where pid = ${call.session.pid} and wait_event = 'PgSleep'`;
    return row?.yes;
  });
  await passed;
  await lock.release();
  await releaseInSql(sql, "long", (await call.ended) as Grant);
});

test("node-postgres gets a row, with the arguments bound", async () => {
  const client = new pg.Client(database.url);
  await client.connect();
  const { rows } = await client.query("call leasehold.acquire($1, wait => $2, metadata => $3)", [
    "bound",
    "5 s",
    { a: 1 },
  ]);
  await client.query("select leasehold.release($1, $2)", ["bound", rows[0]?.token]);
  await client.end();
  expect(rows).toEqual([{ token: expect.any(String), fence: expect.any(String), expires_at: expect.any(Date) }]);
});

test("it waits through a transaction pooler", async ({ skip }) => {
  await using pgbouncer = await startPgBouncer(database.url);
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using locker = openLocker(database);
  const lock = await locker.acquire("pooled");
  await using call = await startCall(pgbouncer.url(database.url), "pooled");
  await untilQueued(database, "pooled", 1);
  await lock.release();
  const grant = (await call.ended) as Grant;
  expect(await leaseRow(sql, "pooled")).toMatchObject({ token: grant.token, fence: grant.fence });
  expect(await releaseInSql(call.session.sql, "pooled", grant)).toBe(true);
});
