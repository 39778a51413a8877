// The libraries that have a folder of packages of their own, under the same face as the others.
import { defineEntity, MikroORM, p, type SqlEntityManager } from "@mikro-orm/postgresql";
import knex, { type Knex } from "knex";
import pg from "pg";
import { Sequelize, type Transaction } from "sequelize";
import { DataSource, type EntityManager, type QueryRunner } from "typeorm";
import { bySavepoint, type Library, type Row, type Run } from "../transactions/library.js";

const applicationName = "test of transactions";

export function openDataSource(url: string): DataSource {
  return new DataSource({ type: "postgres", url, poolSize: 2, extra: { application_name: applicationName } });
}

export function openKnex(url: string, connection: object = {}): Knex {
  const { connectionString = url } = connection as { connectionString?: string };
  return knex({
    client: "pg",
    connection: { connectionString, application_name: applicationName },
    pool: { min: 0, max: 2 },
  });
}

export const Account: ReturnType<typeof defineAccount> = defineAccount();

function defineAccount() {
  return defineEntity({
    name: "Account",
    tableName: "accounts",
    properties: { id: p.integer().primary(), balance: p.integer() },
  });
}

/** `initSync`, for a library is opened without waiting. It connects when it is first used. */
export function openMikroOrm(url: string): MikroORM {
  return MikroORM.initSync({
    clientUrl: url,
    entities: [Account],
    pool: { min: 0, max: 2 },
    driverOptions: { connection: { application_name: applicationName } },
  });
}

export function openSequelize(url: string): Sequelize {
  return new Sequelize(url, {
    dialect: "postgres",
    dialectModule: pg,
    dialectOptions: { application_name: applicationName },
    logging: false,
    pool: { max: 2 },
  });
}

const runOnManager =
  (manager: EntityManager): Run =>
  (text) =>
    manager.query(text);

const dataSource: Library = {
  name: "TypeORM, a DataSource",
  open(url) {
    const db = openDataSource(url);
    const initialized = db.initialize();
    return {
      db,
      guarded: async (lock, body, isolationLevel) => {
        await initialized;
        return (await lock.transaction(
          db,
          (manager) => body(runOnManager(manager), manager as never),
          isolationLevel && { isolationLevel: "SERIALIZABLE" },
        )) as never;
      },
      plain: async (body) => {
        await initialized;
        return await db.transaction((manager) => body(runOnManager(manager), manager as never));
      },
      nested: (manager: EntityManager, body) => manager.transaction((nested) => body(runOnManager(nested))),
      [Symbol.asyncDispose]: async () => {
        await initialized;
        await db.destroy();
      },
    };
  },
};

const queryRunner: Library = {
  name: "TypeORM, a QueryRunner",
  open(url) {
    const db = openDataSource(url);
    const initialized = db.initialize();
    let kept: QueryRunner | undefined;
    /** One for all, as long as its connection lives. */
    const runner = async (): Promise<QueryRunner> => {
      await initialized;
      if (kept?.isReleased !== false) kept = db.createQueryRunner();
      return kept;
    };
    return {
      db,
      guarded: async (lock, body, isolationLevel) =>
        (await lock.transaction(
          await runner(),
          (manager) => body(runOnManager(manager), manager as never),
          isolationLevel && { isolationLevel: "SERIALIZABLE" },
        )) as never,
      plain: async (body) => {
        const own = await runner();
        await own.startTransaction();
        try {
          const value = await body((text) => own.query(text), own as never);
          await own.commitTransaction();
          return value;
        } catch (error) {
          await own.rollbackTransaction().catch(() => undefined);
          throw error;
        }
      },
      nested: (tx: EntityManager, body) => tx.transaction((nested) => body(runOnManager(nested))),
      [Symbol.asyncDispose]: async () => {
        await initialized;
        await kept?.release();
        await db.destroy();
      },
    };
  },
};

const overKnex: Library = {
  name: "Knex",
  open(url) {
    const db = openKnex(url);
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(
          db,
          (trx) => body(runOnKnex(trx), trx as never),
          isolationLevel && { isolationLevel },
        ) as never,
      plain: (body) => db.transaction((trx) => body(runOnKnex(trx), trx as never)),
      nested: (trx: Knex.Transaction, body) => trx.transaction((nested) => body(runOnKnex(nested))),
      [Symbol.asyncDispose]: () => db.destroy(),
    };
  },
};

const overGivenPool: Library = {
  name: "Knex over a pool that it was given",
  open(url) {
    const pool = new pg.Pool({ connectionString: url, max: 2, application_name: applicationName });
    pool.on("error", () => {});
    const db = knex({ client: "pg", connectionPool: pool } as Knex.Config);
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(
          db,
          (trx) => body(runOnKnex(trx), trx as never),
          isolationLevel && { isolationLevel },
        ) as never,
      plain: (body) => db.transaction((trx) => body(runOnKnex(trx), trx as never)),
      nested: (trx: Knex.Transaction, body) => trx.transaction((nested) => body(runOnKnex(nested))),
      [Symbol.asyncDispose]: async () => {
        await db.destroy();
        await pool.end();
      },
    };
  },
};

const runOnKnex =
  (trx: Knex.Transaction): Run =>
  async (text) =>
    (await trx.raw<{ rows: Row[] }>(text)).rows;

const runOnEm =
  (em: SqlEntityManager): Run =>
  (text) =>
    em.execute<Row[]>(text);

const mikroOrm: Library = {
  name: "MikroORM",
  open(url) {
    const db = openMikroOrm(url);
    type Em = typeof db.em;
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(
          db,
          (em) => body(runOnEm(em), em as never),
          isolationLevel && { isolationLevel: "serializable" as never },
        ) as never,
      plain: (body) => db.em.fork().transactional((em) => body(runOnEm(em), em as never)),
      nested: (em: Em, body) => em.transactional((nested) => body(runOnEm(nested))),
      [Symbol.asyncDispose]: () => db.close(true),
    };
  },
};

const overSequelize: Library = {
  name: "Sequelize",
  open(url) {
    const db = openSequelize(url);
    const runOn =
      (transaction: Transaction): Run =>
      async (text) =>
        (await db.query(text, { transaction, raw: true }))[0] as Row[];
    return {
      db,
      guarded: (lock, body, isolationLevel) =>
        lock.transaction(
          db,
          (tx) => body(runOn(tx), tx as never),
          isolationLevel && { isolationLevel: "SERIALIZABLE" as never },
        ) as never,
      plain: (body) => db.transaction((tx) => body(runOn(tx), tx as never)),
      nested: (tx: Transaction, body) => bySavepoint(runOn(tx), body),
      [Symbol.asyncDispose]: () => db.close(),
    };
  },
};

export const libraries: readonly Library[] = [
  dataSource,
  queryRunner,
  overKnex,
  overGivenPool,
  mikroOrm,
  overSequelize,
];
