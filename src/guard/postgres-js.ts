import {
  askInOne,
  type Enter,
  hasMethods,
  inOne,
  membersOf,
  type Recognised,
  type Run,
  type Transact,
} from "./library.js";
import { isFenced, PostgresJsScope } from "./postgres-js-scope.js";

/** The shape of a client made with `postgres()`. */
export interface PostgresJsDatabase {
  begin: {
    (body: (tx: unknown) => unknown): Promise<unknown>;
    (options: string, body: (tx: unknown) => unknown): Promise<unknown>;
  };
  unsafe(text: string): PromiseLike<unknown>;
}

/** The shape of what postgres.js passes to the body of `begin`. */
export interface PostgresJsTransaction {
  savepoint(body: (tx: unknown) => unknown): Promise<unknown>;
  unsafe(text: string): PromiseLike<unknown>;
}

/** Recognises a client of postgres.js, a transaction, or a reserved connection, on which a transaction may be open. */
export function recognisePostgresJs(value: unknown): Recognised | null {
  const members = typeof value === "function" ? membersOf(value) : null;
  if (members === null || !hasMethods(members, "unsafe")) return null;
  if (hasMethods(members, "begin"))
    return { transact: transact(members as unknown as PostgresJsDatabase), enter: null, ask: null, client: members };
  if (!hasMethods(members, "savepoint") && !hasMethods(members, "release")) return null;
  const reconnects = () => !isFenced(value);
  const tx = members as unknown as PostgresJsTransaction;
  return { transact: null, enter: enter(tx), ask: askInOne(runOn(tx)), reconnects };
}

function transact(sql: PostgresJsDatabase): Transact {
  return (guard, body, options) => {
    const scope = new PostgresJsScope();
    return scope.run<PostgresJsTransaction>(
      (callback) => sql.begin(typeof options === "string" ? options : "", callback as (tx: unknown) => unknown),
      async (own) => {
        const tx = scope.fence(own);
        await guard.confirm(enter(tx)(guard.statements));
        return await body(tx);
      },
    );
  };
}

function enter(tx: PostgresJsTransaction): Enter {
  return inOne(runOn(tx));
}

/** Without parameters, postgres.js uses the simple protocol. */
function runOn(tx: PostgresJsTransaction): Run {
  return (text) => tx.unsafe(text);
}
