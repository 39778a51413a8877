import {
  type Enter,
  hasMethods,
  inOne,
  inTwo,
  membersOf,
  type Recognised,
  type Transact,
  type Unfit,
} from "./library.js";

/** A Kysely database, by its shape. */
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

/** What `lock.transaction` hands to Kysely's own `setIsolationLevel` and `setAccessMode`. */
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

/** The classes of connections, Kysely's own, that send what has no parameters by the simple protocol. */
const simple: ReadonlySet<string> = new Set(["PostgresConnection"]);

export function recogniseKysely(value: unknown): Recognised | Unfit | null {
  const members = membersOf(value);
  if (members === null || typeof members.isTransaction !== "boolean") return null;
  if (!hasMethods(members, "transaction", "getExecutor", "executeQuery")) return null;
  const database = members as unknown as KyselyDatabase;
  const { name } = executorOf(database).adapter.constructor;
  if (/mysql|sqlite|mssql/i.test(name)) return { why: `a Kysely database for another kind of server (${name})` };
  return { transact: members.isTransaction ? null : transact(database), enter: enter(database) };
}

function transact(database: KyselyDatabase): Transact {
  return (guard, body, options) => {
    const { isolationLevel, accessMode } = (options ?? {}) as KyselyTransactionOptions<never, never>;
    let builder = database.transaction();
    if (isolationLevel !== undefined) builder = builder.setIsolationLevel(isolationLevel) as KyselyTransactionBuilder;
    if (accessMode !== undefined) builder = builder.setAccessMode(accessMode) as KyselyTransactionBuilder;
    return builder.execute(async (tx) => {
      await guard.confirm(enter(tx as KyselyDatabase)(guard.statements));
      return await body(tx);
    });
  };
}

/** Past the plugins: they have nothing to do with a statement of ours. */
function enter(database: KyselyDatabase): Enter {
  return (statements) =>
    executorOf(database).provideConnection(async (connection) => {
      const run = (text: string) => connection.executeQuery(rawQuery(text));
      await (simple.has(connection.constructor.name) ? inOne(run) : inTwo(run))(statements);
    });
}

function executorOf(database: KyselyDatabase): Executor {
  return database.getExecutor() as Executor;
}

/** What Kysely's `CompiledQuery.raw` makes. */
function rawQuery(sql: string): object {
  const query = { kind: "RawNode", sqlFragments: [sql], parameters: [] };
  return { sql, query, parameters: [], queryId: { queryId: "leasehold" } };
}
