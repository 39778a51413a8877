// What the compiler knows about the libraries: which databases are supported, and the type of each one's transaction.
import type { DrizzleDatabase } from "./drizzle.js";
import type { KyselyDatabase, KyselyTransactionOptions } from "./kysely.js";
import type { NodePostgresClient, NodePostgresPool, NodePostgresTransactionOptions } from "./node-postgres.js";
import type { PostgresJsDatabase, PostgresJsTransaction } from "./postgres-js.js";
import type { PrismaDatabase, PrismaTransaction } from "./prisma.js";

/** What `lock.transaction` accepts: a database of Drizzle, Kysely, Prisma, postgres.js or node-postgres (pool or client). */
export type GuardedDatabase =
  | DrizzleDatabase
  | KyselyDatabase
  | PrismaDatabase
  | PostgresJsDatabase
  | NodePostgresPool
  | NodePostgresClient;

/** What `lock.guard` accepts: an open transaction of one of these libraries. */
export type GuardedTransaction =
  | DrizzleDatabase
  | KyselyDatabase
  | PrismaTransaction
  | PostgresJsTransaction
  | NodePostgresClient;

/** The library's own type of a transaction on this database. For node-postgres, which has none, the type of the client. */
export type TransactionOf<Database> = Database extends {
  $transaction(body: (tx: infer Tx) => Promise<unknown>): unknown;
}
  ? Tx
  : Database extends { begin(options: string, body: (tx: infer Tx) => unknown): unknown }
    ? Tx
    : Database extends { transaction(): { execute(body: (tx: infer Tx) => Promise<unknown>): unknown } }
      ? Tx
      : Database extends { transaction(body: (tx: infer Tx) => Promise<unknown>): Promise<unknown> }
        ? Tx
        : Database extends { readonly totalCount: number; connect: { (): Promise<infer Client>; (use: never): void } }
          ? Client
          : Database;

/** The options of the library's own method that opens a transaction. */
export type TransactionOptionsOf<Database> = Database extends {
  $transaction(body: (tx: unknown) => Promise<unknown>, options?: infer Options): unknown;
}
  ? Options
  : Database extends { begin(options: infer Options, body: (tx: unknown) => unknown): unknown }
    ? Options
    : Database extends {
          transaction(): { setIsolationLevel(level: infer Level): unknown; setAccessMode(mode: infer Mode): unknown };
        }
      ? KyselyTransactionOptions<Level, Mode>
      : Database extends { transaction(body: never, config?: infer Options): Promise<unknown> }
        ? Options
        : NodePostgresTransactionOptions;

/** What a body resolves to. If it returns an array, promises in it are awaited before the commit. */
export type Settled<Value> = Value extends readonly PromiseLike<unknown>[]
  ? { -readonly [Index in keyof Value]: Awaited<Value[Index]> }
  : Value;
