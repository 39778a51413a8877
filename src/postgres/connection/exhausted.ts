// A given client has few connections, and the application uses them, too.
import type { PostgresClient } from "../../api/postgres-client.js";
import { UnavailableError } from "../../errors/errors.js";
import { enclosingTransactions } from "../../guard/enclosing.js";

/** What postgres.js and node-postgres both have by default. */
const DEFAULT_CONNECTIONS = 10;

/** The cause of the UnavailableError of a call that could never be sent: it need not be tried again. */
export class Exhausted extends Error {
  readonly code = "POOL_EXHAUSTED";
}

/** How many connections the client opens at most. */
export function connectionsOf(client: PostgresClient): number {
  const { max } = (client as { options?: { max?: unknown } }).options ?? {};
  return typeof max === "number" && max >= 1 ? max : DEFAULT_CONNECTIONS;
}

/**
 * Why a call that is made here could never be sent: it is inside of as many transactions as the client has connections, and these wait for
 * it. Null: it could.
 */
export function exhaustedBy(client: PostgresClient): UnavailableError | null {
  const connections = connectionsOf(client);
  if (enclosingTransactions(client) < connections) return null;
  const all = connections === 1 ? "its only connection is" : `all of its ${connections} connections are`;
  const cause = new Exhausted(`${all} inside lock.transaction`);
  return new UnavailableError({
    outcome: "not-sent",
    message: `The pool of the given client is exhausted: ${all} inside the lock.transaction from which this was called, so it could not be sent before that ends. Nothing was sent. Call it before the transaction or after it, or give the client more connections (max).`,
    cause,
  });
}

/**
 * How long a statement may wait for a connection of the client. Less than for its answer: the error that says why should come
 * before the caller's own time is up.
 */
export function untilBusyMs(timeoutMs: number): number {
  return timeoutMs * 0.8;
}

interface Busy {
  readonly connections: number;
  readonly ms: number;
  readonly outcome: UnavailableError["outcome"];
  readonly cause?: unknown;
}

/** No connection was free in time. That may pass. */
export function allBusy({ connections, ms, outcome, cause }: Busy): UnavailableError {
  const has = connections === 1 ? "its only connection was" : `all of its ${connections} connections were`;
  const fate = outcome === "not-sent" ? "Nothing was sent." : "It may still be sent when one is free.";
  return new UnavailableError({
    outcome,
    message: `The pool of the given client is exhausted: ${has} busy, or not connected yet, for ${Math.round(ms)} ms. ${fate} Give the client more connections (max), keep its transactions short, and call the locker outside of them.`,
    cause,
  });
}
