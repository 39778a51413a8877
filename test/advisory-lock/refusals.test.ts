// What is refused, and what passes as the library's own error.
import pg from "pg";
import { describe, expect, test } from "vitest";
import {
  advisoryLock,
  InvalidKeyError,
  InvalidOptionError,
  UnsafeBackendError,
  UnsupportedError,
  WaitTimeoutError,
} from "../../src/index.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { lockedBy, waitersOf } from "./looking.js";

const database = await createEmptyDatabase();

async function begin(url = database.url, mode = ""): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`begin ${mode}`);
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

const refusal = (refused: Promise<unknown>): Promise<unknown> =>
  refused.then(
    () => expect.fail("it was not refused"),
    (error: unknown) => error,
  );

describe("before anything is sent", () => {
  test.each<readonly [string, unknown]>([
    ["an empty key", ""],
    ["no text", 7],
    ["several", ["a", "b"]],
    ["NUL", "a\0b"],
    ["a lone surrogate", "\ud800"],
    ["more than 512 bytes", "é".repeat(257)],
  ])("a key that is none: %s", async (_, key) => {
    expect(await refusal(advisoryLock({} as never, key as never))).toBeInstanceOf(InvalidKeyError);
  });

  test.each<readonly [string, unknown]>([
    ["shared", { shared: 1 }],
    ["waitMs", { waitMs: -1 }],
    ["waitMs", { waitMs: 1.5 }],
    ["waitMs", { waitMs: 2 ** 31 }],
    ["waitMs", { waitMs: null }],
    ["acceptReconnect", { acceptReconnect: "yes" }],
    ["waitMS", { waitMS: 1 }],
    ["advisoryLock's options", true],
  ])("a wrong option: %s in %j", async (option, options) => {
    const error = await refusal(advisoryLock({} as never, "a", options as never));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  });

  test.each([
    [{ shared: false }, "pg_advisory_xact_lock("],
    [{ shared: true }, "pg_advisory_xact_lock_shared("],
  ] as const)("what is of no known library, with the line to run instead: %j", async (options, line) => {
    const error = await refusal(advisoryLock({} as never, "a", options));
    expect(error).toMatchObject({ option: "tx", message: expect.stringContaining("got an object.") });
    const [statement = ""] = /select pg_catalog\.pg_advisory_\S+;$/.exec((error as Error).message) ?? [];
    expect(statement).toContain(line);

    await using client = await begin();
    await client.query(statement);
    const modes = await lockedBy(database.sql, "a");
    await client.query("rollback");

    expect(modes).toEqual([options.shared ? "ShareLock" : "ExclusiveLock"]);
  });

  test("a pool", async () => {
    await using proxy = await startProxy(database.url);
    const pool = new pg.Pool({ connectionString: proxy.url(database.url) });
    const error = await refusal(advisoryLock(pool as never, "a"));
    await pool.end();
    expect(error).toMatchObject({ option: "tx", message: expect.stringContaining("no transaction is open there") });
    expect(proxy.statements).toEqual([]);
  });
});

test("outside of a transaction the error says what Postgres said", async () => {
  await using client = await begin();
  await client.query("commit");
  const error = await refusal(advisoryLock(client, "a"));
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect((error as InvalidOptionError).cause).toMatchObject({ code: "25P01" });
});

test("a deadlock is ended by Postgres, and is the library's own error", async () => {
  await using one = await begin();
  await using two = await begin();
  await one.query("set local deadlock_timeout = '50ms'");
  await two.query("set local deadlock_timeout = '30s'");
  await advisoryLock(one, "x");
  await advisoryLock(two, "y");

  const second = advisoryLock(two, "x").finally(() => undefined);
  await until("the second waits", async () => (await waitersOf(database.sql, "x")).length === 1);
  const ended = await advisoryLock(one, "y").catch((error: unknown) => error);
  await one.query("rollback");
  await second;
  await two.query("rollback");

  expect(ended).toMatchObject({ code: "40P01" });
  expect(ended).toBeInstanceOf(pg.DatabaseError);
});

test("a statement_timeout is the library's own error, and so is a transaction that has failed already", async () => {
  await using one = await begin();
  await using two = await begin();
  await advisoryLock(one, "a");
  await two.query("set local statement_timeout = '50ms'");

  const late = await refusal(advisoryLock(two, "a", { waitMs: 60_000 }));
  const failed = await refusal(advisoryLock(two, "a"));

  expect(late).toMatchObject({ code: "57014" });
  expect(failed).toMatchObject({ code: "25P02" });
});

test("a driver that gives no rows", async () => {
  await using client = await begin();
  const mute = Object.create(client, { query: { value: async (text: string) => void (await client.query(text)) } });
  expect(await refusal(advisoryLock(mute, "a"))).toBeInstanceOf(UnsupportedError);
});

test("a standby", async () => {
  await using primary = await startCluster();
  await using standby = await primary.createStandby();
  await standby.caughtUp();
  await using client = await begin(standby.url);

  for (const waitMs of [undefined, 0, 1_000]) {
    const error = await refusal(advisoryLock(client, "a", { waitMs }));
    expect(error).toBeInstanceOf(UnsafeBackendError);
    expect(error).toMatchObject({ problem: expect.stringContaining("on a standby") });
  }
  const { rows } = await client.query("select count(*)::int as locks from pg_locks where locktype = 'advisory'");
  expect(rows).toEqual([{ locks: 0 }]);
});

test("it does not exclude acquire on the same key, nor does that exclude it", async () => {
  await using migrated = await createDatabase();
  await using locker = openLocker(migrated);
  await using client = await begin(migrated.url);

  const lock = await locker.acquire("a");
  await advisoryLock(client, "a", { waitMs: 0 });
  await lock.release();
  const again = await locker.tryAcquire("a");
  await client.query("rollback");

  expect(again).not.toBeNull();
  await again?.release();
});

test("the error of a try is one of those that mean: not acquired", async () => {
  await using one = await begin();
  await using two = await begin();
  await advisoryLock(one, "a");
  const error = await refusal(advisoryLock(two, "a", { waitMs: 0 }));
  expect(error).toBeInstanceOf(WaitTimeoutError);
  expect((error as WaitTimeoutError).toJSON()).toMatchObject({ code: "wait-timeout", key: "a", holder: null });
});
