// A given client has few connections, and the application uses them, too.
import { UnavailableError } from "../errors/errors.js";
import { enclosingTransactions } from "./enclosing.js";

/** What postgres.js and node-postgres both have by default. */
const DEFAULT_CONNECTIONS = 10;

/** The cause of the UnavailableError of a call that could never be sent: it need not be tried again. */
export class Exhausted extends Error {
  readonly code = "POOL_EXHAUSTED";
}

/** How many connections the client opens at most. */
export function connectionsOf(client: object): number {
  const { max } = (client as { options?: { max?: unknown } }).options ?? {};
  return typeof max === "number" && max >= 1 ? max : DEFAULT_CONNECTIONS;
}

/**
 * Why what is called here could never have a connection: it is inside of as many transactions as the client has connections, and these
 * wait for it. Null: it could.
 */
export function exhaustedBy(client: object): UnavailableError | null {
  const connections = connectionsOf(client);
  if (enclosingTransactions(client) < connections) return null;
  const all = connections === 1 ? "its only connection is" : `all of its ${connections} connections are`;
  const cause = new Exhausted(`${all} inside lock.transaction`);
  return new UnavailableError({
    outcome: "not-sent",
    message: `The pool of the given client is exhausted: ${all} inside the lock.transaction from which this was called, and would wait for it for ever. Nothing was sent. Call it before the transaction or after it, or give the client more connections (max).`,
    cause,
  });
}
