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

/** A Drizzle database for Postgres, over any driver, by its shape. */
export interface DrizzleDatabase {
  transaction(body: (tx: unknown) => Promise<unknown>, config?: never): Promise<unknown>;
  execute(query: string): PromiseLike<unknown>;
  refreshMaterializedView(view: never): unknown;
}

/** Drizzle puts the name of each of its classes there, so that they are known over copies of the package. */
const KIND: unique symbol = Symbol.for("drizzle:entityKind") as never;

/** The drivers that send what has no parameters by the simple protocol. */
const simple: ReadonlySet<unknown> = new Set(["NodePgSession", "PostgresJsSession", "NeonSession", "VercelPgSession"]);

export function recogniseDrizzle(value: unknown): Recognised | Unfit | null {
  const given = membersOf(value);
  if (given === null || !hasMethods(given, "transaction", "execute")) return null;
  // What withReplicas makes is no instance of anything. Its `execute` and `transaction` are the primary's.
  const database = membersOf(given.$primary) ?? given;
  const names = kindsOf(database);
  if (names.length === 0) return null;
  if (!names.includes("PgDatabase")) return { why: `a Drizzle database for another kind of server (${names[0]})` };
  const drizzle = database as unknown as DrizzleDatabase;
  return { transact: transact(drizzle), enter: enter(drizzle) };
}

function transact(database: DrizzleDatabase): Transact {
  return (guard, body, options) =>
    database.transaction(async (tx) => {
      await guard.judge(enter(tx as DrizzleDatabase)(guard.statements));
      return await body(tx);
    }, options as never);
}

function enter(tx: DrizzleDatabase): Enter {
  const run = (text: string) => Promise.resolve(tx.execute(text));
  const session = membersOf((tx as { readonly session?: unknown }).session);
  return session !== null && kindsOf(session).some((name) => simple.has(name)) ? inOne(run) : inTwo(run);
}

/** From its class up to the one at the base. */
function kindsOf(value: object): readonly string[] {
  const kinds: string[] = [];
  for (let prototype = Object.getPrototypeOf(value); prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const kind = membersOf(prototype.constructor)?.[KIND];
    if (typeof kind === "string") kinds.push(kind);
  }
  return kinds;
}
