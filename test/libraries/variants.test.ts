// What one of these libraries has and the others have not.
import { AsyncLocalStorage } from "node:async_hooks";
import knex from "knex";
import { Kysely, sql as kyselySql } from "kysely";
import { PostgresJSDialect } from "kysely-postgres-js";
import pg from "pg";
import postgres from "postgres";
import { Sequelize } from "sequelize";
import { EntitySchema } from "typeorm";
import { beforeEach, describe, expect, test } from "vitest";
import { advisoryLock, InvalidOptionError, type Lock, UnsupportedError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { Account, libraries, openDataSource, openKnex, openMikroOrm, openSequelize } from "./libraries.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table accounts (id int primary key, balance int not null)`;

beforeEach(async () => {
  await sql`truncate accounts`;
  await sql`insert into accounts values (1, 100)`;
});

const balances = async () => (await sql`select balance from accounts order by id`).map(({ balance }) => balance);
const isGuarded = (key: string) => `select leasehold.is_guarded('${key}') as guarded`;
const guarded = [{ guarded: true }];

function disposable<Value extends object>(value: Value, dispose: () => Promise<unknown>): Value & AsyncDisposable {
  return Object.assign(value, { [Symbol.asyncDispose]: async () => void (await dispose()) });
}

async function refusal(refused: Promise<unknown>): Promise<Error> {
  return await refused.then(
    () => expect.fail("it was not refused"),
    (error) => error,
  );
}

describe.each(libraries)("$name", (library) => {
  test("a key of any characters, of which the library takes none for a parameter", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    const key = `it's ? :name $1 @p \\? "x" \\`;
    await using lock = await locker.acquire(key);

    const shown = `select leasehold.is_guarded(convert_from('\\x${Buffer.from(key).toString("hex")}', 'utf8')) as guarded`;
    expect(await opened.guarded(lock, (run) => run(shown))).toEqual(guarded);
    await opened.plain(async (run, tx) => {
      await lock.guard(tx);
      expect(await run(shown)).toEqual(guarded);
    });
  });

  test("the guard goes in one message, with a proof that a transaction is open", async () => {
    await using locker = openLocker(database);
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    await using lock = await locker.acquire("one");
    await opened.plain((run) => run("select 1")); // connected
    proxy.statements.length = 0;

    await opened.guarded(lock, (run) => run("select 2"));

    const texts = proxy.statements.map(({ sql }) => sql);
    expect(texts.filter((text) => /leasehold/.test(text))).toEqual([
      expect.stringMatching(/^savepoint leasehold_guard; release .*; select leasehold_internal\.guard\(/),
    ]);
  });

  test("guard of a database, or of a transaction that has ended, is refused", async () => {
    await using locker = openLocker(database);
    await using opened = library.open(database.url);
    await using lock = await locker.acquire("ended");

    for (const ended of [opened.db, await opened.plain(async (_, tx) => [tx] as never)].flat()) {
      const { message } = await refusal(lock.guard(ended as never));
      expect(message).toMatch(/no transaction is open there/);
    }
  });
});

describe("TypeORM", () => {
  const AccountEntity = new EntitySchema<{ id: number; balance: number }>({
    name: "Account",
    tableName: "accounts",
    columns: { id: { type: Number, primary: true }, balance: { type: Number } },
  });

  test("repositories of the manager that the body gets write in the transaction; after it they are refused", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("entities");
    const source = openDataSource(database.url).setOptions({ entities: [AccountEntity] });
    await using db = disposable(await source.initialize(), () => source.destroy());

    const late = await lock.transaction(db, async (manager) => {
      const accounts = manager.getRepository(AccountEntity);
      await accounts.save({ id: 1, balance: 90 });
      expect(await balances()).toEqual([100]);
      return accounts;
    });

    expect(await balances()).toEqual([90]);
    await expect(late.save({ id: 1, balance: 0 })).rejects.toThrow();
    expect(await balances()).toEqual([90]);
  });

  test("the manager of an open transaction: a nested one, which is undone by itself", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("nested");
    const source = openDataSource(database.url);
    await using db = disposable(await source.initialize(), () => source.destroy());

    await db.transaction(async (outer) => {
      const undone = lock.transaction(outer, async (inner) => {
        expect(await inner.query(isGuarded("nested"))).toEqual(guarded);
        throw new Error("undo");
      });
      await expect(undone).rejects.toThrow("undo");
      expect(await outer.query(isGuarded("nested"))).toEqual([{ guarded: false }]);
    });
  });

  test("a DataSource for another kind of server", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("other");
    const db = { ...openDataSource(database.url), options: { type: "mysql" }, createQueryRunner: () => null };
    const manager = { dataSource: db, transaction: () => null, preload: () => null };

    const { message } = await refusal(lock.transaction({ ...db, manager } as never, () => {}));

    expect(message).toContain("a DataSource of TypeORM for mysql");
  });
});

describe("Knex", () => {
  test("postProcessResponse and wrapIdentifier are the user's, and see none of our answers", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("processed");
    const seen: unknown[] = [];
    const own = knex({
      client: "pg",
      connection: database.url,
      pool: { min: 0 },
      postProcessResponse: (result) => {
        seen.push(result);
        return result;
      },
    });
    await using db = disposable(own, () => own.destroy());

    await lock.transaction(db, (trx) => trx("accounts").where("id", 1).update({ balance: 80 }));

    expect(seen).toEqual([1]);
    expect(await balances()).toEqual([80]);
  });

  test("what is sent after the end is refused; a nested one is undone by itself", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("nested");
    const own = openKnex(database.url);
    await using db = disposable(own, () => own.destroy());

    const late = await lock.transaction(db, async (trx) => {
      const undone = lock.transaction(trx, async (nested) => {
        await nested("accounts").update({ balance: 0 });
        throw new Error("undo");
      });
      await expect(undone).rejects.toThrow("undo");
      return [trx];
    });

    await expect(late[0]?.("accounts").update({ balance: 0 })).rejects.toThrow("Transaction query already complete");
    expect(await balances()).toEqual([100]);
  });

  test("for another kind of server", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("other");
    const other = Object.assign(() => null, {
      client: { dialect: "mysql" },
      transactionProvider: () => null,
      raw: () => null,
    });

    const { message } = await refusal(lock.transaction(other as never, () => {}));

    expect(message).toContain("a Knex database for mysql");
  });
});

describe("MikroORM", () => {
  function open() {
    const orm = openMikroOrm(database.url);
    return disposable(orm, () => orm.close(true));
  }

  test("what the body changes is flushed in the transaction: nothing of it is kept when the body throws", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("flushed");
    await using orm = open();

    await lock.transaction(orm, async (em) => {
      (await em.findOneOrFail(Account, 1)).balance = 70;
      expect(await balances()).toEqual([100]);
    });
    const failed = lock.transaction(orm.em.fork(), async (em) => {
      (await em.findOneOrFail(Account, 1)).balance = 0;
      await em.flush();
      throw new Error("mine");
    });

    await expect(failed).rejects.toThrow("mine");
    expect(await balances()).toEqual([70]);
  });

  test("the flush waits for a guard that passes: after a takeover nothing is flushed", async () => {
    await using locker = openLocker(database);
    await using other = openLocker(database);
    await using orm = open();
    const lock = await locker.acquire("stale", { keepAlive: false });
    await other.forceRelease("stale", { immediate: true });
    const em = orm.em.fork();
    (await em.findOneOrFail(Account, 1)).balance = 0;

    await expect(lock.transaction(em, () => {})).rejects.toMatchObject({ code: "stale-fence" });

    expect(await balances()).toEqual([100]);
  });

  test("within a transaction that is open, the global manager opens a nested one", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("around");
    await using orm = open();

    await orm.em.fork().transactional(async (outer) => {
      await lock.transaction(orm, (em) => em.execute("update accounts set balance = 60"));
      expect(await balances()).toEqual([100]);
      expect(await outer.execute(isGuarded("around"))).toEqual(guarded);
    });

    expect(await balances()).toEqual([60]);
  });

  test("options that are used twice do not bring the second use into the first one's transaction", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("options");
    await using orm = open();
    const options = { readOnly: false };

    await orm.em.fork().transactional(() => lock.transaction(orm, () => {}, options));
    await lock.transaction(orm, (em) => em.execute("update accounts set balance = 50"), options);

    expect(options).toEqual({ readOnly: false });
    expect(await balances()).toEqual([50]);
  });

  test("a propagation without a transaction is refused, and the body does not run", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("propagation");
    await using orm = open();
    const never = () => Promise.reject(new Error("the body has run"));

    for (const propagation of ["not_supported", "supports", "never"]) {
      const error = await refusal(lock.transaction(orm, never, { propagation: propagation as never }));
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error.message).toContain("no transaction is open there");
    }
  });
});

describe("Sequelize", () => {
  const update = "update accounts set balance = 40";

  test("without { transaction } a query is not in it; with CLS it is", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("cls");
    const own = openSequelize(database.url);
    await using db = disposable(own, () => own.close());
    const first = async () => (await db.query(isGuarded("cls")))[0];

    const without = await lock.transaction(db, first);
    Sequelize.useCLS(new Namespace() as never);
    const withCls = await lock.transaction(db, first).finally(() => {
      (Sequelize as unknown as { _cls: unknown })._cls = undefined;
    });

    expect(without).toEqual([{ guarded: false }]);
    expect(withCls).toEqual(guarded);
  });

  test("{ transaction } in the options: nested in that one, and undone by itself", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("nested");
    const own = openSequelize(database.url);
    await using db = disposable(own, () => own.close());

    await db.transaction(async (outer) => {
      const nested = async (transaction: typeof outer) => {
        await db.query(update, { transaction });
        throw new Error("undo");
      };
      await expect(lock.transaction(db, nested, { transaction: outer })).rejects.toThrow("undo");
      const { message } = await refusal(lock.transaction(outer as never, () => {}));
      expect(message).toContain("await lock.guard(tx)");
    });

    expect(await balances()).toEqual([100]);
  });

  test("a transaction by hand is guarded, too", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("by hand");
    const own = openSequelize(database.url);
    await using db = disposable(own, () => own.close());

    const transaction = await db.transaction();
    await lock.guard(transaction);
    await db.query(update, { transaction });
    await transaction.commit();

    expect(await balances()).toEqual([40]);
    await expect(db.query("update accounts set balance = 0", { transaction })).rejects.toThrow(
      "commit has been called",
    );
    expect(await balances()).toEqual([40]);
  });

  test("for another kind of server", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("other");
    const never = () => null;
    const other = { transaction: never, authenticate: never, query: never, getDialect: () => "mysql" };

    const { message } = await refusal(lock.transaction(other as never, () => {}));

    expect(message).toContain("a Sequelize database for mysql");
  });
});

/** What Sequelize asks of cls-hooked. */
class Namespace {
  readonly #storage = new AsyncLocalStorage<Map<string, unknown>>();
  get = (name: string) => this.#storage.getStore()?.get(name);
  set = (name: string, value: unknown) => this.#storage.getStore()?.set(name, value);
  run = (body: (context: unknown) => void) => this.#storage.run(new Map(), () => body(this.#storage.getStore()));
  bind = <Body>(body: Body): Body => body;
}

describe("Kysely over postgres.js, whose connection it hides", () => {
  function open() {
    const client = postgres(database.url, { max: 2, onnotice: () => {} });
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresJSDialect({ postgres: client }) });
    return disposable(db, () => client.end({ timeout: 1 }));
  }
  const never = () => Promise.reject(new Error("the body has run"));

  test("lock.transaction and lock.guard are refused, by errors that show what to do", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    await using db = open();

    const opened = await refusal(lock.transaction(db, never));
    expect(opened).toBeInstanceOf(UnsupportedError);
    expect(opened.message).toContain("await lock.transaction(sql, async (tx) => { ... })");
    await db.transaction().execute(async (trx) => {
      await expect(lock.guard(trx)).rejects.toThrow(UnsupportedError);
    });
  });

  test("advisoryLock is refused as well, unless the risk is taken", async () => {
    await using db = open();
    let refused: unknown;

    const granted = await db.transaction().execute(async (trx) => {
      refused = await advisoryLock(trx, "k").catch((error: unknown) => error);
      await advisoryLock(trx, "k", { acceptReconnect: true, waitMs: 1_000 });
      const locks = "select mode from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()";
      return (await kyselySql.raw(locks).execute(trx)).rows;
    });
    const outside = await refusal(advisoryLock(db, "k", { acceptReconnect: true }));

    expect(refused).toBeInstanceOf(UnsupportedError);
    expect(granted).toEqual([{ mode: "ExclusiveLock" }]);
    expect(outside.message).toContain("no transaction is open there");
  });

  test("the risk can be taken", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    await using db = open();

    const rows = await db.transaction().execute(async (trx) => {
      await lock.guard(trx, { acceptReconnect: true });
      return (await kyselySql.raw(isGuarded("k")).execute(trx)).rows;
    });

    expect(rows).toEqual(guarded);
  });

  test("a dialect of another name is found out as well, with a log or without", async () => {
    await using locker = openLocker(database);
    await using lock = await locker.acquire("k");
    const client = postgres(database.url, { max: 2, onnotice: () => {} });
    await using _ = disposable({}, () => client.end({ timeout: 1 }));
    const dialect = new PostgresJSDialect({ postgres: client });
    const driver = dialect.createDriver();
    await driver.init();
    const { constructor: Inner } = await driver.acquireConnection().then(async (connection) => {
      await driver.releaseConnection(connection);
      return connection;
    });
    Object.defineProperty(Inner, "name", { value: "t" }); // as a bundler leaves it

    for (const log of [[], ["query" as const]]) {
      const db = new Kysely<Record<string, never>>({ dialect, log: log.length > 0 ? () => {} : [] });
      expect(await refusal(lock.transaction(db, never)), String(log)).toBeInstanceOf(UnsupportedError);
    }
  });
});

test("a lock in place of a database is none of theirs", async () => {
  await using locker = openLocker(database);
  await using lock = await locker.acquire("k");
  await using pool = disposable(new pg.Pool(), () => Promise.resolve());

  expect((await refusal(lock.transaction(lock as unknown as pg.Pool, (tx: unknown) => tx as Lock))).message).toContain(
    'an object of class "HeldLock"',
  );
  expect((await refusal(lock.guard(pool as never))).message).toContain("no transaction is open there");
});
