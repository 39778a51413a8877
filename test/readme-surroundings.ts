/** What the examples of the documentation take for granted, as a file of declarations beside them. */
export const surroundings = `
import type * as drizzleOrm from "drizzle-orm";
import type { NodePgDatabase } from "drizzle-orm/node-postgres";
import type { Kysely } from "kysely";
import type * as leasehold from "leasehold";
import type * as leaseholdDrizzle from "leasehold/drizzle";
import type * as leaseholdStore from "leasehold/store";
import type * as leaseholdTesting from "leasehold/testing";
import type * as nodeTest from "node:test";
import type pg from "pg";
import type postgres from "postgres";
import type { accounts as Accounts } from "./tables.js";

interface Prisma {
  $transaction<R>(fn: (tx: Omit<Prisma, "$transaction" | "$connect">) => Promise<R>, options?: { timeout?: number }): Promise<R>;
  $executeRawUnsafe(query: string): Promise<number>;
  $connect(): Promise<void>;
  readonly account: { update(args: { where: { id: number }; data: { balance: bigint } }): Promise<unknown> };
}

// The shapes of libraries that are not installed here. test/libraries compiles the same examples against their real types.
interface Transactional {
  transaction(isolation: "SERIALIZABLE", body: (manager: Manager) => Promise<unknown>): Promise<unknown>;
}
interface Manager extends Transactional {
  preload(entityClass: string, entityLike: object): Promise<unknown>;
  update(table: string, where: object, set: object): Promise<unknown>;
}
interface Trx extends Knex {
  isCompleted(): boolean;
}
interface Knex {
  (table: string): { where(what: object): { update(set: object): Promise<number> } };
  transactionProvider(config?: object): () => Promise<Trx>;
  raw(query: string): unknown;
}
interface Em {
  transactional<T>(body: (em: this) => Promise<T>, options?: object): Promise<T>;
  fork(options?: object): Em;
  execute(text: string, parameters: readonly unknown[]): Promise<unknown>;
}
interface Transaction {
  readonly LOCK: object;
  afterCommit(body: () => void): void;
}
interface Sequelize {
  transaction(options?: object): Promise<Transaction>;
  authenticate(): Promise<void>;
  query(text: string, options: { bind: readonly unknown[]; transaction: Transaction }): Promise<unknown>;
}

declare global {
  const dataSource: Transactional & { readonly manager: Manager; createQueryRunner(): unknown };
  const knex: Knex;
  const orm: { readonly em: Em };
  const sequelize: Sequelize;
  const { advisoryLock, createLocker, getLocker, key, LeaseholdError, StaleFenceError }: typeof leasehold;
  const { activeLeases, fencedBy, fenceTable, guardTable, stats, waiting }: typeof leaseholdDrizzle;
  const { createTestLocker, storeConformance }: typeof leaseholdTesting;
  const { memoryStore }: typeof leaseholdStore;
  const { describe, it }: typeof nodeTest;
  const request: Request;
  function charge(order: number, options: { signal: AbortSignal }): Promise<void>;
  const { and, eq }: typeof drizzleOrm;
  const locker: leasehold.Locker;
  const east: leasehold.InstanceOptions;
  const west: leasehold.InstanceOptions;
  const north: leasehold.InstanceOptions;
  function work(signal: AbortSignal): Promise<void>;
  const rows: readonly string[];
  function importRow(row: string, fence: bigint): Promise<void>;
  const lock: leasehold.Lock;
  const sql: postgres.Sql<{ bigint: bigint }>;
  const db: NodePgDatabase;
  const accounts: typeof Accounts;
  const pool: pg.Pool;
  const kysely: Kysely<{ accounts: { id: number; balance: bigint } }>;
  const prisma: Prisma;
  const connection: { execute(text: string, parameters: readonly unknown[]): Promise<void> };
  function readPrices(): Promise<{ readonly isStale: boolean }>;
  function writePrices(): Promise<void>;
  function callUpstream(): Promise<void>;
  function render(): Promise<ArrayBuffer>;
  function upload(name: string, what: ArrayBuffer, options: { signal: AbortSignal }): Promise<void>;
}
`;

/** The tables of their application: tables.ts. */
export const tables = `
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
export const accounts = pgTable("accounts", {
  id: integer().primaryKey(),
  balance: bigint({ mode: "bigint" }).notNull(),
  fence: bigint({ mode: "bigint" }).notNull().default(0n),
});
`;
