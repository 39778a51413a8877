// Other shapes of the same libraries: replicas, plugins, connections by hand, drivers that take one statement at a time.
import { drizzle } from "drizzle-orm/node-postgres";
import { withReplicas } from "drizzle-orm/pg-core";
import { CamelCasePlugin, type DatabaseConnection, type Driver, Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { InvalidOptionError, StaleFenceError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { startProxy } from "../support/proxy.js";
import { libraries } from "./libraries.js";

const database = await createDatabase();

const isGuarded = (key: string) => `select leasehold.is_guarded('${key}') as guarded`;

function openPool(url = database.url): pg.Pool & AsyncDisposable {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

test("Drizzle with replicas: the transaction is the primary's", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("replicas");
  await using primary = openPool();
  const nowhere = new pg.Pool({ connectionString: "postgres://nobody@127.0.0.1:1/nowhere" });
  const db = withReplicas(drizzle(primary), [drizzle(nowhere)]);

  const { rows } = await lock.transaction(db, (tx) => tx.execute(isGuarded("replicas")));

  expect(rows).toEqual([{ guarded: true }]);
  await expect(lock.guard(db)).rejects.toThrow("no transaction is open there");
});

describe("Kysely", () => {
  const open = (pool: pg.Pool) => new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) });

  test("with plugins and a schema", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("plugins");
    await using pool = openPool();
    const db = open(pool).withPlugin(new CamelCasePlugin()).withSchema("public");

    await lock.transaction(db, async (tx) => {
      await lock.guard(tx.withSchema("other"));
      const { rows } = await sql<{ isGuarded: boolean }>`select leasehold.is_guarded('plugins') as is_guarded`.execute(
        tx,
      );
      expect(rows).toEqual([{ isGuarded: true }]);
    });
  });

  test("a transaction begun by hand on one connection counts as one", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("by hand");
    await using pool = openPool();

    await open(pool)
      .connection()
      .execute(async (connection) => {
        await expect(lock.guard(connection)).rejects.toThrow("no transaction is open there");
        await sql`begin`.execute(connection);
        await lock.guard(connection);
        expect((await sql.raw(isGuarded("by hand")).execute(connection)).rows).toEqual([{ guarded: true }]);
        await sql`rollback`.execute(connection);
      });
  });

  test("a controlled transaction, in which it was rolled back to a savepoint, is not guarded any more", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("controlled");
    await using pool = openPool();
    const tx = await open(pool).startTransaction().execute();

    const saved = await tx.savepoint("saved").execute();
    await lock.guard(saved);
    expect((await sql.raw(isGuarded("controlled")).execute(saved)).rows).toEqual([{ guarded: true }]);
    await saved.rollbackToSavepoint("saved").execute();
    expect((await sql.raw(isGuarded("controlled")).execute(tx)).rows).toEqual([{ guarded: false }]);

    await tx.rollback().execute();
  });
});

describe("a driver that is not known to take several statements at once", () => {
  /** The same connections under a name that nobody knows. */
  class OtherConnection implements DatabaseConnection {
    readonly inner: DatabaseConnection;
    constructor(inner: DatabaseConnection) {
      this.inner = inner;
    }
    executeQuery: DatabaseConnection["executeQuery"] = (query) => this.inner.executeQuery(query);
    streamQuery: DatabaseConnection["streamQuery"] = (query, size) => this.inner.streamQuery(query, size);
  }
  class OtherDialect extends PostgresDialect {
    override createDriver(): Driver {
      const driver = super.createDriver();
      const others = new WeakMap<DatabaseConnection, DatabaseConnection>();
      const inner = (connection: DatabaseConnection) => (connection as OtherConnection).inner;
      return {
        init: () => driver.init(),
        acquireConnection: async () => {
          const connection = await driver.acquireConnection();
          if (!others.has(connection)) others.set(connection, new OtherConnection(connection));
          return others.get(connection) as DatabaseConnection;
        },
        beginTransaction: (connection, settings) => driver.beginTransaction(inner(connection), settings),
        commitTransaction: (connection) => driver.commitTransaction(inner(connection)),
        rollbackTransaction: (connection) => driver.rollbackTransaction(inner(connection)),
        releaseConnection: (connection) => driver.releaseConnection(inner(connection)),
        destroy: () => driver.destroy(),
      };
    }
  }
  const open = (pool: pg.Pool) => new Kysely<Record<string, never>>({ dialect: new OtherDialect({ pool }) });

  test("is sent two, and guarded", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("two");
    await using proxy = await startProxy(database.url);
    await using pool = openPool(proxy.url(database.url));

    const { rows } = await lock.transaction(open(pool), (tx) => sql.raw(isGuarded("two")).execute(tx));

    expect(rows).toEqual([{ guarded: true }]);
    expect(proxy.statements.map(({ sql }) => /begin|leasehold_internal\.\w+|is_guarded|commit/.exec(sql)?.[0])).toEqual(
      ["begin", "leasehold_internal.guard", "leasehold_internal.require_guard", "is_guarded", "commit"],
    );
  });

  test("is told that there is no transaction, or that the grant has ended", async () => {
    await using locker = openLocker(database);
    await using other = openLocker(database);
    const lock = await locker.acquire("three", { keepAlive: false });
    await using pool = openPool();
    const db = open(pool);

    await expect(lock.guard(db)).rejects.toThrow("no transaction is open there");
    await expect(lock.guard(db)).rejects.toThrow(InvalidOptionError);
    await other.forceRelease("three", { immediate: true });
    await expect(lock.transaction(db, () => {})).rejects.toThrow(StaleFenceError);
  });
});

test.for(libraries)("through a transaction pooler: $name", async (library, { skip }) => {
  await using pgbouncer = await startPgBouncer(database.url);
  if (!pgbouncer) return skip("PgBouncer is not installed");
  await using locker = openLocker(database);
  await using lock = await locker.acquire("pooled");
  await using opened = library.open(pgbouncer.url(database.url));

  expect(await opened.guarded(lock, (run) => run(isGuarded("pooled")))).toEqual([{ guarded: true }]);
  await expect(lock.guard(opened.db as pg.Client)).rejects.toThrow("no transaction is open there");
});
