// A Pool of node-postgres as the locker's client: how statements are prepared, and what becomes of its connections.
import type pg from "pg";
import { describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { openPool } from "./given-clients.js";

const database = await createDatabase();

const loseAnswer = (proxy: PostgresProxy, then: "cut" | "blackhole") =>
  proxy.dropAnswerOf(/_internal\.inspect\(/, { then });

async function rejection(failed: Promise<unknown>): Promise<unknown> {
  return await failed.then(
    () => expect.fail("it did not fail"),
    (error: unknown) => error,
  );
}

async function prepared(pool: pg.Pool): Promise<readonly string[]> {
  const { rows } = await pool.query("select name from pg_prepared_statements order by name");
  return rows.map(({ name }) => name);
}

describe("statements", () => {
  test("are prepared where nothing stands in between, under names of their own", async () => {
    const { client } = openPool(database.url, { max: 1 });
    await using locker = openLocker(database, { client });

    for (const key of ["a", "b", "a"]) await locker.withLock(key, () => {});

    const names = await prepared(client);
    expect(names.length).toBeGreaterThanOrEqual(2); // acquire and release
    for (const name of names) expect(name).toMatch(/^leasehold_[0-9a-f]{32}$/);
    const { features, commands } = await locker.capabilities();
    expect(commands).toBe("given");
    expect(features["named-statements"].isOn).toBe(true);
  });

  test.each([
    ["without presence, for a pooler may stand in between", { presence: "off" as const }, ""],
    ["where the session has another address", { directUrl: database.url }, ""],
    ["where the pool's address says so", { directUrl: undefined }, "?pgbouncer=true"],
  ])("are not prepared %s", async (_, options, query) => {
    const { client } = openPool(`${database.url}${query}`, { max: 1 });
    await using locker = openLocker(database, { client, ...options });

    for (const key of ["a", "b"]) await locker.withLock(key, () => {});

    expect(await prepared(client)).toEqual([]);
    expect((await locker.capabilities()).features["named-statements"].isOn).toBe(false);
  });

  test("go on without, when the application discards them, or has one of the same name", async () => {
    const { client } = openPool(database.url, { max: 1 });
    await using locker = openLocker(database, { client });
    await locker.withLock("a", () => {});
    const names = await prepared(client);

    await client.query("discard all");
    await locker.withLock("a", () => {});

    const { client: taken } = openPool(database.url, { max: 1 });
    for (const name of names) await taken.query(`prepare "${name}" as select 'another'`);
    await using other = openLocker(database, { client: taken });
    for (const key of ["a", "b"]) await other.withLock(key, () => {});
    expect(await prepared(taken)).toEqual(names); // it was left alone
  });

  test("leave no setting behind", async () => {
    const { client } = openPool(database.url, { max: 1 });
    const settings = async () =>
      (await client.query("select name, setting from pg_settings where source = 'session' order by name")).rows;
    const before = await settings();
    await using locker = openLocker(database, { client });

    await locker.withLock("a", async () => void (await locker.check("a")));

    expect(await settings()).toEqual(before);
  });

  test("pass a transaction pooler, whose server connections many clients share", async ({ skip }) => {
    await using pgbouncer = await startPgBouncer(database.url, { poolSize: 2 });
    if (!pgbouncer) return skip("PgBouncer is not installed");
    const { client } = openPool(pgbouncer.url(database.url), { max: 4 });
    await using locker = openLocker(database, { client, directUrl: database.url });

    const fences = await Promise.all(
      Array.from({ length: 20 }, (_, index) => locker.withLock(`pooled:${index}`, ({ fence }) => fence)),
    );

    expect(fences).toHaveLength(20);
  });
});

describe("the pool's connections", () => {
  test("one that does not answer is given up in time, and the pool has another", async () => {
    await using proxy = await startProxy(database.url);
    const { client, one } = openPool(proxy.url(database.url), { max: 1, query_timeout: 20_000 });
    await using locker = openLocker(database, { client, directUrl: database.url, requestTimeoutMs: 3_000 });
    await locker.ready();
    const { dropped } = loseAnswer(proxy, "blackhole");

    const failure = await rejection(locker.check("a"));

    await dropped;
    expect(failure).toBeInstanceOf(UnavailableError);
    expect(failure).toMatchObject({ outcome: "unknown" });
    proxy.heal();
    expect(await one()).toEqual({ one: 1 });
    expect(client.totalCount).toBe(1);
    expect(await locker.check("a")).toBeNull();
  });

  test("one that is lost in a statement makes the outcome unknown, and the pool goes on", async () => {
    await using proxy = await startProxy(database.url);
    const { client, one } = openPool(proxy.url(database.url), { max: 1 });
    await using locker = openLocker(database, { client, directUrl: database.url });
    await locker.ready();
    const { dropped } = loseAnswer(proxy, "cut");

    const failure = await rejection(locker.check("a"));

    await dropped;
    expect(failure).toMatchObject({ code: "unavailable", outcome: "unknown" });
    expect(await one()).toEqual({ one: 1 });
    expect(await locker.check("a")).toBeNull();
  });

  test("one whose statement the server refused is used again", async () => {
    const { client } = openPool(database.url, { max: 1 });
    await using locker = openLocker(database, { client });
    await locker.ready();
    const pid = async () => (await client.query("select pg_backend_pid() as pid")).rows[0].pid;
    const before = await pid();

    await rejection(locker.checkFence("resource", 2n ** 62n)); // no lock can have that
    await client.query("alter function leasehold_internal.inspect(text) rename to elsewhere");
    const failure = await rejection(locker.check("a"));
    await client.query("alter function leasehold_internal.elsewhere(text) rename to inspect");

    expect(failure).toMatchObject({ code: "not-migrated" });
    expect(await pid()).toBe(before);
    expect(client.totalCount).toBe(1);
  });

  test("that cannot be made: nothing was sent, and the reason is told", async () => {
    const { client } = openPool("postgres://nobody@127.0.0.1:1/nowhere");
    await using locker = openLocker(database, { client, directUrl: database.url, requestTimeoutMs: 3_000 });

    const failure = await rejection(locker.check("a"));

    expect(failure).toMatchObject({ code: "unavailable", outcome: "not-sent", cause: { code: "ECONNREFUSED" } });
  });
});
