// How counters get into the database: when, once each, and at nobody's cost.
import { describe, expect, test } from "vitest";
import { resolveLockerOptions } from "../../src/config/resolve-options.js";
import type { Locker, LockerOptions } from "../../src/index.js";
import { Flushing } from "../../src/locker/flushing.js";
import { Counters } from "../../src/observe/counters/counters.js";
import { PostgresBackend } from "../../src/postgres/postgres-backend.js";
import { Activity } from "../../src/runtime/activity.js";
import { systemClock } from "../../src/runtime/clock.js";
import { settled } from "../faults/settled.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const loseAnswer = (proxy: PostgresProxy, then: "cut" | "blackhole" = "cut") =>
  proxy.dropAnswerOf(flushStatement, { then });
const flushStatement = /flush_counters/;
const never = Number.POSITIVE_INFINITY;
/** Long enough for the test alone to say when. */
const later = 600_000;

const flushes = (proxy: PostgresProxy) => proxy.statements.filter(({ sql }) => flushStatement.test(sql)).length;

interface Sums {
  readonly acquired: number;
  readonly refused: number;
  readonly contended: number;
  readonly released: number;
  readonly rows: number;
}

/** A database of its own, for what is asked is the sum over all lockers. */
async function openCluster() {
  const database = await createDatabase();
  const { sql } = database;
  const sums = async (): Promise<Sums> => {
    const [row] = await sql<Sums[]>`
      select acquired::int, refused::int, contended::int, released::int, (select count(*)::int from leasehold.counters) as rows from leasehold.stats`;
    return row as Sums;
  };
  const open = (options: LockerOptions = {}, url = database.url): Locker =>
    openLocker(url, { statsFlushMs: later, ...options });
  return { database, sql, sums, open };
}

const cycle = (locker: Locker, key = "a:1") => locker.withLock(key, () => locker.tryAcquire(key));

test("close() flushes what was counted, to the last release", async () => {
  const { open, sums, sql } = await openCluster();
  await using locker = open();
  await cycle(locker);
  await locker.acquire("still held");
  expect(await sums()).toMatchObject({ acquired: 0, rows: 0 });

  await locker.close();

  expect(await sums()).toEqual({ acquired: 2, refused: 1, contended: 1, released: 2, rows: 1 });
  expect(await sql`select prefix, acquired::int from leasehold.stats_by_prefix order by prefix`).toEqual([
    { prefix: "", acquired: 1 },
    { prefix: "a", acquired: 1 },
  ]);
  expect(await sql`select key, contended::int, contended_at_most::int from leasehold.hot_keys`).toEqual([
    { key: "a:1", contended: 1, contended_at_most: 1 },
  ]);
});

test("some time after something was counted it is flushed, and while nothing is counted nothing is sent", async () => {
  const { database, open, sums } = await openCluster();
  await using proxy = await startProxy(database.url);
  await using locker = open({ statsFlushMs: 100 }, proxy.url(database.url));
  await cycle(locker);
  await until("it is flushed", async () => (await sums()).released === 1);
  const sent = flushes(proxy);

  await new Promise((resolve) => setTimeout(resolve, 600)); // six intervals

  expect(flushes(proxy)).toBe(sent);
  await cycle(locker);
  await until("it is flushed again", async () => (await sums()).released === 2);
  expect(await sums()).toMatchObject({ acquired: 2, refused: 2, rows: 1 });
});

test("a locker that becomes idle flushes before it gives its connections back", async () => {
  const { open, sums, sql } = await openCluster();
  await using locker = open({ idleTimeoutMs: 100 });
  await cycle(locker);
  await until("its connections are given back", async () => {
    const found =
      await sql`select from pg_stat_activity where datname = current_database() and application_name like 'leasehold%'`;
    return found.length === 0;
  });
  expect(await sums()).toMatchObject({ acquired: 1, released: 1 });
});

test("with statsFlushMs Infinity nothing is ever flushed, and stats() counts all the same", async () => {
  const { database, open, sums } = await openCluster();
  await using proxy = await startProxy(database.url);
  await using locker = open({ statsFlushMs: never, idleTimeoutMs: 100 }, proxy.url(database.url));
  await cycle(locker);
  await until("it is idle", () => proxy.connections.length === 0);
  await cycle(locker);
  await locker.close();
  expect(flushes(proxy)).toBe(0);
  expect(await sums()).toMatchObject({ acquired: 0, rows: 0 });
  expect(locker.stats()).toMatchObject({ acquired: 2, refused: 2 });
});

test("resetStats() takes nothing from what is flushed", async () => {
  const { open, sums } = await openCluster();
  await using locker = open();
  await cycle(locker);
  locker.resetStats();
  await cycle(locker);
  locker.stats();
  locker.resetStats();
  await locker.close();
  expect(locker.stats()).toMatchObject({ acquired: 0, refused: 0 });
  expect(await sums()).toEqual({ acquired: 2, refused: 2, contended: 2, released: 2, rows: 1 });
});

test.each(["on", "off"] as const)(
  "a flush whose answer is lost is made again, and counts once (presence: %s)",
  async (presence) => {
    const { database, open, sums } = await openCluster();
    await using proxy = await startProxy(database.url);
    const errors: unknown[] = [];
    await using locker = open(
      { presence, statsFlushMs: 100, requestTimeoutMs: 3_000, onError: (error) => errors.push(error) },
      proxy.url(database.url),
    );
    await locker.ready();
    for (const then of ["cut", "blackhole", "cut"] as const) {
      const { dropped } = loseAnswer(proxy, then);
      await cycle(locker);
      await dropped;
      const sent = flushes(proxy);
      await until("it is made again", () => flushes(proxy) > sent);
    }
    await cycle(locker);
    await locker.close();

    expect(locker.stats()).toMatchObject({ acquired: 4, refused: 4, contended: 4, released: 4 });
    expect(await sums()).toEqual({ acquired: 4, refused: 4, contended: 4, released: 4, rows: 1 });
    // An outage is not told twice; the session tells of its own.
    expect(errors.filter((error) => !`${(error as Error).message}`.includes("session"))).toEqual([]);
  },
);

test("while Postgres is away nothing is lost, and nobody is disturbed", async () => {
  const { database, open, sums } = await openCluster();
  await using proxy = await startProxy(database.url);
  await using locker = open({ presence: "off", statsFlushMs: 100, requestTimeoutMs: 3_000 }, proxy.url(database.url));
  await cycle(locker);
  await until("it is flushed", async () => (await sums()).released === 1);
  await proxy.refuse(true);
  proxy.cutAll();
  await expect(locker.acquire("away", { waitMs: 1 })).rejects.toMatchObject({ code: "unavailable" });
  await proxy.refuse(false);
  await cycle(locker);
  await until("all of it is flushed", async () => (await sums()).released === 2);
  const [row] = await database.sql`select failed::int, acquired::int from leasehold.stats`;
  expect(row).toEqual({ failed: 1, acquired: 2 });
});

test.each(["a connection that is silent", "a statement that hangs"])(
  "%s keeps close() for no longer than other calls",
  async (fault) => {
    const { database, open } = await openCluster();
    await using proxy = await startProxy(database.url);
    const requestTimeoutMs = 3_000;
    await using locker = open({ requestTimeoutMs }, proxy.url(database.url));
    await cycle(locker);
    if (fault === "a statement that hangs") proxy.holdStatement(flushStatement);
    else proxy.blackhole();
    expect(await settled(locker.close(), requestTimeoutMs)).toEqual({ value: undefined });
    proxy.heal();
    await database.sql`delete from leasehold.sessions`;
  },
);

test("a locker that never reached Postgres does not try to flush at its end", async () => {
  const { database, open } = await openCluster();
  await using proxy = await startProxy(database.url);
  await proxy.refuse(true);
  await using locker = open({ requestTimeoutMs: 100, onError: () => {} }, proxy.url(database.url));
  await expect(locker.acquire("a", { waitMs: 1 })).rejects.toMatchObject({ code: "unavailable" });
  await proxy.refuse(false);
  await locker.close();
  expect(flushes(proxy)).toBe(0);
  expect(locker.stats()).toMatchObject({ failed: 1 });
});

test("a role that may not flush yet locks all the same, and onError hears once what to run", async () => {
  const { database, sql, sums } = await openCluster();
  const role = await createRole(database, { grantUsage: true });
  await sql.unsafe(`revoke execute on function leasehold_internal.flush_counters from ${role.name}`);
  const errors: unknown[] = [];
  await using locker = openLocker(role.url, { statsFlushMs: 100, onError: (error) => errors.push(error) });
  await cycle(locker);
  await until("it is told", () => errors.length > 0);
  await cycle(locker);
  await new Promise((resolve) => setTimeout(resolve, 500)); // several more attempts
  expect(errors).toMatchObject([{ code: "not-permitted", statement: `select leasehold.grant_usage('${role.name}');` }]);

  await sql`select leasehold.grant_usage(${role.name})`;
  await until("all is flushed", async () => (await sums()).released === 2);
});

test("over a transaction pooler, without presence", async ({ skip }) => {
  const { database, open, sums } = await openCluster();
  await using pgbouncer = await startPgBouncer(database.url, { poolSize: 2 });
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using locker = open({ presence: "off", statsFlushMs: 100 }, pgbouncer.url(database.url));
  await cycle(locker);
  await until("it is flushed", async () => (await sums()).released === 1);
  await cycle(locker);
  await locker.close();
  expect(await sums()).toEqual({ acquired: 2, refused: 2, contended: 2, released: 2, rows: 1 });
});

test("through a client that the locker was given", async () => {
  const { database, sums } = await openCluster();
  await using locker = openLocker(database, { client: database.sql, presence: "off" });
  await cycle(locker);
  await locker.close();
  expect(await sums()).toEqual({ acquired: 1, refused: 1, contended: 1, released: 1, rows: 1 });
});

describe("rows", () => {
  /** The parts alone, on a real backend: a row lasts as long as the test wants. */
  async function openParts(rowMs: number) {
    const { database, sql } = await openCluster();
    const proxy = await startProxy(database.url);
    const events = {
      onWake() {},
      onReconnected() {},
      onLost() {},
      onError() {},
      onWait() {},
      onNotice() {},
      onFailure() {},
    };
    const options = { url: proxy.url(database.url), presence: "off", requestTimeoutMs: 3_000 };
    const backend = new PostgresBackend(resolveLockerOptions(options), events);
    await backend.open(5_000);
    const activity = new Activity(systemClock, Number.POSITIVE_INFINITY, () => {});
    const counters = new Counters({ clock: systemClock, prefixOf: () => "", onCount: () => flushing.schedule() });
    const flushing = new Flushing({ counters, backend, activity, everyMs: later, rowMs, onError: () => {} });
    const count = (times: number) => {
      for (let time = 0; time < times; time += 1) counters.renewed();
    };
    const rows = async () => {
      const found = await sql`select renewed::int from leasehold.counters order by started_at`;
      return found.map(({ renewed }) => renewed);
    };
    /** What the sweeper does after six hours. */
    const addUp = async () => {
      await sql`update leasehold.counters set flushed_at = flushed_at - interval '6 hours 1 second'`;
      await sql`select leasehold_internal._purge_counters(10)`;
    };
    return {
      proxy,
      flushing,
      count,
      rows,
      addUp,
      async [Symbol.asyncDispose]() {
        flushing.pause();
        await backend.close(1_000);
        await proxy.close();
      },
    };
  }

  const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  test("a new one is begun after an hour, and all together are what was counted", async () => {
    await using parts = await openParts(50);
    const { flushing, count, rows } = parts;
    count(3);
    await flushing.flush();
    await pass(60);
    count(2);
    await flushing.flush();
    await pass(60);
    await flushing.flush(); // nothing to be flushed
    count(4);
    await flushing.flush();
    expect(await rows()).toEqual([3, 2, 4]);
  });

  test("what was added up while its process was idle is not written again", async () => {
    await using parts = await openParts(50);
    const { flushing, count, rows, addUp } = parts;
    count(3);
    await flushing.flush();
    await addUp();
    await pass(60);
    count(2);
    await flushing.flush();
    expect((await rows()).sort()).toEqual([2, 3]);
    await addUp();
    expect(await rows()).toEqual([5]);
  });

  test("one whose flush had no answer is written on, also after its hour", async () => {
    await using parts = await openParts(800);
    const { proxy, flushing, count, rows } = parts;
    count(3);
    const { dropped } = loseAnswer(proxy);
    await flushing.flush();
    await dropped;
    expect(await rows()).toEqual([3]);
    await pass(900);
    count(2);
    await flushing.flush();
    expect(await rows()).toEqual([5]);
  });

  test("a flush that hung, and arrives after a later one, changes nothing", async () => {
    await using parts = await openParts(later);
    const { proxy, flushing, count, rows } = parts;
    count(3);
    const hung = proxy.holdStatement(flushStatement);
    await flushing.flush();
    await hung.arrived;
    count(2);
    await flushing.flush();
    expect(await rows()).toEqual([5]);

    await hung.forward();

    expect(await rows()).toEqual([5]);
  });

  test("one of which that is not known for hours is given up: rather too little than twice", async () => {
    await using parts = await openParts(50);
    const { proxy, flushing, count, rows, addUp } = parts;
    count(3);
    const { dropped } = loseAnswer(proxy);
    await flushing.flush();
    await dropped;
    await addUp();
    await pass(200); // four times as long as a row lasts
    count(2);
    await flushing.flush();
    expect((await rows()).sort()).toEqual([2, 3]);
  });
});

test("a key that the database's encoding cannot backend keeps nothing else from being flushed", async () => {
  await using database = await createEmptyDatabase({ encoding: "LATIN1" });
  await using locker = openLocker(database);
  await locker.migrate();
  await expect(locker.acquire("日本:1")).rejects.toMatchObject({ code: "unsupported" });
  await locker.withLock("é:1", () => undefined);
  await locker.close();
  expect(await database.sql`select acquired::int from leasehold.stats`).toEqual([{ acquired: 1 }]);
  expect(await database.sql`select prefix from leasehold.stats_by_prefix`).toEqual([{ prefix: "é" }]);
});
