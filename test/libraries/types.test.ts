// The compiler's side, against the real types of these libraries. Checked by `npm run check:libraries`, which compiles this.
import type { EntityManager as MikroEm, MikroORM, SqlEntityManager, TransactionOptions } from "@mikro-orm/postgresql";
import type { Knex } from "knex";
import type { Sequelize, TransactionOptions as SequelizeOptions, Transaction } from "sequelize";
import type { DataSource, EntityManager, QueryRunner } from "typeorm";
import { describe, expectTypeOf, test } from "vitest";
import type { Lock, TransactionOptionsOf } from "../../src/index.js";

/** Compiled, never run: there is no database behind these. */
function compiled(_body: (lock: Lock) => unknown): void {}

/** There is none of these. */
const given = <Value>(): Value => null as Value;

describe("tx has the library's own type, and the result is the body's", () => {
  test("TypeORM: a DataSource, an EntityManager, a QueryRunner", () => {
    compiled(async (lock) => {
      const value = await lock.transaction(given<DataSource>(), async (manager) => {
        expectTypeOf(manager).toEqualTypeOf<EntityManager>();
        await lock.guard(manager);
        return 1;
      });
      expectTypeOf(value).toEqualTypeOf<number>();
      await lock.transaction(given<EntityManager>(), (manager) => expectTypeOf(manager).toEqualTypeOf<EntityManager>());
      await lock.transaction(given<QueryRunner>(), (manager) => expectTypeOf(manager).toEqualTypeOf<EntityManager>());
      await lock.guard(given<QueryRunner>());
    });
  });

  test("Knex: a database, a transaction (then a nested one)", () => {
    compiled(async (lock) => {
      const value = await lock.transaction(given<Knex>(), async (trx) => {
        expectTypeOf(trx).toEqualTypeOf<Knex.Transaction>();
        await lock.guard(trx);
        return await trx("accounts").count();
      });
      expectTypeOf(value).not.toBeUnknown();
      await lock.transaction(given<Knex.Transaction>(), (trx) => expectTypeOf(trx).toEqualTypeOf<Knex.Transaction>());
    });
  });

  test("MikroORM: the ORM, an EntityManager", () => {
    compiled(async (lock) => {
      const value = await lock.transaction(given<MikroORM>(), async (em) => {
        expectTypeOf(em).toEqualTypeOf<MikroORM["em"]>();
        await lock.guard(em);
        return await em.execute<{ id: number }[]>("select 1 as id");
      });
      expectTypeOf(value).toEqualTypeOf<{ id: number }[]>();
      await lock.transaction(given<MikroEm>(), (em) => expectTypeOf(em).toEqualTypeOf<MikroEm>());
      await lock.transaction(given<SqlEntityManager>(), (em) => expectTypeOf(em).toEqualTypeOf<SqlEntityManager>());
    });
  });

  test("Sequelize: its Transaction", () => {
    compiled(async (lock) => {
      const value = await lock.transaction(given<Sequelize>(), async (transaction) => {
        expectTypeOf(transaction).toEqualTypeOf<Transaction>();
        await lock.guard(transaction);
        return "done";
      });
      expectTypeOf(value).toEqualTypeOf<string>();
    });
  });
});

describe("the options are the library's own", () => {
  test("TypeORM, which takes the isolation level alone", () => {
    compiled((lock) => lock.transaction(given<DataSource>(), () => {}, { isolationLevel: "SERIALIZABLE" }));
    compiled((lock) => lock.transaction(given<QueryRunner>(), () => {}, { isolationLevel: "SERIALIZABLE" }));
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(given<DataSource>(), () => {}, { isolationLevel: "unsafe" }));
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(given<QueryRunner>(), () => {}, { isolationLevel: "unsafe" }));
  });

  test("Knex", () => {
    expectTypeOf<TransactionOptionsOf<Knex>>().toEqualTypeOf<Knex.TransactionConfig>();
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(given<Knex>(), () => {}, { isolationLevel: "unsafe" }));
  });

  test("MikroORM", () => {
    expectTypeOf<TransactionOptionsOf<MikroEm>>().toEqualTypeOf<TransactionOptions>();
    expectTypeOf<TransactionOptionsOf<MikroORM>>().toEqualTypeOf<TransactionOptions>();
    // @ts-expect-error: no such option
    compiled((lock) => lock.transaction(given<MikroORM>(), () => {}, { isolation: "serializable" }));
  });

  test("Sequelize", () => {
    expectTypeOf<TransactionOptionsOf<Sequelize>>().toEqualTypeOf<SequelizeOptions>();
    // @ts-expect-error: no such option
    compiled((lock) => lock.transaction(given<Sequelize>(), () => {}, { isolation: "SERIALIZABLE" }));
  });
});

describe("what cannot be guarded does not compile", () => {
  test("in place of a transaction", () => {
    // @ts-expect-error: a DataSource is a pool
    compiled((lock) => lock.guard(given<DataSource>()));
    // @ts-expect-error: so is this
    compiled((lock) => lock.guard(given<Knex>()));
    // @ts-expect-error: and this
    compiled((lock) => lock.guard(given<Sequelize>()));
    // @ts-expect-error: and this
    compiled((lock) => lock.guard(given<MikroORM>()));
  });
});
