import { checkBoolean, checkNames } from "../errors/option-checks.js";
import { runEnclosed } from "./enclosing.js";
import { exhaustedBy } from "./exhausted.js";
import type { Guard } from "./guard.js";
import { recognise } from "./libraries.js";
import { hasMethods, membersOf } from "./library.js";
import { alreadyOpen, guardLine, notATransaction, reconnecting } from "./refusals.js";
import { findSqlState } from "./sql-state.js";
import type { Settled } from "./transaction-of.js";

/** Options of `lock.guard`. */
export interface GuardOptions {
  /**
   * Takes the risk that postgres.js goes on, unguarded, on a new connection when the old one dies inside `begin`.
   * Default false.
   */
  readonly acceptReconnect?: boolean | undefined;
}

/**
 * Opens a transaction with the user's library, guards it, and runs the body in it.
 * @throws the body's own error, even if the library wraps it; StaleFenceError; InvalidOptionError for an unsupported
 * database; UnavailableError where it is inside of transactions on all connections of the client
 */
export async function runGuarded<Value>(
  guard: Guard,
  database: unknown,
  body: (tx: never) => Value | PromiseLike<Value>,
  options: unknown,
): Promise<Settled<Value>> {
  const { transact, reconnects, client } = recognise("db", database, () => guardLine(guard));
  if (transact === null) throw (await reconnects?.()) ? reconnecting(guard) : alreadyOpen(guard);
  const exhausted = client === undefined ? null : exhaustedBy(client);
  if (exhausted !== null) throw exhausted;
  const failure: { hasThrown: boolean; error: unknown } = { hasThrown: false, error: null };
  const watched = async (tx: unknown): Promise<unknown> => {
    failure.hasThrown = false; // a library may run the body again
    try {
      return await runEnclosed(client, async () => {
        const value = await body(tx as never);
        // Like `begin` of postgres.js: a promise that is not awaited here would run after the transaction, unguarded.
        return Array.isArray(value) && value.some(isThenable) ? await Promise.all(value) : value;
      });
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

/** Guards an open transaction. @throws UnsupportedError where the library may leave it silently */
export async function guardOpen(guard: Guard, transaction: unknown, options: GuardOptions | undefined): Promise<void> {
  const { acceptReconnect = false } = checkNames("guard's options", options, ["acceptReconnect"]);
  const isAccepted = checkBoolean("acceptReconnect", acceptReconnect);
  const { enter, reconnects } = recognise("tx", transaction, () => guardLine(guard));
  if (enter === null) throw notATransaction(guard);
  if (!isAccepted && (await reconnects?.())) throw reconnecting(guard);
  await guard.confirm(enter(guard.statements));
}

function isThenable(value: unknown): boolean {
  const members = membersOf(value);
  return members !== null && hasMethods(members, "then");
}
