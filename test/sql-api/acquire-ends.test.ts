// How a call of leasehold.acquire that was not granted ends, and what it leaves behind: nothing, or a place for 3 s.
import { expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase } from "../support/database.js";
import { openEars } from "../support/ears.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";
import { queueOf, untilQueued } from "../waiting/queue.js";
import { callAcquire, releaseInSql, startCall } from "./waiting-call.js";

const database = await createDatabase();
const { sql } = database;

async function serverNow(): Promise<number> {
  const [row] = await sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
  return row?.now;
}

test("when the wait is over it says who has the key, and is in the queue no more", async () => {
  await using locker = openLocker(database, { owner: "the locker" });
  const lock = await locker.acquire("over");
  await using call = await startCall(database, "over", ", wait => '1 s'");
  await untilQueued(database, "over", 1);
  const later = locker.acquire("over");
  await untilQueued(database, "over", 2);
  const error = await call.ended;
  const queue = await queueOf(database, "over");
  const tried = await callAcquire(sql, "over", ", wait => '0'").catch((refusal) => refusal);
  await lock.release();
  await (await later).release();

  const refusal = {
    code: "LH009",
    detail: expect.stringMatching(
      new RegExp(`^the locker has it, with fence ${lock.fence}, until .+ or longer\\. Others who wait for it: 1\\.$`),
    ),
    hint: expect.stringContaining("wait => "),
  };
  expect(error).toMatchObject({ ...refusal, message: "the lock 'over' was not free within 00:00:01" });
  expect(tried).toMatchObject({ ...refusal, message: "the lock 'over' was not free within 00:00:00" });
  expect(queue).toHaveLength(1);
});

test("its error names the transaction that keeps the key, and who is next is woken", async () => {
  await using ears = await openEars(database, 4242);
  await using guarding = await openSession(database);
  const grant = await callAcquire(sql, "guarded");
  await guarding.begin();
  await guarding.guard("guarded", grant.fence);
  await releaseInSql(sql, "guarded", grant);
  await using call = await startCall(database, "guarded", ", wait => '1 s'");
  await untilQueued(database, "guarded", 1);
  await sql`
    insert into leasehold.waiters (key, ticket, token, session_id, owner, enqueued_at, alive_until)
    select 'guarded', w.ticket + 1, gen_random_uuid(), 4242, 'waiter', clock_timestamp(), clock_timestamp() + interval '1 hour'
      from leasehold.waiters w where w.key = 'guarded'`;
  const error = await call.ended;
  const heard = await ears.count();
  await guarding.commit();
  await sql`delete from leasehold.waiters`;

  expect(error).toMatchObject({
    code: "LH009",
    detail: `A transaction keeps it. It is open in the server process ${guarding.pid}. Others who wait for it: 1.`,
  });
  expect(heard).toBe(1);
});

test("a look that was held up until after the end of its wait grants nothing", async () => {
  const look = async (seconds: number) => {
    const [row] = await sql`
      select is_done, is_late, fence from leasehold_internal.look('late', '10 s', '30 s', null, null, null, false, null, null, null, null, null,
        extract(epoch from clock_timestamp() - ${seconds} * interval '1 second')::float8 * 1000, null, null)`;
    return row;
  };
  expect(await look(60)).toEqual({ is_done: true, is_late: true, fence: null });
  expect(await sql`select from leasehold.leases where key = 'late' and token is not null`).toHaveLength(0);
  // the last look, at the end of the wait, is granted what is free
  expect(await look(10)).toMatchObject({ is_done: true, is_late: false, fence: expect.any(String) });
  await sql`delete from leasehold.leases where key = 'late'`;
});

const ways: readonly (readonly [string, RegExp, (pid: number) => Promise<unknown>])[] = [
  ["cancelled", /^57014$/, (pid) => sql`select pg_cancel_backend(${pid})`],
  ["terminated", /^(57P01|CONNECTION_CLOSED|ECONNRESET)$/, (pid) => sql`select pg_terminate_backend(${pid})`],
];

test.each(ways)("one that is %s keeps its place for 3 s at most, and gets nothing", async (name, code, end) => {
  await using locker = openLocker(database);
  const lock = await locker.acquire(name);
  const token = crypto.randomUUID();
  await using call = await startCall(database, name, `, token => '${token}', wait => null`);
  await untilQueued(database, name, 1);
  const next = locker.acquire(name);
  await untilQueued(database, name, 2);
  await end(call.session.pid);
  const ended = await call.ended;
  const [place] = await queueOf(database, name);
  const now = await serverNow();
  await lock.release();
  const granted = await next; // by its own look, once the place has lapsed
  const row = await leaseRow(sql, name);
  await granted.release();

  expect(ended).toMatchObject({ code: expect.stringMatching(code) });
  expect(place?.token).toBe(token);
  expect(place?.aliveMs).toBeLessThanOrEqual(now + 3_000);
  expect(row.fence).toBe(granted.fence);
  expect(row.acquiredAt).toBeGreaterThanOrEqual(place?.aliveMs ?? 0);
});

test("statement_timeout bounds the whole wait, however short its looks and its sleeps are", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("bounded");
  await using session = await openSession(database);
  await session.run("set statement_timeout = '1500 ms'");
  const error = await callAcquire(session.sql, "bounded", ", wait => null").catch((refusal) => refusal);
  await lock.release();
  await sql`delete from leasehold.waiters`;
  expect(error).toMatchObject({ code: "57014", message: "canceling statement due to statement timeout" });
});

test("a client that vanishes is noticed where the server looks for it", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("vanished");
  const url = new URL(database.url);
  url.searchParams.set("client_connection_check_interval", "100ms");
  const call = await startCall(url.href, "vanished", ", wait => null");
  await untilQueued(database, "vanished", 1);
  await call.session.sql.end({ timeout: 0 });
  await until("its server process has ended", async () => {
    return (await sql`select from pg_stat_activity where pid = ${call.session.pid}`).length === 0;
  });
  await call.ended;
  await lock.release();
  await (await locker.acquire("vanished")).release();
});
