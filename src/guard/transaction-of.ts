// What the compiler knows about the libraries: which databases are supported, and the type of each one's transaction.
import type { DrizzleDatabase } from "./drizzle.js";
import type { KnexDatabase, KnexTransaction } from "./knex.js";
import type { KyselyDatabase, KyselyTransactionOptions } from "./kysely.js";
import type { MikroOrm, MikroOrmManager } from "./mikro-orm.js";
import type { NodePostgresClient, NodePostgresPool, NodePostgresTransactionOptions } from "./node-postgres.js";
import type { PostgresJsDatabase, PostgresJsTransaction } from "./postgres-js.js";
import type { PrismaDatabase, PrismaTransaction } from "./prisma.js";
import type { SequelizeDatabase, SequelizeTransaction } from "./sequelize.js";
import type { TypeOrmDataSource, TypeOrmManager, TypeOrmQueryRunner, TypeOrmTransactionOptions } from "./typeorm.js";

/** What `lock.transaction` accepts: a database of one of these libraries; of node-postgres, a pool or a client. */
export type GuardedDatabase =
  | DrizzleDatabase
  | KyselyDatabase
  | PrismaDatabase
  | TypeOrmDataSource
  | TypeOrmManager
  | TypeOrmQueryRunner
  | KnexDatabase
  | MikroOrm
  | MikroOrmManager
  | SequelizeDatabase
  | PostgresJsDatabase
  | NodePostgresPool
  | NodePostgresClient;

/** What `lock.guard` and `advisoryLock` accept: an open transaction of one of these libraries. */
export type GuardedTransaction =
  | DrizzleDatabase
  | KyselyDatabase
  | PrismaTransaction
  | TypeOrmManager
  | TypeOrmQueryRunner
  | KnexTransaction
  | MikroOrmManager
  | SequelizeTransaction
  | PostgresJsTransaction
  | NodePostgresClient;

/** The library's own type of a transaction on this database. Where there is none, the type of the connection or the manager. */
export type TransactionOf<Database> = Database extends {
  $transaction(body: (tx: infer Tx) => Promise<unknown>): unknown;
}
  ? Tx
  : Database extends { unsafe: unknown; begin(options: string, body: (tx: infer Tx) => unknown): unknown }
    ? Tx
    : Database extends { transaction(): { execute(body: (tx: infer Tx) => Promise<unknown>): unknown } }
      ? Tx
      : Database extends { readonly manager: infer Manager }
        ? Manager
        : Database extends TypeOrmManager
          ? Database
          : Database extends { readonly em: infer Manager }
            ? Manager
            : Database extends MikroOrmManager
              ? Database
              : Database extends { transactionProvider(config?: never): () => Promise<infer Tx> }
                ? Tx
                : Database extends { authenticate: unknown; transaction(options?: never): Promise<infer Tx> }
                  ? Tx
                  : Database extends { transaction(body: (tx: infer Tx) => Promise<unknown>): Promise<unknown> }
                    ? Tx
                    : Database extends {
                          readonly totalCount: number;
                          connect: { (): Promise<infer Client>; (use: never): void };
                        }
                      ? Client
                      : Database;

/** The options of the library's own method that opens a transaction. */
export type TransactionOptionsOf<Database> = Database extends {
  $transaction(body: (tx: unknown) => Promise<unknown>, options?: infer Options): unknown;
}
  ? Options
  : Database extends { unsafe: unknown; begin(options: infer Options, body: (tx: unknown) => unknown): unknown }
    ? Options
    : Database extends {
          transaction(): { setIsolationLevel(level: infer Level): unknown; setAccessMode(mode: infer Mode): unknown };
        }
      ? KyselyTransactionOptions<Level, Mode>
      : Database extends TypeOrmDataSource | TypeOrmManager | TypeOrmQueryRunner
        ? TypeOrmTransactionOptions<TypeOrmLevel<Database>>
        : Database extends { readonly em: infer Manager }
          ? TransactionOptionsOf<Manager>
          : Database extends { transactional(body: never, options?: infer Options): unknown }
            ? Options
            : Database extends { transactionProvider(config?: infer Options): unknown }
              ? Options
              : Database extends { authenticate: unknown; transaction(options?: infer Options): unknown }
                ? Options
                : Database extends { transaction(body: never, config?: infer Options): Promise<unknown> }
                  ? Options
                  : NodePostgresTransactionOptions;

type TypeOrmLevel<Database> = Database extends { startTransaction(level?: infer Level): unknown }
  ? Level
  : Database extends { transaction(level: infer Level, body: never): unknown }
    ? Level
    : never;

/** What a body resolves to. If it returns an array, promises in it are awaited before the commit. */
export type Settled<Value> = Value extends readonly PromiseLike<unknown>[]
  ? { -readonly [Index in keyof Value]: Awaited<Value[Index]> }
  : Value;
