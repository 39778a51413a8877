import {
  LeaseholdError,
  NotMigratedError,
  NotPermittedError,
  UnavailableError,
  UnsafeBackendError,
  UnsupportedError,
} from "../../errors/errors.js";
import { failedAt } from "./failed-at.js";
import { rowsMissing } from "./schema-check.js";
import { SCHEMA_VERSION } from "./schema-version.js";
import { notTrusted, ofOthers, toUnavailable } from "./unavailable.js";

/**
 * What to do about a failed statement, by its SQLSTATE and never by its text:
 * - `transient`: the connection, the server's state or a timeout; retry
 * - `conflict`: a deadlock or a serialization failure; nothing was done, retry at once (rule 5)
 * - `blocked`: it would have waited for another transaction's lock (rule 6)
 * - `item`: bad data; in a batch, one of its items
 * - `definite`: retrying will not help
 */
export type Trouble = "transient" | "conflict" | "blocked" | "item" | "definite";

const bySqlState: Readonly<Record<string, Trouble>> = {
  "40001": "conflict",
  "40P01": "conflict",
  "55P03": "blocked",
  "25006": "transient", // a primary that became a standby: the next connection finds another
  "25P03": "transient", // a timeout that the role or the database has set
  "25P04": "transient",
  "40003": "transient",
  "55000": "transient", // such as a database that accepts no connections at the moment
  "55006": "transient",
};

const byClass: Readonly<Record<string, Trouble>> = {
  "08": "transient",
  "22": "item",
  "23": "item",
  "53": "transient",
  "54": "item", // a limit of the server, which a smaller batch may not meet
  "57": "transient",
  "58": "transient",
  XX: "transient",
};

export function sqlState(error: unknown): string | null {
  return error instanceof Error && "severity" in error && "code" in error && typeof error.code === "string"
    ? error.code
    : null;
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof LeaseholdError) {
    return error instanceof UnavailableError ? "transient" : "definite";
  }
  const state = sqlState(error);
  if (state === null) {
    return "transient";
  }
  return bySqlState[state] ?? byClass[state.slice(0, 2)] ?? "definite";
}

/** The error that a user sees. `wasSent`: whether the statement may have reached the server. */
export function toPublicError(error: unknown, { wasSent, role }: { wasSent: boolean; role: string }): LeaseholdError {
  if (error instanceof LeaseholdError) {
    return error;
  }
  const untrusted = notTrusted(error);
  if (untrusted !== null) {
    const address = failedAt(error);
    const message = `Postgres${at(address)} was not asked: ${untrusted.message}. Check sslmode and sslrootcert of the address.${ofOthers(error)} Nothing was sent.`;
    return new UnavailableError({ outcome: "not-sent", address, message, cause: untrusted });
  }
  const state = sqlState(error);
  switch (state) {
    case "42P01":
    case "42883":
    case "3F000":
      return new NotMigratedError({ found: null, needed: SCHEMA_VERSION, cause: error });
    case "LH008":
      return rowsMissing(error);
    case "42501":
      return new NotPermittedError({
        statement: `select leasehold.grant_usage('${role.replaceAll("'", "''")}');`,
        role,
        cause: error,
      });
    case "25006":
      return new UnsafeBackendError({
        problem: "This server accepts no writes: it is a standby, or the role or database is set to read only",
        remedy: "Connect to the primary; a URL may name several hosts",
        cause: error,
      });
    case "LH004": {
      const { message, hint } = error as Error & { hint?: string };
      const remedy = (hint ?? "Connect to the primary, without a transaction pooler in between").replace(/\.$/, "");
      return new UnsafeBackendError({ problem: message, remedy, cause: error });
    }
  }
  if (state?.startsWith("22")) {
    const { message } = error as Error;
    return new UnsupportedError({
      message: `This database cannot take what it was given: ${message} (SQLSTATE ${state}). Nothing was done.`,
      cause: error,
    });
  }
  if (troubleOf(error) !== "definite" || state?.startsWith("28") || state === "3D000") {
    if (state === null || (wasSent && endsConnection(error, state))) {
      return toUnavailable(error, wasSent);
    }
    const address = failedAt(error);
    const message = `Postgres${at(address)} refused: ${(error as Error).message} (SQLSTATE ${state}).${ofOthers(error)} Nothing was done.`;
    return new UnavailableError({ outcome: "not-sent", address, message, cause: error });
  }
  return new UnsupportedError({
    message: `Postgres answered with an error that this version does not know: ${(error as Error).message}`,
    cause: error,
  });
}

function at(address: string | null): string {
  return address === null ? "" : ` at ${address}`;
}

/**
 * Whether the connection ended with this error, so that an answer may have been lost: a pooler reports 08P01 even if
 * the server has committed. A login that was refused, or a session that was idle for too long (57P05), had no statement
 * to answer.
 */
function endsConnection(error: unknown, state: string): boolean {
  if (/^(08|57P01|57P02|57P04|25P04|40003)/.test(state)) return true;
  const { severity } = error as { severity?: unknown };
  return severity === "PANIC" || (severity === "FATAL" && !/^(28|3D000|42501|53300|55000|57P03|57P05)/.test(state));
}

/** Wrong password, no such database: retrying does not help, unlike with a server that is starting. */
export function isRefusal(error: unknown): boolean {
  const state = sqlState(error);
  return state !== null && (state.startsWith("28") || state === "3D000" || state === "42501");
}
