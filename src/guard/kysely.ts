import {
  type Ask,
  askInTwo,
  type Enter,
  hasMethods,
  inOne,
  inTwo,
  membersOf,
  type Recognised,
  type Run,
  type Transact,
  type Unfit,
} from "./library.js";
import { reconnectingKysely } from "./refusals.js";

/** The shape of a Kysely database. */
export interface KyselyDatabase {
  readonly isTransaction: boolean;
  transaction(): KyselyTransactionBuilder;
  getExecutor(): unknown;
}

interface KyselyTransactionBuilder {
  execute(body: (tx: unknown) => Promise<unknown>): Promise<unknown>;
  setIsolationLevel(level: never): unknown;
  setAccessMode(mode: never): unknown;
}

/** What `lock.transaction` passes to Kysely's `setIsolationLevel` and `setAccessMode`. */
export interface KyselyTransactionOptions<IsolationLevel, AccessMode> {
  readonly isolationLevel?: IsolationLevel | undefined;
  readonly accessMode?: AccessMode | undefined;
}

interface Executor {
  readonly adapter: object;
  provideConnection<Value>(use: (connection: Connection) => Promise<Value>): Promise<Value>;
}

interface Connection {
  executeQuery(query: object): Promise<unknown>;
}

/** Kysely's own connection classes that use the simple protocol for a statement without parameters. */
const simple: ReadonlySet<string> = new Set(["PostgresConnection"]);

export function recogniseKysely(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  if (members === null || typeof members.isTransaction !== "boolean") return null;
  if (!hasMethods(members, "transaction", "getExecutor", "executeQuery")) return null;
  const database = members as unknown as KyselyDatabase;
  const { name } = executorOf(database).adapter.constructor;
  if (/mysql|sqlite|mssql/i.test(name)) return { why: `a Kysely database for another kind of server (${name})` };
  return {
    transact: members.isTransaction ? null : transact(database),
    enter: enter(database),
    ask: ask(database),
    reconnects: () => reconnects(database),
  };
}

function transact(database: KyselyDatabase): Transact {
  return (guard, body, options) => {
    const { isolationLevel, accessMode } = (options ?? {}) as KyselyTransactionOptions<never, never>;
    let builder = database.transaction();
    if (isolationLevel !== undefined) builder = builder.setIsolationLevel(isolationLevel) as KyselyTransactionBuilder;
    if (accessMode !== undefined) builder = builder.setAccessMode(accessMode) as KyselyTransactionBuilder;
    return builder.execute(async (tx) => {
      if (await reconnects(tx as KyselyDatabase)) throw reconnectingKysely(guard);
      await guard.confirm(enter(tx as KyselyDatabase)(guard.statements));
      return await body(tx);
    });
  };
}

function enter(database: KyselyDatabase): Enter {
  return (statements) =>
    executorOf(database).provideConnection(async (connection) => {
      const run = runOn(connection);
      await (simple.has(connection.constructor.name) ? inOne(run) : inTwo(run))(statements);
    });
}

/** Of a message with several statements Kysely gives no rows. */
function ask(database: KyselyDatabase): Ask {
  return (question) =>
    executorOf(database).provideConnection(async (connection) => await askInTwo(runOn(connection))(question));
}

/**
 * Whether its connections are postgres.js's: of the dialect `kysely-postgres-js`, or of another whose class has another
 * name, or a minified one. `unsafe` is the only method of postgres.js that runs a text.
 */
function reconnects(database: KyselyDatabase): Promise<boolean> {
  return executorOf(database).provideConnection(async (connection) => {
    const { name, prototype } = connection.constructor as { name: string; prototype: Partial<Connection> };
    return /postgres-?js/i.test(name) || /\.unsafe\(/.test(String(prototype.executeQuery));
  });
}

/** Bypasses the plugins, which must not change our statements. */
function runOn(connection: Connection): Run {
  return (text) => connection.executeQuery(rawQuery(text));
}

function executorOf(database: KyselyDatabase): Executor {
  return database.getExecutor() as Executor;
}

/** The same as Kysely's `CompiledQuery.raw`. */
function rawQuery(sql: string): object {
  const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
  return { sql, query, parameters: [], queryId: { queryId: "leasehold" } };
}
