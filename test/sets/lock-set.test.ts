// What a set of locks can do, and how the calls end that run a body under one.
import { tracingChannel } from "node:diagnostics_channel";
import { inspect } from "node:util";
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/postgres-js";
import pg from "pg";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import {
  createLocker,
  LeaseLostError,
  NotHeldError,
  ReentryError,
  StaleFenceError,
  UnsupportedError,
} from "../../src/index.js";
import { openClient } from "../support/client.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

beforeAll(async () => {
  await sql`create table written (what text)`;
});

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const heldKeys = async (like: string): Promise<string[]> => {
  const rows = await sql<{ key: string }[]>`
    select key from leasehold.leases where key like ${like} and token is not null order by key`;
  return rows.map(({ key }) => key);
};

test("it is held while each of its locks is, and tells the least of them", async () => {
  await using locker = openLocker(database, { ttlMs: 30_000 });
  const set = await locker.acquireAll(["h:a", "h:b"]);
  const before = { held: set.held, refusal: thrown(() => set.assertHeld()), all: locker.locks().length };
  const remainingMs = set.remainingMs;
  await set.renew(60_000);
  const renewedMs = set.remainingMs;
  await set.get("h:b")?.release();
  const after = { held: set.held, remainingMs: set.remainingMs, error: thrown(() => set.assertHeld()) };
  const json = JSON.parse(JSON.stringify(set));
  const shown = inspect(set);
  const first = await errorOf(set.release());
  const second = await errorOf(set.release());
  const keys = await heldKeys("h:%");
  expect(before).toEqual({ held: true, refusal: null, all: 2 });
  expect(remainingMs).toBeGreaterThan(20_000);
  expect(renewedMs).toBeGreaterThan(50_000);
  expect(after).toMatchObject({ held: false, remainingMs: 0, error: { name: "NotHeldError", key: "h:b" } });
  expect(json).toMatchObject([
    { key: "h:a", held: true },
    { key: "h:b", held: false },
  ]);
  expect(shown).toMatch(/^LockSet \[ \{ key: 'h:a'/);
  expect(shown).not.toContain("token");
  expect(first).toBeNull();
  expect(second).toBeInstanceOf(NotHeldError);
  expect(second).not.toBeInstanceOf(LeaseLostError);
  expect(keys).toEqual([]);
});

test("when one is lost the signal fires with its key, the others are held, and the release gives them back", async () => {
  await using locker = openLocker(database, { renewEveryMs: 100 });
  await using admin = openLocker(database);
  const set = await locker.acquireAll(["lost:a", "lost:b", "lost:c"]);
  const { signal } = set;
  await admin.forceRelease("lost:b", { immediate: true });
  await until("the loss is told", () => signal.aborted);
  const others = [set.get("lost:a")?.held, set.get("lost:b")?.held, set.get("lost:c")?.held];
  const refusal = thrown(() => set.assertHeld());
  const renewal = await errorOf(set.renew());
  const keys = await heldKeys("lost:%");
  const release = await errorOf(set.release());
  const left = await heldKeys("lost:%");
  expect(signal.reason).toBeInstanceOf(LeaseLostError);
  expect(signal.reason).toMatchObject({ key: "lost:b", reason: "forced" });
  expect(others).toEqual([true, false, true]);
  expect([refusal, renewal, release]).toEqual([signal.reason, signal.reason, signal.reason]);
  expect(keys).toEqual(["lost:a", "lost:c"]);
  expect(left).toEqual([]);
});

test("a signal that is first read after the loss has fired; an ordinary release fires none", async () => {
  await using locker = openLocker(database, { renewEveryMs: 100, onLost: () => undefined });
  await using admin = openLocker(database);
  const set = await locker.acquireAll(["late:a", "late:b"]);
  await admin.forceRelease("late:a", { immediate: true });
  await until("the loss is known", () => !set.held && set.get("late:a")?.signal.aborted);
  const { aborted, reason } = set.signal;
  await errorOf(set.release());
  const whole = await locker.acquireAll(["late:c", "late:d"]);
  const quiet = whole.signal;
  await whole.release();
  expect([aborted, reason.key, quiet.aborted]).toEqual([true, "late:a", false]);
});

test("a transaction guards every key, in the order of the keys, and none of them can be granted until it ends", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const db = drizzle(await openedClient());
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  const set = await locker.acquireAll(["t:b", "t:a"]);
  const seen: unknown[] = [];
  await set.transaction(db, async (tx) => {
    const rows = await tx.execute(
      drizzleSql`select leasehold.is_guarded('t:a') as a, leasehold.is_guarded('t:b') as b`,
    );
    seen.push({ ...rows[0] });
    await set.release();
    seen.push(await other.tryAcquire("t:a"), await other.tryAcquire("t:b"));
  });
  const again = await other.acquireAll(["t:a", "t:b"]);
  const client = await pool.connect();
  await client.query("begin");
  await again.guard(client);
  const guarded = await client.query("select leasehold.is_guarded('t:a') as a, leasehold.is_guarded('t:b') as b");
  await client.query("rollback");
  client.release();
  await pool.end();
  await again.release();
  expect(seen).toEqual([{ a: true, b: true }, null, null]);
  expect(guarded.rows).toEqual([{ a: true, b: true }]);
});

test("a transaction does not write when one of the keys was taken over, and the error names that key", async () => {
  await using locker = openLocker(database, { keepAlive: false });
  await using other = openLocker(database, { owner: "the other" });
  const client = await openedClient();
  const set = await locker.acquireAll(["stale:a", "stale:b", "stale:c"]);
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 s' where key = 'stale:b'`;
  const theirs = await other.acquire("stale:b");
  const error = await errorOf(set.transaction(client, (tx) => tx`insert into written values ('stale')`));
  const { count } = await sql`select from written where what = 'stale'`;
  await until("the loss is told", () => set.signal.aborted);
  const known = await errorOf(set.transaction(client, (tx) => tx`insert into written values ('stale')`));
  await Promise.allSettled([set.release(), theirs.release()]);
  expect(error).toBeInstanceOf(StaleFenceError);
  expect(error).toMatchObject({ key: "stale:b", fence: set.get("stale:b")?.fence, holder: { owner: "the other" } });
  expect(count).toBe(0);
  expect(set.signal.reason).toMatchObject({ key: "stale:b" });
  expect(known).toBe(set.signal.reason);
});

test("withLocks releases and resolves to what the body returned; the body's error goes before a loss", async () => {
  const lost: string[] = [];
  await using locker = openLocker(database, { renewEveryMs: 100, onLost: ({ key }) => lost.push(key) });
  await using admin = openLocker(database);
  const keys = ["w:a", "w:b"];
  const value = await locker.withLocks(keys, ({ locks }) => locks.length);
  const own = new Error("the body's");
  const thrownByBody = await errorOf(
    locker.withLocks(keys, () => {
      throw own;
    }),
  );
  const loseOne = async (key: string) => {
    await admin.forceRelease(key, { immediate: true });
    await until(`${key} is lost`, () => lost.includes(key));
  };
  const lossOnly = await errorOf(locker.withLocks(keys, () => loseOne("w:a")));
  const both = await errorOf(
    locker.withLocks(keys, async () => {
      await loseOne("w:b");
      throw own;
    }),
  );
  const tried = await errorOf(locker.tryWithLocks(["w:c"], () => loseOne("w:c")));
  const released = await locker.withLocks(keys, async (locks) => {
    await locks.release();
    return "released by the body";
  });
  const left = await heldKeys("w:%");
  expect([value, thrownByBody, both, released]).toEqual([2, own, own, "released by the body"]);
  expect(lossOnly).toMatchObject({ name: "LeaseLostError", key: "w:a", reason: "forced" });
  expect(tried).toMatchObject({ name: "LeaseLostError", key: "w:c" });
  expect(left).toEqual([]);
});

test("a block with `await using` ends with a release that never throws", async () => {
  await using locker = openLocker(database, { renewEveryMs: 100, onLost: () => undefined });
  await using admin = openLocker(database);
  {
    await using set = await locker.acquireAll(["u:a", "u:b"]);
    await admin.forceRelease("u:a", { immediate: true });
    await until("the loss is known", () => !set.held);
  }
  expect(await heldKeys("u:%")).toEqual([]);
});

test("withLocks and tryWithLocks are one operation of leasehold:with-lock, with all keys", async () => {
  await using holder = openLocker(database);
  await using locker = openLocker(database, { prefix: "p:" });
  const seen: unknown[] = [];
  const asyncEnd = (message: unknown) => {
    const { keys, instance, result } = message as Record<string, unknown>;
    seen.push({ keys, instance, result });
  };
  const channel = tracingChannel("leasehold:with-lock");
  const subscribers = { asyncEnd, start() {}, end() {}, asyncStart() {}, error() {} };
  channel.subscribe(subscribers);
  onTestFinished(() => channel.unsubscribe(subscribers));
  await locker.withLocks(["b", "a", "b"], () => 1);
  const held = await holder.acquire("p:b");
  await locker.tryWithLocks(["a", "b"], () => 1);
  await held.release();
  expect(seen).toEqual([
    { keys: ["p:b", "p:a"], instance: null, result: { isAcquired: true } },
    { keys: ["p:a", "p:b"], instance: null, result: { isAcquired: false } },
  ]);
});

test("a body that asks again for one of its keys is refused, with reentry: throw", async () => {
  await using locker = openLocker(database, { reentry: "throw" });
  const errors = await locker.withLocks(["re:a", "re:b"], async () => [
    await errorOf(locker.acquire("re:b")),
    await errorOf(locker.acquireAll(["re:c", "re:a"])),
  ]);
  const inner = await locker.withLock("re:a", () => errorOf(locker.acquireAll(["re:a", "re:c"])));
  expect(errors.map((error) => error instanceof ReentryError && error.key)).toEqual(["re:b", "re:a"]);
  expect(inner).toBeInstanceOf(ReentryError);
});

test("in memory a set cannot guard a transaction", async () => {
  const locker = createLocker({ store: "memory" });
  onTestFinished(() => locker.close());
  const set = await locker.acquireAll(["m:a", "m:b"]);
  const error = await errorOf(set.transaction(sql, () => undefined));
  await set.release();
  expect(error).toBeInstanceOf(UnsupportedError);
});

function thrown(call: () => void): unknown {
  try {
    call();
    return null;
  } catch (error) {
    return error;
  }
}

async function openedClient() {
  const client = await openClient(database.url);
  onTestFinished(() => client.end());
  return client;
}
