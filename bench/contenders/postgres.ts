// What else Postgres offers: locks by hand, and the floor below which nothing over postgres.js can get.
import postgres from "postgres";
import type { Contender, FloorStatement } from "./contender.js";

interface AdvisoryLock {
  lock(): Promise<() => Promise<void>>;
  tryLock(): Promise<(() => Promise<void>) | undefined>;
}

/** The npm package: a connection for each lock, which it opens and closes. */
export async function openAdvisoryLock(url: string): Promise<Contender> {
  const name = "advisory-lock";
  const module = (await import(name)) as { default: unknown };
  // CommonJS compiled from ES modules: the default is one level deeper under Node
  const create = ((module.default as { default?: unknown }).default ?? module.default) as (
    url: string,
  ) => (name: string) => AdvisoryLock;
  const mutexOf = create(url);
  return {
    acquire: (key) => mutexOf(key).lock(),
    release: (unlock) => (unlock as () => Promise<void>)(),
    tryOnce: async (key) => (await mutexOf(key).tryLock()) !== undefined,
    end: async () => undefined,
  };
}

/** The most connections that a contender may take which needs one for each lock. */
export const MOST_CONNECTIONS = 128;

/** A row of a table of one's own, locked for as long as a transaction is open. */
export async function openTableLock(url: string): Promise<Contender> {
  const sql = postgres(url, { max: MOST_CONNECTIONS + 2, onnotice: () => {} });
  await sql`select 1`;
  return {
    async acquire(key) {
      const connection = await sql.reserve();
      await connection`begin`;
      await connection`select from bench.locks where key = ${key} for update`;
      return connection;
    },
    async release(held) {
      const connection = held as postgres.ReservedSql;
      await connection`commit`;
      connection.release();
    },
    async tryOnce(key) {
      const connection = await sql.reserve();
      await connection`begin`;
      const rows = await connection`select from bench.locks where key = ${key} for update skip locked`;
      await connection`commit`;
      connection.release();
      return rows.length > 0;
    },
    end: () => sql.end({ timeout: 1 }),
  };
}

/** One statement at a time on one connection. */
export async function openFloor(url: string, statement: FloorStatement): Promise<Contender> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const durable = () => sql`update bench.floor set n = n + 1 where id = 1`;
  const asynchronous = () => sql`with off as materialized (select set_config('synchronous_commit', 'off', true))
    update bench.floor set n = n + 1 from off where id = 1`;
  const cycles = {
    durable,
    asynchronous,
    both: async () => {
      await durable();
      await asynchronous();
    },
    select: () => sql`select 1`,
  } as const;
  await cycles[statement]();
  return {
    acquire: () => Promise.reject(new Error("this is no lock")),
    release: () => Promise.reject(new Error("this is no lock")),
    cycle: async () => await cycles[statement](),
    end: () => sql.end({ timeout: 1 }),
  };
}
