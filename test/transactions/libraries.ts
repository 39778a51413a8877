// Every library under one face: the same tests go over all of them.
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle as drizzleNodePostgres } from "drizzle-orm/node-postgres";
import { drizzle as drizzlePostgresJs } from "drizzle-orm/postgres-js";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { type Body, bySavepoint, type Library, type Row, type Run } from "./library.js";
import { makePrismaClient, type PrismaClient } from "./prisma-stand-in.js";

const options = {
  max: 2,
  fetch_types: false,
  onnotice: () => {},
  connection: { application_name: "test of transactions" },
};
const config = (url: string): pg.PoolConfig => ({
  connectionString: url,
  max: 2,
  application_name: "test of transactions",
});

const postgresJs: Library = {
  name: "postgres.js",
  acceptReconnect: true,
  open(url) {
    const sql = postgres(url, options);
    const runOn =
      (tx: postgres.TransactionSql): Run =>
      async (text) =>
        await tx.unsafe(text);
    return {
      db: sql,
      guarded: (lock, body, isolation) =>
        lock.transaction(sql, (tx) => body(runOn(tx), tx as never), isolation && `isolation level ${isolation}`),
      plain: async (body) => (await sql.begin((tx) => body(runOn(tx), tx as never))) as never,
      nested: async (tx: postgres.TransactionSql, body) => {
        await tx.savepoint((nested) => body(runOn(nested)));
      },
      [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
    };
  },
};

const overPostgresJs: Library = {
  name: "Drizzle over postgres.js",
  acceptReconnect: true,
  open(url) {
    const sql = postgres(url, options);
    const db = drizzlePostgresJs(sql);
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
    const runOn =
      (tx: Tx): Run =>
      (text) =>
        tx.execute(drizzleSql.raw(text));
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(db, (tx) => body(runOn(tx), tx as never), isolationLevel && { isolationLevel }) as never,
      plain: (body) => db.transaction((tx) => body(runOn(tx), tx as never)),
      nested: (tx: Tx, body) => tx.transaction((nested) => body(runOn(nested))),
      [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }),
    };
  },
};

const overNodePostgres: Library = {
  name: "Drizzle over node-postgres",
  open(url) {
    const pool = new pg.Pool(config(url));
    const db = drizzleNodePostgres(pool);
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0];
    const runOn =
      (tx: Tx): Run =>
      async (text) =>
        (await tx.execute(drizzleSql.raw(text))).rows;
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(db, (tx) => body(runOn(tx), tx as never), isolationLevel && { isolationLevel }) as never,
      plain: (body) => db.transaction((tx) => body(runOn(tx), tx as never)),
      nested: (tx: Tx, body) => tx.transaction((nested) => body(runOn(nested))),
      [Symbol.asyncDispose]: () => pool.end(),
    };
  },
};

const kysely: Library = {
  name: "Kysely",
  open(url) {
    const pool = new pg.Pool(config(url));
    // what a pool has given out has nobody who listens for its errors, and Kysely does not let us at it
    pool.on("connect", (given) => given.on("error", () => {}));
    const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) });
    const runOn =
      (tx: typeof db): Run =>
      async (text) =>
        (await tx.executeQuery<Row>(CompiledQuery.raw(text))).rows;
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(db, (tx) => body(runOn(tx), tx as never), isolationLevel && { isolationLevel }) as never,
      plain: (body) => db.transaction().execute((tx) => body(runOn(tx), tx as never)),
      nested: (tx: typeof db, body) => bySavepoint(runOn(tx), body),
      [Symbol.asyncDispose]: () => db.destroy(),
    };
  },
};

const prisma: Library = {
  name: "Prisma (a stand-in)",
  open(url) {
    const db = makePrismaClient(config(url));
    type Tx = Parameters<Parameters<PrismaClient["$transaction"]>[0]>[0];
    const runOn =
      (tx: Tx): Run =>
      async (text) =>
        await tx.$queryRawUnsafe<Row[]>(text);
    return {
      db,
      guarded: (lock, body, isolation) =>
        lock.transaction(
          db,
          (tx) => body(runOn(tx), tx as never),
          isolation && { isolationLevel: "Serializable" },
        ) as never,
      plain: (body) => db.$transaction((tx) => body(runOn(tx), tx as never)),
      nested: (tx: Tx, body) => tx.$transaction((nested) => body(runOn(nested))),
      [Symbol.asyncDispose]: () => db.$disconnect(),
    };
  },
};

const rowsOf =
  (client: pg.Client): Run =>
  async (text) =>
    (await client.query(text)).rows;

const pool: Library = {
  name: "a pool of node-postgres",
  open(url) {
    const db = new pg.Pool(config(url));
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(db, (tx) => body(rowsOf(tx), tx as never), isolationLevel && { isolationLevel }) as never,
      plain: async (body) => {
        const client = await db.connect();
        try {
          return await byHand(client, body);
        } finally {
          client.release();
        }
      },
      nested: (tx: pg.Client, body) => bySavepoint(rowsOf(tx), body),
      [Symbol.asyncDispose]: () => db.end(),
    };
  },
};

const client: Library = {
  name: "a client of node-postgres",
  open(url) {
    const db = new pg.Client(config(url));
    db.on("error", () => {});
    const connected = db.connect();
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(db, (tx) => body(rowsOf(tx), tx as never), isolationLevel && { isolationLevel }) as never,
      plain: (body) => byHand(db, body),
      nested: (tx: pg.Client, body) => bySavepoint(rowsOf(tx), body),
      [Symbol.asyncDispose]: async () => {
        await connected;
        await db.end();
      },
    };
  },
};

async function byHand<Value>(db: pg.Client, body: Body<Value>): Promise<Value> {
  await db.query("begin");
  try {
    const value = await body(rowsOf(db), db as never);
    await db.query("commit");
    return value;
  } catch (error) {
    await db.query("rollback");
    throw error;
  }
}

export const libraries: readonly Library[] = [
  postgresJs,
  overPostgresJs,
  overNodePostgres,
  kysely,
  prisma,
  pool,
  client,
];
