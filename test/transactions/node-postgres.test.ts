// node-postgres has no transactions of its own: what it takes to open one, and to leave the connection in order.
import pg from "pg";
import { describe, expect, test } from "vitest";
import { StaleFenceError, UnsupportedError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
await database.sql`create table written (what text not null)`;

async function openPool(max = 1): Promise<pg.Pool & AsyncDisposable> {
  const pool = new pg.Pool({ connectionString: database.url, max });
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

const pidOf = async (pool: pg.Pool) => (await pool.query("select pg_backend_pid() as pid")).rows[0].pid;

describe("the connection of a pool", () => {
  test("is used again after a refusal, and is in no transaction", async () => {
    await using locker = openLocker(database);
    await using pool = await openPool();
    await using other = openLocker(database);
    const pid = await pidOf(pool);
    const lock = await locker.acquire("a", { keepAlive: false });
    await other.forceRelease("a", { immediate: true });

    await expect(lock.transaction(pool, () => {})).rejects.toThrow(StaleFenceError);

    expect(await pidOf(pool)).toBe(pid);
    const { rows } = await pool.query("select now() = statement_timestamp() as outside");
    expect(rows).toEqual([{ outside: true }]);
  });

  test("does not go back when it broke, and the body's error is what is told", async () => {
    await using locker = openLocker(database);
    await using pool = await openPool();
    pool.on("error", () => {});
    await using lock = await locker.acquire("b");
    const pid = await pidOf(pool);
    const mine = new Error("mine");

    const failed = lock.transaction(pool, async (tx) => {
      await database.sql`select pg_terminate_backend(${pid})`;
      await tx.query("select 1").catch(() => undefined);
      throw mine;
    });

    expect(await failed.catch((error: unknown) => error)).toBe(mine);
    expect(await pidOf(pool)).not.toBe(pid);
  });

  test("is given back when the commit fails", async () => {
    await using locker = openLocker(database);
    await using pool = await openPool();
    await using lock = await locker.acquire("c");
    await pool.query("create table parent (id int primary key)");
    await pool.query("create table child (id int references parent deferrable initially deferred)");
    const pid = await pidOf(pool);

    await expect(lock.transaction(pool, (tx) => tx.query("insert into child values (1)"))).rejects.toMatchObject({
      code: "23503",
    });

    expect(await pidOf(pool)).toBe(pid);
  });
});

test("a commit that Postgres answers with a rollback is an error", async () => {
  await using locker = openLocker(database);
  await using pool = await openPool();
  await using lock = await locker.acquire("d");

  const failed = lock.transaction(pool, async (tx) => {
    await tx.query("insert into written values ('no')");
    await tx.query("select 1 / 0").catch(() => undefined);
  });

  await expect(failed).rejects.toThrow(UnsupportedError);
  expect(await database.sql`select from written`).toHaveLength(0);
});

test("every option of the transaction is handed on", async () => {
  await using locker = openLocker(database);
  await using pool = await openPool();
  await using lock = await locker.acquire("e");
  const settings = `select current_setting('transaction_isolation') as level, current_setting('transaction_deferrable') as deferrable`;

  const { rows } = await lock.transaction(pool, (tx) => tx.query(settings), {
    isolationLevel: "repeatable read",
    accessMode: "read write",
    deferrable: true,
  });

  expect(rows).toEqual([{ level: "repeatable read", deferrable: "on" }]);
});

test("a serialization failure is the driver's own error", async () => {
  await using locker = openLocker(database);
  await using pool = await openPool(2);
  await using lock = await locker.acquire("f");
  await pool.query("create table counter as select 1 as n");

  const failed = lock.transaction(
    pool,
    async (tx) => {
      await tx.query("select * from counter");
      await pool.query("update counter set n = n + 1");
      await tx.query("update counter set n = n + 1");
    },
    { isolationLevel: "serializable" },
  );

  await expect(failed).rejects.toMatchObject({ code: "40001" });
  await expect(failed).rejects.toBeInstanceOf(pg.DatabaseError);
});

test("two transactions at once on one client do not get into each other", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("g");
  const client = new pg.Client(database.url);
  await client.connect();

  const both = await Promise.allSettled([
    lock.transaction(client, (tx) => tx.query("insert into written values ('first')")),
    lock.transaction(client, (tx) => tx.query("insert into written values ('second')")),
  ]);

  expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  expect(await database.sql`select what from written`).toEqual([{ what: "first" }]);
  await client.end();
});
