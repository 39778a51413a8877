// The worker's own databases, in which it writes under guards: each library as a user has it, behind one interface.
import { setTimeout as sleep } from "node:timers/promises";
import { sql as fragment, type SQL } from "drizzle-orm";
import { drizzle as drizzleOverPg } from "drizzle-orm/node-postgres";
import { drizzle as drizzleOverPostgresJs } from "drizzle-orm/postgres-js";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import postgres from "postgres";
import type { GuardedDatabase, GuardedTransaction, Hold } from "../../../src/index.js";
import type { CampaignWorkerArgs, LibraryName } from "./arguments.js";
import { statementTimeoutMs } from "./bounds.js";

const END_MS = 2_000;

export type Row = Readonly<Record<string, unknown>>;

/** An open transaction. */
export interface Tx {
  query(text: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
  /** `lock.guard` in it. */
  guard(lock: Hold): Promise<void>;
}

export interface Library {
  /** `postgres.js`, `drizzle over node-postgres`, ... */
  readonly name: string;
  /** `lock.transaction`. */
  guarded(lock: Hold, body: (tx: Tx) => Promise<void>): Promise<void>;
  /** A transaction that the library itself opens, without a guard. Undefined where the library may leave it silently (postgres.js). */
  readonly plain: ((body: (tx: Tx) => Promise<void>) => Promise<void>) | undefined;
  /** Ends what hangs in it, where the library itself has no limit for a statement; undefined where it has. */
  readonly interrupt: (() => Promise<void>) | undefined;
}

export class Data {
  readonly libraries: readonly Library[];
  /** For SQL of the worker's own. */
  readonly pool: pg.Pool;
  readonly #ends: (() => Promise<unknown>)[];

  constructor(args: CampaignWorkerArgs) {
    this.pool = openPool(args);
    const own = new PostgresJs(args);
    const wrapped = new PostgresJs(args);
    this.#ends = [() => this.pool.end(), () => own.end(), () => wrapped.end()];
    const all: Record<LibraryName, readonly Library[]> = {
      "node-postgres": [overNodePostgres(this.pool)],
      "postgres.js": [overPostgresJs(own)],
      drizzle: [drizzleOfPool(this.pool), drizzleOfPostgresJs(wrapped)],
      kysely: [overKysely(this.pool)],
    };
    this.libraries = args.libraries.flatMap((name) => all[name]);
  }

  /** Runs a statement by itself. */
  async query(text: string, parameters: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.pool.query(text, [...parameters])).rows;
  }

  /** A pool waits for ever for a server that does not hang up. */
  async end(): Promise<void> {
    const ended = Promise.all(this.#ends.map((end) => end().catch(() => {})));
    const enough = new AbortController();
    await Promise.race([ended, sleep(END_MS, undefined, { signal: enough.signal }).catch(() => {})]);
    enough.abort();
  }
}

function openPool(args: CampaignWorkerArgs): pg.Pool {
  const address = new URL(args.dataUrl);
  // node-postgres understands `require` as `verify-full`, and warns of it
  const hasTls = address.searchParams.get("sslmode") === "require";
  address.searchParams.delete("sslmode");
  const pool = new pg.Pool({
    connectionString: address.href,
    ...(hasTls ? { ssl: { rejectUnauthorized: false } } : {}),
    max: args.flows,
    connectionTimeoutMillis: args.connectTimeoutMs,
    query_timeout: statementTimeoutMs(args),
    idleTimeoutMillis: 5_000,
  });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** postgres.js has no limit for a statement: a client that hangs is ended, and another takes its place. */
class PostgresJs {
  readonly #args: CampaignWorkerArgs;
  #client: postgres.Sql | undefined;

  constructor(args: CampaignWorkerArgs) {
    this.#args = args;
  }

  get client(): postgres.Sql {
    const { dataUrl, connectTimeoutMs } = this.#args;
    this.#client ??= postgres(dataUrl, {
      max: 2,
      prepare: false,
      fetch_types: false,
      connect_timeout: Math.max(1, Math.round(connectTimeoutMs / 1_000)),
      idle_timeout: 5,
      onnotice: () => {},
    });
    return this.#client;
  }

  async end(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end({ timeout: 0 });
  }
}

function txOf(query: Tx["query"], transaction: GuardedTransaction): Tx {
  return { query, guard: (lock) => lock.guard(transaction) };
}

function overNodePostgres(pool: pg.Pool): Library {
  const txOn = (client: pg.ClientBase): Tx =>
    txOf(async (text, parameters = []) => (await client.query(text, [...parameters])).rows, client);
  return {
    name: "node-postgres",
    guarded: (lock, body) => lock.transaction(pool, (client) => body(txOn(client))),
    plain: async (body) => {
      const client = await pool.connect();
      try {
        await client.query("begin");
        await body(txOn(client));
        const { command } = await client.query("commit");
        client.release();
        if (command === "ROLLBACK") throw Object.assign(new Error("it was rolled back"), { code: "25P02" });
      } catch (error) {
        await client.query("rollback").then(
          () => client.release(),
          (broken) => client.release(broken),
        );
        throw error;
      }
    },
    interrupt: undefined,
  };
}

function overPostgresJs(sql: PostgresJs): Library {
  return {
    name: "postgres.js",
    guarded: (lock, body) =>
      lock.transaction(sql.client, (tx) =>
        body(txOf((text, parameters = []) => tx.unsafe(text, parameters as never[]), tx)),
      ),
    plain: undefined,
    interrupt: () => sql.end(),
  };
}

/** `$1` of a text as Drizzle's parameters. */
function drizzled(text: string, parameters: readonly unknown[]): SQL {
  const parts = text.split(/\$(\d+)/).map((part, at) => {
    return at % 2 === 0 ? fragment.raw(part) : fragment`${parameters[Number(part) - 1]}`;
  });
  return fragment.join(parts);
}

/** What the two Drizzles have in common. */
interface Executing {
  execute(query: SQL): PromiseLike<unknown>;
}

function drizzleTx(tx: GuardedTransaction & Executing): Tx {
  return txOf(async (text, parameters = []) => {
    const answer = (await tx.execute(drizzled(text, parameters))) as readonly Row[] | { readonly rows: readonly Row[] };
    return "rows" in answer ? answer.rows : answer;
  }, tx);
}

function drizzleOfPool(pool: pg.Pool): Library {
  const db = drizzleOverPg(pool);
  return {
    name: "drizzle over node-postgres",
    guarded: (lock, body) => lock.transaction(db, (tx) => body(drizzleTx(tx))),
    plain: (body) => db.transaction((tx) => body(drizzleTx(tx))),
    interrupt: undefined,
  };
}

function drizzleOfPostgresJs(sql: PostgresJs): Library {
  return {
    name: "drizzle over postgres.js",
    guarded: (lock, body) => {
      const database: GuardedDatabase & ReturnType<typeof drizzleOverPostgresJs> = drizzleOverPostgresJs(sql.client);
      return lock.transaction(database, (tx) => body(drizzleTx(tx)));
    },
    plain: undefined,
    interrupt: () => sql.end(),
  };
}

function overKysely(pool: pg.Pool): Library {
  const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool }) });
  const txOn = (trx: GuardedTransaction & Pick<Kysely<Record<string, never>>, "executeQuery">): Tx =>
    txOf(async (text, parameters = []) => {
      return (await trx.executeQuery<Row>(CompiledQuery.raw(text, [...parameters]))).rows;
    }, trx);
  return {
    name: "kysely",
    guarded: (lock, body) => lock.transaction(db, (trx) => body(txOn(trx))),
    plain: (body) => db.transaction().execute((trx) => body(txOn(trx))),
    interrupt: undefined,
  };
}
