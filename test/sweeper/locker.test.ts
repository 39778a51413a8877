// The sweeper in a locker: on request, and in the background while the locker is in use.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openSession } from "../fencing/session.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

afterEach(async () => {
  await sql`truncate leasehold.leases, leasehold.waiters, leasehold.sessions`;
  await sql`update leasehold.sweeper set after_key = null, swept_at = '-infinity'`;
});

async function putFree(count: number): Promise<void> {
  await sql`insert into leasehold.leases (key, fence, ttl_ms, released_at)
    select 'free ' || i, i, 0, clock_timestamp() - interval '11 minutes' from generate_series(1, ${count}::int) i
    on conflict do nothing`;
}

async function free(): Promise<number> {
  const [row] = await sql`select count(*)::int as n from leasehold.leases where key like 'free %'`;
  return row?.n;
}

const sweep = /leasehold_internal\.sweep\(/;

test("sweep() goes over all there is, batch by batch, and says what it did", async () => {
  await using locker = openLocker(database);
  await putFree(1_200);
  await sql`insert into leasehold.waiters (key, ticket, token, owner, enqueued_at, alive_until)
    select 'gone', i, gen_random_uuid(), 'gone', clock_timestamp(), clock_timestamp() - interval '1 hour' from generate_series(1, 700) i`;
  const result = await locker.sweep();
  expect(result).toEqual({
    woken: 0,
    leasesPurged: 1_200,
    waitersPurged: 700,
    sessionsPurged: 0,
    countersPurged: 0,
    isBusy: false,
  });
  expect(await free()).toBe(0);
});

test("a role that may lock may sweep so, for it can choose nothing; the public function is not for it", async () => {
  const app = await createRole(database, { grantUsage: true });
  await using locker = openLocker(app.url);
  await putFree(1);
  expect((await locker.sweep()).leasesPurged).toBe(1);
  await using session = await openSession(app.url);
  await expect(session.run("select leasehold.sweep()")).rejects.toMatchObject({ code: "42501" });
});

test("another sweeper at work: nothing is done, nobody waits", async () => {
  await using locker = openLocker(database);
  await putFree(1);
  await using other = await openSession(database);
  await other.begin();
  await other.run("select leasehold.sweep()");
  expect(await locker.sweep()).toMatchObject({ isBusy: true, leasesPurged: 0 });
  await other.rollback();
});

test("a locker in use sweeps by itself, again and again", async () => {
  await using locker = openLocker(database, { sweepEveryMs: 1_000 });
  await using lock = await locker.acquire("in use");
  for (let round = 0; round < 2; round += 1) {
    await putFree(5);
    await until("it is swept", async () => (await free()) === 0);
  }
  lock.assertHeld();
});

test("many lockers share the work: no pass begins sooner than half an interval after another", async () => {
  await sql.unsafe(`
    create table public.passes (swept_at timestamptz);
    create function public.note() returns trigger language plpgsql as $$
    begin insert into public.passes values (new.swept_at); return null; end $$;
    create trigger note after update on leasehold.sweeper for each row execute function public.note()`);
  const lockers = Array.from({ length: 5 }, () => openLocker(database, { sweepEveryMs: 1_000 }));
  await Promise.all(lockers.map((locker) => locker.ready()));
  await until("some passes", async () => (await sql`select from public.passes`).length >= 4);
  await Promise.all(lockers.map((locker) => locker.close()));

  const gaps =
    await sql`select extract(epoch from swept_at - lag(swept_at) over (order by swept_at))::float8 * 1000 as ms from public.passes`;
  expect(Math.min(...gaps.slice(1).map(({ ms }) => ms))).toBeGreaterThanOrEqual(500);
  await sql`drop trigger note on leasehold.sweeper`;
});

test("an idle locker is not kept awake by it, whatever it finds, and sweeps no more", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { sweepEveryMs: 1_000, idleTimeoutMs: 2_500 });
  await locker.withLock("a", () => undefined);
  const connections = async () =>
    (await sql`select from pg_stat_activity where datname = current_database() and application_name like 'leasehold%'`)
      .length;
  const sweeps = () => proxy.statements.filter((statement) => sweep.test(statement.sql)).length;
  await until("it has swept", () => sweeps() > 0);
  // there is always something to purge, and to count
  await until("its connections are given back", async () => {
    await putFree(1);
    return (await connections()) === 0;
  });

  const before = sweeps();
  await sleep(1_600); // longer than it waits at most
  expect(sweeps()).toBe(before);
  expect(await connections()).toBe(0);

  await locker.withLock("a", () => undefined);
  await until("it sweeps again", () => sweeps() > before);
});

test("with sweepEveryMs: Infinity it only sweeps when it is told to", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { sweepEveryMs: Number.POSITIVE_INFINITY });
  await using _ = await locker.acquire("a");
  await sleep(200);
  expect(proxy.statements.filter((statement) => sweep.test(statement.sql))).toHaveLength(0);
  await locker.sweep();
  expect(proxy.statements.filter((statement) => sweep.test(statement.sql))).toHaveLength(1);
});

test("its failures go to onError, and to nobody else", async () => {
  const empty = await createEmptyDatabase();
  const errors: unknown[] = [];
  await using locker = openLocker(empty, { sweepEveryMs: 1_000, onError: (error) => errors.push(error) });
  await locker.migrate();
  await using lock = await locker.acquire("a");
  await empty.sql`alter function leasehold_internal.sweep(integer) rename to hidden`;
  await until("it is told", () => errors.length > 0);
  expect(errors[0]).toMatchObject({ name: "NotMigratedError" });
  await lock.renew();
  lock.assertHeld();
  await expect(locker.sweep()).rejects.toMatchObject({ name: "NotMigratedError" });
});
