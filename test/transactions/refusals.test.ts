// What cannot be guarded is refused by an error that says why, and shows the line of SQL to run instead.
import { drizzle as drizzleMysql } from "drizzle-orm/mysql-proxy";
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { Kysely, MysqlDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import { InvalidOptionError, type Lock, NotPermittedError, UnsupportedError } from "../../src/index.js";
import { createDatabase, createEmptyDatabase, createRole } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();

async function refusal(refused: Promise<unknown>): Promise<InvalidOptionError> {
  const error: unknown = await refused.then(
    () => expect.fail("it was not refused"),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(InvalidOptionError);
  return error as InvalidOptionError;
}

const never = () => Promise.reject(new Error("the body has run"));
const transaction = (lock: Lock, db: unknown) => lock.transaction(db as pg.Pool, never);

describe("an unknown database", () => {
  class Connection {
    async query(): Promise<void> {}
    async execute(): Promise<void> {}
    async beginTransaction(): Promise<void> {}
  }
  const unreachable = new Kysely({ dialect: new MysqlDialect({ pool: never }) });
  const prisma = { $transaction: never, $executeRawUnsafe: never, $queryRawUnsafe: never, _activeProvider: "mysql" };
  const cases: readonly (readonly [what: string, db: unknown, shown: string])[] = [
    ["null", null, "got null."],
    ["a string", "postgres://localhost/app", "(string)."],
    ["a number", 5, "got 5 (number)."],
    ["an empty object", {}, "got an object."],
    ["an object without a prototype", Object.create(null), "got an object."],
    ["a connection of another kind", new Connection(), 'got an object of class "Connection".'],
    [
      "Drizzle for MySQL",
      drizzleMysql(never),
      "got a Drizzle database for another kind of server (MySqlRemoteDatabase).",
    ],
    ["Kysely for MySQL", unreachable, "got a Kysely database for another kind of server (MysqlAdapter)."],
    ["Prisma for MySQL", prisma, "got a Prisma client for mysql."],
  ];

  test.each(cases)("%s", async (_, db, shown) => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("it's");

    for (const refused of [() => transaction(lock, db), () => lock.guard(db as pg.Client)]) {
      const { message } = await refusal(refused());
      expect(message).toContain(shown);
      expect(message).toContain(`run this in the transaction, first: select leasehold.guard('it''s', ${lock.fence});`);
    }
  });

  test("shows no more of a string than its beginning, and nothing of an object", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("secret");

    const { message } = await refusal(transaction(lock, { password: "hunter2" }));

    expect(message).not.toContain("hunter2");
  });
});

test("the line that is shown works", async () => {
  await using locker = openLocker(database, { prefix: "o'clock\\" });
  await using lock = await locker.acquire("now");
  const { message } = await refusal(transaction(lock, null));
  const line = /select leasehold\.guard\(.*\);/.exec(message)?.[0] ?? "";

  const guarded = await database.sql.begin(async (tx) => {
    await tx.unsafe(line);
    return await tx`select leasehold.is_guarded(${lock.key}) as guarded`;
  });

  expect(guarded).toEqual([{ guarded: true }]);
});

describe("guard outside a transaction", () => {
  test.each(libraries)("$name", async (library) => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lock = await locker.acquire("k");

    const error = await refusal(lock.guard(opened.db as pg.Client));

    expect(error.message).toContain("no transaction is open there");
    expect(error.message).toContain(`select leasehold.guard('k', ${lock.fence});`);
    expect(await opened.plain((run) => run("select leasehold.is_guarded('k') as guarded"))).toEqual([
      { guarded: false },
    ]);
  });

  test("a pool is refused before anything is sent", async () => {
    await using locker = openLocker(database);
    await using proxy = await startProxy(database.url);
    await using lock = await locker.acquire("k");
    const pool = new pg.Pool({ connectionString: proxy.url(database.url) });
    const sql = postgres(proxy.url(database.url));

    await refusal(lock.guard(pool as never));
    await refusal(lock.guard(sql as never));

    expect(proxy.statements).toEqual([]);
    await Promise.all([pool.end(), sql.end()]);
  });

  test("a reserved connection of postgres.js counts as one when a transaction is open on it", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    const reserved = await sql.reserve();

    const unguarded = lock.guard(reserved as never, { acceptReconnect: true });
    expect((await refusal(unguarded)).message).toContain("no transaction is open there");
    await reserved`begin`;
    await expect(lock.guard(reserved as never)).rejects.toThrow(UnsupportedError);
    await lock.guard(reserved as never, { acceptReconnect: true });
    expect(await reserved`select leasehold.is_guarded('k') as guarded`).toEqual([{ guarded: true }]);
    await reserved`commit`;
    await expect(transaction(lock, reserved)).rejects.toThrow(UnsupportedError);

    reserved.release();
    await sql.end();
  });
});

describe("a transaction in place of a database", () => {
  test("is refused where the library cannot open another in it", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");

    for (const library of libraries.filter(({ name }) => !/Drizzle|Prisma|postgres.js/.test(name))) {
      await using opened = library.open(database.url);
      await opened.plain(async (run, tx) => {
        const { message } = await refusal(transaction(lock, tx));
        expect(message, library.name).toContain("Guard it with: await lock.guard(tx).");
        // it is as it was
        expect(await run("select pg_current_xact_id() is not null as open"), library.name).toEqual([{ open: true }]);
      });
    }
  });

  test("is guarded in a transaction of its own where the library can open one", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    const pool = new pg.Pool({ connectionString: database.url });
    const db = drizzleNodePostgres(pool);

    await db.transaction(async (outer) => {
      const undone = lock.transaction(outer, async (tx) => {
        expect((await tx.execute("select leasehold.is_guarded('k') as guarded")).rows).toEqual([{ guarded: true }]);
        throw new Error("undo");
      });
      await expect(undone).rejects.toThrow("undo");
      expect((await outer.execute("select leasehold.is_guarded('k') as guarded")).rows).toEqual([{ guarded: false }]);
    });

    await pool.end();
  });

  test.each([
    ["node-postgres", (client: pg.Client) => client],
    ["Drizzle", (client: pg.Client) => drizzleNodePostgres(client)],
  ] as const)("is refused while it is one of ours, on one client: %s", async (_, over) => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    const client = new pg.Client(database.url);
    await client.connect();
    await client.query("set client_min_messages = error"); // not even a notice tells
    const db = over(client);
    const guarded = "select leasehold.is_guarded('k') as guarded";

    const first = lock.transaction(db as pg.Client, async () => {
      expect((await refusal(transaction(lock, db))).message).toContain("this is a transaction already");
      return (await client.query(guarded)).rows;
    });
    await refusal(transaction(lock, db));

    expect(await first).toEqual([{ guarded: true }]);
    expect((await client.query(guarded)).rows).toEqual([{ guarded: false }]);
    await lock.transaction(db as pg.Client, () => undefined);
    await client.end();
  });

  test("a client of an older node-postgres, which cannot say that it is in one, keeps its transaction", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    const client = new pg.Client(database.url);
    await client.connect();
    Object.assign(client, { getTransactionStatus: undefined });
    await client.query("begin");
    await client.query("create temporary table mine ()");

    expect((await refusal(transaction(lock, client))).message).toContain("this is a transaction already");

    expect((await client.query("select to_regclass('mine') is not null as there")).rows).toEqual([{ there: true }]);
    await client.query("rollback");
    expect((await client.query("select to_regclass('mine') is not null as there")).rows).toEqual([{ there: false }]);
    await client.end();
  });
});

describe("another database", () => {
  test.each(libraries)("that has leasehold, too, with the same key and fence: $name", async (library) => {
    await using here = await createDatabase();
    await using there = await createDatabase();
    // from sequences, which begin alike
    for (const { sql } of [here, there]) await sql`update leasehold.fence_epoch set source = 'manual'`;
    await using locker = openLocker(here);
    await using other = openLocker(there);
    await using lock = await locker.acquire("k");
    await using theirs = await other.acquire("k");
    expect(theirs.fence).toBe(lock.fence);
    await using opened = library.open(there.url);

    for (const refused of [
      () => opened.guarded(lock, never),
      () => opened.plain((_, tx) => lock.guard(tx, { acceptReconnect: library.acceptReconnect })),
    ]) {
      const { message } = await refusal(refused());
      expect(message).toContain("another database than the one that the lock is in");
      expect(message).toContain("locker.checkFence()");
    }
    expect(lock.held).toBe(true);
  });

  test.each(libraries)("that has no leasehold: $name", async (library) => {
    await using there = await createEmptyDatabase();
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    await using opened = library.open(there.url);

    const { message } = await refusal(opened.guarded(lock, never));

    expect(message).toContain("has no schema leasehold");
  });

  test("that was the lock's when it moved under the process is found out, and the next guard passes", async () => {
    await using here = await createDatabase();
    await using locker = openLocker(here);
    await using lock = await locker.acquire("k");
    // What pg_upgrade does to the identity of a cluster; by it the place is known where the service hides that of the cluster.
    await here.sql`update leasehold.fence_epoch set system_identifier = null`;
    await using opened = libraries[0]?.open(here.url);

    await refusal(lock.transaction(opened?.db as postgres.Sql, never));

    await expect
      .poll(() => lock.transaction(opened?.db as postgres.Sql, () => "passed").catch(() => "refused"))
      .toBe("passed");
  });
});

test("a role that may not guard is told so", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("k");
  const role = await createRole(database);

  for (const library of libraries) {
    await using opened = library.open(role.url);
    await expect(opened.guarded(lock, never), library.name).rejects.toThrow(NotPermittedError);
  }
});

test("a body that is none, and a database that is missing", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("k");
  const sql = postgres(database.url);

  expect((await refusal(lock.transaction(sql, null as never))).message).toBe("body: expected a function, got null");
  const withoutBody = lock.transaction as (db: unknown) => Promise<unknown>;
  for (const alone of [sql, never]) {
    expect((await refusal(withoutBody.call(lock, alone))).message).toContain(
      "body: expected a function after the database",
    );
  }
  expect((await refusal(lock.transaction(new pg.Pool(), never, { isolationLevel: "x" } as never))).message).toContain(
    'isolationLevel: expected "read uncommitted" or',
  );

  await sql.end();
});
