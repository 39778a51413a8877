// What an error is to the log: a code, and whether a user has to live with it.
import { LeaseholdError } from "../../../src/index.js";

/** The body of a transaction changes its mind. */
export class GivenUp extends Error {
  override readonly name = "GivenUp";
}

/** The reason of a signal that a worker fires. */
export class Cancelled extends Error {
  override readonly name = "Cancelled";
}

export interface Failure {
  readonly code: string;
  readonly reason?: string;
  readonly message: string;
  /** An error of the library, of Postgres or of a connection. Anything else is a fault, of the library or of the worker. */
  readonly isKnown: boolean;
}

export function toFailure(error: unknown): Failure {
  const message = String(error instanceof Error ? error.message : error).slice(0, 300);
  const { code, reason } = codeOf(error);
  if (code !== undefined) return { code, message, isKnown: true, ...(reason === undefined ? {} : { reason }) };
  const name = error instanceof Error ? error.name : typeof error;
  return { code: name, message, isKnown: isExpected(error) };
}

function codeOf(error: unknown): { readonly code?: string; readonly reason?: string } {
  // Drizzle puts its own error around that of the driver
  for (let one = error; one instanceof Error; one = one.cause) {
    if (one instanceof LeaseholdError) {
      return "reason" in one ? { code: one.code, reason: String(one.reason) } : { code: one.code };
    }
    const code = "code" in one && typeof one.code === "string" ? one.code : "";
    if (/^([0-9A-Z]{5}|E[A-Z]+|CONNECT_TIMEOUT|CONNECTION_[A-Z]+)$/.test(code)) return { code };
  }
  return {};
}

/** node-postgres has no codes of its own. */
const lostConnection =
  /Connection terminated|not queryable|timeout exceeded when trying to connect|Query read timeout|Connection ended|Client was closed|timeout expired/;

function isExpected(error: unknown): boolean {
  if (error instanceof GivenUp || error instanceof Cancelled) return true;
  for (let one = error; one instanceof Error; one = one.cause) if (lostConnection.test(one.message)) return true;
  return false;
}
