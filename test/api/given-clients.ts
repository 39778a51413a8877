// Clients of the application's own, as a locker may be given them: of postgres.js, and pools of node-postgres.
import { drizzle } from "drizzle-orm/postgres-js";
import pg from "pg";
import postgres from "postgres";
import { onTestFinished } from "vitest";
import type { PostgresClient } from "../../src/index.js";
import { withTimeout } from "../../src/runtime/timeout.js";

export type Run = (text: string) => Promise<unknown>;

export interface Given<Client extends PostgresClient = PostgresClient> {
  readonly client: Client;
  /** What the application reads with it. */
  one(): Promise<unknown>;
  /** A transaction of the application's own. */
  transaction(body: (run: Run) => Promise<void>): Promise<void>;
  end(): Promise<void>;
}

type Options = postgres.Options<Record<string, never>>;

/** They are ended when the test is over. */
export function openPostgresJs(url: string, options: Options = {}): Given<postgres.Sql> {
  const sql = postgres(url, { max: 3, onnotice: () => {}, ...options });
  const end = () => sql.end({ timeout: 1 });
  onTestFinished(end);
  return {
    client: sql,
    one: async () => (await sql`select 1 as one`)[0],
    transaction: async (body) => {
      await sql.begin(async (tx) => {
        await body(async (text) => await tx.unsafe(text));
      });
    },
    end,
  };
}

export function openPool(url: string, options: pg.PoolConfig = {}): Given<pg.Pool> {
  // What libpq calls `require`, node-postgres calls `no-verify`.
  const connectionString = url.replace("sslmode=require", "sslmode=no-verify");
  const pool = new pg.Pool({ connectionString, max: 3, connectionTimeoutMillis: 20_000, ...options });
  pool.on("error", () => {});
  const end = async () => {
    if (!pool.ending) await withTimeout(pool.end(), 20_000); // it waits for connections that nobody gave back
  };
  onTestFinished(end);
  return {
    client: pool,
    one: async () => (await pool.query("select 1 as one")).rows[0],
    transaction: async (body) => {
      const client = await pool.connect();
      try {
        await client.query("begin");
        await body((text) => client.query(text));
        await client.query("commit");
      } finally {
        client.release();
      }
    },
    end,
  };
}

export const undefinedForNull: NonNullable<Options["transform"]> = {
  value: { from: (value: unknown) => (value === null ? undefined : value) },
};

/** Parsers that nobody expects, for every type. */
const strangeTypes = { getTypeParser: () => (value: string | Buffer) => ({ parsed: String(value) }) };

/** All that a client may be made with, and that must not matter. */
export function kinds(url: string): Readonly<Record<string, () => Given>> {
  return {
    "postgres.js, of several connections": () => openPostgresJs(url),
    "postgres.js, of one connection": () => openPostgresJs(url, { max: 1 }),
    "postgres.js with transform: postgres.camel": () => openPostgresJs(url, { transform: postgres.camel }),
    "postgres.js with a transform of columns, rows and values": () =>
      openPostgresJs(url, {
        transform: {
          undefined: null,
          column: { from: (name: string) => `C_${name.toUpperCase()}`.replace(/^C_(.*)$/, (_, n) => n.toLowerCase()) },
        },
      }),
    "postgres.js with a transform that makes undefined of null": () =>
      openPostgresJs(url, { transform: undefinedForNull }),
    "postgres.js wrapped by drizzle()": () => {
      const given = openPostgresJs(url);
      drizzle(given.client);
      return given;
    },
    "postgres.js without prepared statements": () => openPostgresJs(url, { prepare: false }),
    "postgres.js with fetch_types and its own parsers": () =>
      openPostgresJs(url, { types: { bigint: postgres.BigInt } } as unknown as Options),
    "postgres.js in debug mode": () => openPostgresJs(url, { debug: () => undefined }),
    "a Pool, of several connections": () => openPool(url),
    "a Pool, of one connection": () => openPool(url, { max: 1 }),
    "a Pool with parsers of its own for every type": () => {
      const given = openPool(url, { types: strangeTypes as never });
      return { ...given, one: async () => JSON.parse('{"one":1}') };
    },
    "a Pool whose application reads int8 as bigint and times as text": () => {
      withParsers({ 20: BigInt, 23: String, 1184: String, 114: String });
      const given = openPool(url);
      return { ...given, one: async () => JSON.parse('{"one":1}') };
    },
    "a Pool that pipelines": () => openPool(url, { pipeline: true } as pg.PoolConfig),
    "a Pool that uses a connection once": () => openPool(url, { maxUses: 1 }),
    "a Pool that keeps no idle connection": () => openPool(url, { idleTimeoutMillis: 1 }),
  };
}

/** Sets parsers for the whole process, until the test is over. */
function withParsers(parsers: Readonly<Record<number, (text: string) => unknown>>): void {
  for (const [oid, parse] of Object.entries(parsers)) {
    const before = pg.types.getTypeParser(Number(oid));
    pg.types.setTypeParser(Number(oid), parse as never);
    onTestFinished(() => pg.types.setTypeParser(Number(oid), before as never));
  }
}

/** One of each library, of one connection. */
export const simpleKinds: readonly { readonly name: string; open(url: string): Given }[] = [
  {
    name: "a client of postgres.js",
    open: (url) => openPostgresJs(url, { max: 1, connection: { application_name: "the application" } }),
  },
  {
    name: "a Pool of node-postgres",
    open: (url) => openPool(url, { max: 1, application_name: "the application" }),
  },
];
