import { recogniseDrizzle } from "./drizzle.js";
import type { Guard } from "./guard.js";
import { recogniseKysely } from "./kysely.js";
import { hasMethods, membersOf, type Recognise, type Recognised } from "./library.js";
import { recogniseNodePostgres } from "./node-postgres.js";
import { recognisePostgresJs } from "./postgres-js.js";
import { recognisePrisma } from "./prisma.js";
import { alreadyOpen, notATransaction, unknownDatabase } from "./refusals.js";
import { findSqlState } from "./sql-state.js";
import type { Settled } from "./transaction-of.js";

const libraries: readonly Recognise[] = [
  recognisePostgresJs,
  recogniseDrizzle,
  recogniseKysely,
  recognisePrisma,
  recogniseNodePostgres,
];

/**
 * Opens a transaction with the user's library, guards it, and runs the body in it.
 * @throws the body's own error, even if the library wraps it; StaleFenceError; InvalidOptionError for an unsupported
 * database
 */
export async function runGuarded<Value>(
  guard: Guard,
  database: unknown,
  body: (tx: never) => Value | PromiseLike<Value>,
  options: unknown,
): Promise<Settled<Value>> {
  const { transact } = recognise("db", database, guard);
  if (transact === null) throw alreadyOpen(guard);
  const failure: { hasThrown: boolean; error: unknown } = { hasThrown: false, error: null };
  const watched = async (tx: unknown): Promise<unknown> => {
    failure.hasThrown = false; // a library may run the body again
    try {
      const value = await body(tx as never);
      // Like `begin` of postgres.js: a promise that is not awaited here would run after the transaction, unguarded.
      return Array.isArray(value) && value.some(isThenable) ? await Promise.all(value) : value;
    } catch (error) {
      Object.assign(failure, { hasThrown: true, error });
      throw error;
    }
  };
  try {
    return (await transact(guard, watched, options)) as Settled<Value>;
  } catch (error) {
    // If the rollback fails too, report the body's error. Except "the transaction is aborted": postgres.js knows why it was.
    const isBodys = failure.hasThrown && findSqlState(failure.error, ["25P02"]) === null;
    throw isBodys ? failure.error : error;
  }
}

/** Guards an open transaction. */
export async function guardOpen(guard: Guard, transaction: unknown): Promise<void> {
  const { enter } = recognise("tx", transaction, guard);
  if (enter === null) throw notATransaction(guard);
  await guard.confirm(enter(guard.statements));
}

function recognise(option: "db" | "tx", value: unknown, guard: Guard): Recognised {
  for (const one of libraries) {
    const recognised = one(value);
    if (recognised === null) continue;
    if ("why" in recognised) throw unknownDatabase(option, value, guard, recognised.why);
    return recognised;
  }
  throw unknownDatabase(option, value, guard);
}

function isThenable(value: unknown): boolean {
  const members = membersOf(value);
  return members !== null && hasMethods(members, "then");
}
