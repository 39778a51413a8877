import { type Enter, hasMethods, inOne, membersOf, type Recognised, type Transact } from "./library.js";
import { PostgresJsScope } from "./postgres-js-scope.js";

/** A client made with `postgres()`, by its shape. */
export interface PostgresJsDatabase {
  begin: {
    (body: (tx: unknown) => unknown): Promise<unknown>;
    (options: string, body: (tx: unknown) => unknown): Promise<unknown>;
  };
  unsafe(text: string): PromiseLike<unknown>;
}

/** What the body of postgres.js's `begin` is given, by its shape. */
export interface PostgresJsTransaction {
  savepoint(body: (tx: unknown) => unknown): Promise<unknown>;
  unsafe(text: string): PromiseLike<unknown>;
}

/** postgres.js: the client itself, a transaction, or a reserved connection, on which one may be open. */
export function recognisePostgresJs(value: unknown): Recognised | null {
  const members = typeof value === "function" ? membersOf(value) : null;
  if (members === null || !hasMethods(members, "unsafe")) return null;
  if (hasMethods(members, "begin"))
    return { transact: transact(members as unknown as PostgresJsDatabase), enter: null };
  if (!hasMethods(members, "savepoint") && !hasMethods(members, "release")) return null;
  return { transact: null, enter: enter(members as unknown as PostgresJsTransaction) };
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

/** Without parameters, so by the simple protocol. */
function enter(tx: PostgresJsTransaction): Enter {
  return inOne((text) => tx.unsafe(text));
}
