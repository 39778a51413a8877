// The compiler's side: `tx` has exactly the type that the library itself gives it. Checked by `npm run typecheck`.
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import { Kysely, PostgresDialect, type Transaction } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { describe, expectTypeOf, test } from "vitest";
import type { advisoryLock, Lock } from "../../src/index.js";
import type { PrismaClient } from "./prisma-stand-in.js";

const accounts = pgTable("accounts", { id: integer().primaryKey(), fence: bigint({ mode: "bigint" }).notNull() });
const schema = { accounts };

/** Compiled, never run: there is no database behind these. */
function compiled(_body: (lock: Lock) => unknown): void {}

/** What the library's own method gives to its body. */
type Own<Method> = Method extends (body: (tx: infer Tx) => Promise<never>) => unknown ? Tx : never;

describe("tx has the library's own type", () => {
  test("Drizzle over postgres.js, with a schema", () => {
    const db = drizzlePostgresJs.mock({ schema });
    compiled((lock) =>
      lock.transaction(db, async (tx) => {
        expectTypeOf(tx).toEqualTypeOf<Parameters<Parameters<typeof db.transaction>[0]>[0]>();
        expectTypeOf(await tx.query.accounts.findMany()).toEqualTypeOf<{ id: number; fence: bigint }[]>();
        await tx.transaction((nested) => lock.guard(nested));
      }),
    );
  });

  test("Drizzle over node-postgres, with a schema", () => {
    const db = drizzleNodePostgres.mock({ schema });
    compiled((lock) =>
      lock.transaction(db, async (tx) => {
        expectTypeOf(tx).toEqualTypeOf<Parameters<Parameters<typeof db.transaction>[0]>[0]>();
        expectTypeOf(await tx.query.accounts.findMany()).toEqualTypeOf<{ id: number; fence: bigint }[]>();
        await lock.guard(tx);
      }),
    );
  });

  test("postgres.js, with types of the user's", () => {
    compiled((lock) => {
      const sql = postgres({ types: { bigint: postgres.BigInt } });
      return lock.transaction(sql, async (tx) => {
        expectTypeOf(tx).toEqualTypeOf<postgres.TransactionSql<{ bigint: bigint }>>();
        await lock.guard(tx);
      });
    });
  });

  test("node-postgres: pool, client, client of a pool", () => {
    compiled((lock) => lock.transaction(new pg.Pool(), (tx) => expectTypeOf(tx).toEqualTypeOf<pg.PoolClient>()));
    compiled((lock) => lock.transaction(new pg.Client(), (tx) => expectTypeOf(tx).toEqualTypeOf<pg.Client>()));
    compiled(async (lock) => {
      const client = await new pg.Pool().connect();
      await lock.transaction(client, (tx) => expectTypeOf(tx).toEqualTypeOf<pg.PoolClient>());
      await lock.guard(client);
    });
  });

  test("Kysely", () => {
    interface Tables {
      accounts: { id: number; fence: bigint };
    }
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: async () => Promise.reject(new Error()) }) });
    compiled((lock) =>
      lock.transaction(db, async (tx) => {
        expectTypeOf(tx).toEqualTypeOf<Transaction<Tables>>();
        expectTypeOf(tx).toEqualTypeOf<Own<ReturnType<typeof db.transaction>["execute"]>>();
        await lock.guard(tx);
      }),
    );
  });
});

test("Prisma: tx has the type that the generated client gives, and the options are its own", () => {
  const prisma = null as unknown as PrismaClient;
  compiled((lock) =>
    lock.transaction(
      prisma,
      async (tx) => {
        expectTypeOf(tx).toEqualTypeOf<Omit<PrismaClient, "$connect" | "$disconnect">>();
        await lock.guard(tx);
      },
      { isolationLevel: "Serializable", timeout: 1_000 },
    ),
  );
  // @ts-expect-error: no such level
  compiled((lock) => lock.transaction(prisma, async () => {}, { isolationLevel: "unsafe" }));
});

test("advisoryLock takes the transactions that a guard takes", () => {
  expectTypeOf<Parameters<typeof advisoryLock>[0]>().toEqualTypeOf<Parameters<Lock["guard"]>[0]>();
});

describe("the result is what the body returned", () => {
  const db = drizzleNodePostgres.mock({ schema });

  test("awaited, whatever the library", () => {
    compiled((lock) => expectTypeOf(lock.transaction(db, async () => "a")).toEqualTypeOf<Promise<string>>());
    compiled((lock) => expectTypeOf(lock.transaction(db, () => 1)).toEqualTypeOf<Promise<number>>());
    compiled((lock) => expectTypeOf(lock.transaction(new pg.Pool(), () => {})).toEqualTypeOf<Promise<void>>());
    compiled((lock) =>
      expectTypeOf(lock.transaction(db, (tx) => tx.select().from(accounts))).toEqualTypeOf<
        Promise<{ id: number; fence: bigint }[]>
      >(),
    );
  });

  test("with the queries in it awaited", () => {
    compiled((lock) => {
      const both = lock.transaction(postgres(), (tx) => [tx<{ a: 1 }[]>`select 1 as a`, tx<{ b: 2 }[]>`select 2 as b`]);
      expectTypeOf(both).resolves.items.toExtend<postgres.RowList<{ a: 1 }[]> | postgres.RowList<{ b: 2 }[]>>();
    });
  });
});

describe("the options are the library's own", () => {
  test("Drizzle", () => {
    const db = drizzlePostgresJs.mock();
    const isolationLevel = "serializable";
    compiled((lock) => lock.transaction(db, () => {}, { isolationLevel, accessMode: "read write" }));
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(db, () => {}, { isolationLevel: "snapshot" }));
  });

  test("postgres.js", () => {
    compiled((lock) => lock.transaction(postgres(), () => {}, "isolation level serializable"));
    // @ts-expect-error: postgres.js takes a text
    compiled((lock) => lock.transaction(postgres(), () => {}, { isolationLevel: "serializable" }));
  });

  test("Kysely", () => {
    const db = null as unknown as Kysely<Record<string, never>>;
    compiled((lock) => lock.transaction(db, () => {}, { isolationLevel: "serializable", accessMode: "read write" }));
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(db, () => {}, { isolationLevel: "unsafe" }));
  });

  test("node-postgres has none, so they are ours", () => {
    compiled((lock) => lock.transaction(new pg.Pool(), () => {}, { isolationLevel: "serializable", deferrable: true }));
    // @ts-expect-error: no such level
    compiled((lock) => lock.transaction(new pg.Client(), () => {}, { isolationLevel: "unsafe" }));
  });
});

describe("what cannot be guarded does not compile", () => {
  test("in place of a database", () => {
    // @ts-expect-error
    compiled((lock) => lock.transaction("postgres://localhost/app", () => {}));
    // @ts-expect-error
    compiled((lock) => lock.transaction(null, () => {}));
    // @ts-expect-error: the shape of a mysql client
    compiled((lock) => lock.transaction({ query: async () => [], beginTransaction: async () => {} }, () => {}));
    // @ts-expect-error: a transaction of postgres.js opens none
    compiled((lock) => postgres().begin((tx) => lock.transaction(tx, () => {})));
  });

  test("in place of a transaction", () => {
    // @ts-expect-error
    compiled((lock) => lock.guard(null));
    // @ts-expect-error: a client of postgres.js is a pool
    compiled((lock) => lock.guard(postgres()));
    // @ts-expect-error: so is this
    compiled((lock) => lock.guard(new pg.Pool()));
  });
});
