import {
  askInOne,
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
import { alone, listenForErrors } from "./node-postgres.js";
import { isFenced, PostgresJsScope } from "./postgres-js-scope.js";
import { reconnecting } from "./refusals.js";

/** The shape of a Drizzle database for Postgres, over any driver. */
export interface DrizzleDatabase {
  transaction(body: (tx: unknown) => Promise<unknown>, config?: never): Promise<unknown>;
  execute(query: string): PromiseLike<unknown>;
  refreshMaterializedView(view: never): unknown;
}

/** Drizzle stores the name of each class under this symbol, so that other copies of the package recognise it. */
const KIND: unique symbol = Symbol.for("drizzle:entityKind") as never;

/** The drivers that use the simple protocol for a statement without parameters. */
const simple: ReadonlySet<string> = new Set(["NodePgSession", "PostgresJsSession", "NeonSession", "VercelPgSession"]);

export function recogniseDrizzle(value: unknown): Recognised | Unfit | null {
  const given = membersOf(value);
  if (given === null || !hasMethods(given, "transaction", "execute")) return null;
  // The result of withReplicas is not an instance of any class. Its `execute` and `transaction` are the primary's.
  const database = membersOf(given.$primary) ?? given;
  const names = kindsOf(database);
  if (names.length === 0) return null;
  if (!names.includes("PgDatabase")) return { why: `a Drizzle database for another kind of server (${names[0]})` };
  const drizzle = database as unknown as DrizzleDatabase;
  const isOpen = names.includes("PgTransaction");
  const { client } = sessionOf(drizzle);
  const isPool = !isOpen && hasMethods(membersOf(client) ?? {}, "begin"); // a client of postgres.js
  return {
    transact: transact(drizzle, isOpen),
    enter: isPool ? null : enter(drizzle),
    ask: isPool ? null : (isSimple(drizzle) ? askInOne : askInTwo)(runOn(drizzle)),
    reconnects: () => reconnects(drizzle),
    client: membersOf(client) ?? undefined,
  };
}

/** Over postgres.js, unless `lock.transaction` has opened it. */
function reconnects(database: DrizzleDatabase): boolean {
  return driverOf(database) === "PostgresJsSession" && !isFenced(sessionOf(database).client);
}

function transact(database: DrizzleDatabase, isOpen: boolean): Transact {
  return (guard, body, options) => {
    const work = async (tx: DrizzleDatabase) => {
      await guard.confirm(enter(tx)(guard.statements));
      return await body(tx);
    };
    const begin = (callback: (tx: DrizzleDatabase) => Promise<unknown>) =>
      database.transaction(callback as (tx: unknown) => Promise<unknown>, options as never);
    if (isOpen) {
      if (reconnects(database)) throw reconnecting(guard);
      return begin(work); // the outer transaction looks after the connection
    }
    if (driverOf(database) === "PostgresJsSession") {
      const scope = new PostgresJsScope();
      return scope.run(begin, (tx) => {
        const session = sessionOf(tx);
        session.client = scope.fence(session.client);
        return work(tx);
      });
    }
    let stopListening = (): void => undefined;
    const run = () =>
      begin((tx) => {
        stopListening = listenForErrors(sessionOf(tx).client);
        return work(tx);
      }).finally(() => stopListening());
    const client = membersOf(sessionOf(database).client);
    // A client of node-postgres or a compatible driver, not a pool: Drizzle would begin on it even if a transaction is open.
    return client !== null && hasMethods(client, "getTypeParser") ? alone(client, guard, run) : run();
  };
}

function enter(tx: DrizzleDatabase): Enter {
  return (isSimple(tx) ? inOne : inTwo)(runOn(tx));
}

function isSimple(database: DrizzleDatabase): boolean {
  return simple.has(driverOf(database));
}

function runOn(tx: DrizzleDatabase): Run {
  return (text) => Promise.resolve(tx.execute(text));
}

function driverOf(database: DrizzleDatabase): string {
  return kindsOf(sessionOf(database))[0] ?? "";
}

/** Each transaction has its own session, which contains the driver's client or transaction. */
function sessionOf(database: DrizzleDatabase): { client?: unknown } {
  return (database as unknown as { readonly session?: { client?: unknown } }).session ?? {};
}

/** The kinds of its class and of all base classes, in that order. */
function kindsOf(value: object): readonly string[] {
  const kinds: string[] = [];
  for (let prototype = Object.getPrototypeOf(value); prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const kind = membersOf(prototype.constructor)?.[KIND];
    if (typeof kind === "string") kinds.push(kind);
  }
  return kinds;
}
