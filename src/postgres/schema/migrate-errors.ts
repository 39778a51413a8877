import {
  InvalidOptionError,
  LeaseholdError,
  NotPermittedError,
  UnavailableError,
  UnsafeBackendError,
} from "../../errors/errors.js";
import { quoteIdentifier, quoteLiteral } from "../../runtime/quote.js";
import { RequestTimeout } from "../../runtime/timeout.js";
import { LinkClosed } from "../connection/link-closed.js";
import { sqlState, toPublicError } from "../connection/server-errors.js";
import type { Server } from "./migrate-state.js";

/** What is known of the place where a migration failed. */
export interface MigrateFailure {
  readonly server?: Server;
  /** The role that rights were just being granted to. */
  readonly grantTo?: string;
  /** The whole time that the caller granted, once that has passed. */
  readonly limitMs?: number;
  /** Who it waited for, in words. */
  readonly inTheWay?: string | null;
  /** From then on it is not known whether anything was changed; before, nothing was. */
  readonly isCommitting?: boolean;
}

/** lock_timeout, or a deadlock: another process migrates, or an open transaction uses a table. */
export function isRetryable(error: unknown): boolean {
  return /^(55P03|40P01|40001)$/.test(sqlState(error) ?? "");
}

/** The error to show for one of the server or of the connection. One of ours, and one that nobody foresaw, stays as it is. */
export function toMigrateError(
  error: unknown,
  { server, grantTo, limitMs, inTheWay = null, isCommitting = false }: MigrateFailure,
): unknown {
  if (error instanceof LeaseholdError) return error;
  const state = sqlState(error);
  if (isRetryable(error)) {
    if (limitMs === undefined) return error; // not the end of it yet
    const reason =
      inTheWay ??
      "another process migrates, or an open transaction uses the tables (select * from pg_stat_activity where xact_start < now() - interval '1 minute')";
    const message = `migrate() waited ${limitMs} ms in vain: ${reason}. Nothing was changed. Run it again, or raise lockTimeoutMs.`;
    return new UnavailableError({ outcome: "not-sent", message, cause: error });
  }
  if (state === "42704" && grantTo !== undefined) {
    return new InvalidOptionError({
      option: "grantTo",
      expected: "a role that exists",
      received: grantTo,
      cause: error,
    });
  }
  if (state === "42501" && server !== undefined) {
    if (grantTo === undefined && server.owner !== null && !server.isOwner) {
      return notTheOwner(server, error);
    }
    return new NotPermittedError({ statement: missingRight(server, grantTo), role: server.role, cause: error });
  }
  // A fault of this program, such as a module that is missing, is not the server's.
  if (state === null && !isConnectionLost(error)) return error;
  return toPublicError(error, { wasSent: isCommitting, role: server?.role ?? "" });
}

/** The owner is a superuser: of anybody else's schema a role does not get so far. */
export function notTheOwner({ owner, role }: Server, cause?: unknown): UnsafeBackendError {
  const name = quoteIdentifier(owner ?? "");
  return new UnsafeBackendError({
    problem: `The schema leasehold belongs to ${name}, and ${quoteIdentifier(role)} may not change it`,
    remedy: `Migrate as ${name}`,
    cause,
  });
}

function missingRight(server: Server, grantTo: string | undefined): string {
  if (grantTo !== undefined) return `select leasehold.grant_usage(${quoteLiteral(grantTo)});`;
  const role = quoteIdentifier(server.role);
  return `grant create on database ${quoteIdentifier(server.database)} to ${role};`;
}

function isConnectionLost(error: unknown): boolean {
  if (error instanceof RequestTimeout || error instanceof LinkClosed) return true;
  return error instanceof Error && "code" in error && /^(CONNECT|E[A-Z]+$)/.test(String(error.code));
}
