import { quote } from "../runtime/describe.js";
import { brand, type ErrorData, identified, LeaseholdError } from "./base.js";

/** The locker was closed, before the call or while it waited. */
export class ClosedError extends LeaseholdError {
  static {
    brand(ClosedError, "ClosedError");
  }

  override readonly code = "closed" as const;

  constructor({ message, cause }: ErrorData = {}) {
    super(message ?? "This locker is closed. Make a new one with createLocker().", cause);
  }
}

/** What `NotMigratedError` is made of. */
export interface NotMigratedData extends ErrorData {
  /** The version in the database. Default null: there is none. */
  readonly found?: number | null | undefined;
  /** The version that this client needs. Default null: not known. */
  readonly needed?: number | null | undefined;
}

/** The schema `leasehold` is missing in this database, or too old for this client. */
export class NotMigratedError extends LeaseholdError {
  static {
    brand(NotMigratedError, "NotMigratedError");
  }

  override readonly code = "not-migrated" as const;
  /** The version of the schema in the database; null when there is none. */
  readonly found: number | null;
  /** The version that this client needs; null when nobody said. */
  readonly needed: number | null;

  constructor({ found = null, needed = null, message, cause }: NotMigratedData = {}) {
    const state =
      found === null
        ? "This database has no schema leasehold"
        : `The schema leasehold has version ${found}, this client needs ${needed}`;
    super(message ?? `${state}. Run \`await locker.migrate()\` once, as a role that may create schemas.`, cause);
    this.found = found;
    this.needed = needed;
  }
}

/** What `NotPermittedError` is made of: `statement` is the line to run, `role` the one that lacks the right. */
export interface NotPermittedData extends ErrorData {
  /** The SQL that grants the right. */
  readonly statement: string;
  /** Who lacks it. Default null: not known. */
  readonly role?: string | null | undefined;
}

/** The role lacks a right. `statement` is the line that grants it. */
export class NotPermittedError extends LeaseholdError {
  static {
    brand(NotPermittedError, "NotPermittedError");
  }

  override readonly code = "not-permitted" as const;
  /** The SQL to run, as the owner of the schema or as an administrator. */
  readonly statement: string;
  /** Who lacks the right; null when that is not known. */
  readonly role: string | null;

  constructor(data: NotPermittedData) {
    const { statement, role = null, message, cause } = identified(new.target.prototype.name, data, "statement");
    const who = role === null ? "This role" : `The role ${quote(role)}`;
    super(message ?? `${who} lacks a right. As the owner of the schema or an administrator, run: ${statement}`, cause);
    this.statement = statement;
    this.role = role;
  }
}

/** What `UnsafeBackendError` is made of: sentences without their full stops. */
export interface UnsafeBackendData extends ErrorData {
  /** What is not safe. */
  readonly problem: string;
  /** What to do about it. Default: run `leasehold doctor`. */
  readonly remedy?: string | undefined;
}

/** Locks would not be safe in this set-up: a transaction pooler, a standby, two databases. */
export class UnsafeBackendError extends LeaseholdError {
  static {
    brand(UnsafeBackendError, "UnsafeBackendError");
  }

  override readonly code = "unsafe-backend" as const;
  /** What is not safe. */
  readonly problem: string;
  /** What to do about it. */
  readonly remedy: string;

  constructor(data: UnsafeBackendData) {
    const {
      problem,
      remedy = "Run `leasehold doctor`, which says what to change",
      message,
      cause,
    } = identified(new.target.prototype.name, data, "problem");
    super(message ?? `${problem}. ${remedy}.`, cause);
    this.problem = problem;
    this.remedy = remedy;
  }
}

/** What `UnavailableError` is made of. */
export interface UnavailableData extends ErrorData {
  /** Default `not-sent`. */
  readonly outcome?: "not-sent" | "unknown" | undefined;
  /** Host and port, or the path of a socket. Default null: not known. */
  readonly address?: string | null | undefined;
}

/**
 * Postgres could not be reached or used, or did not answer in time; the message says why and where. `outcome` is `not-sent` when nothing can have happened, and `unknown` when the request
 * was on its way: it may or may not have taken effect.
 */
export class UnavailableError extends LeaseholdError {
  static {
    brand(UnavailableError, "UnavailableError");
  }

  override readonly code = "unavailable" as const;
  /** `not-sent`: nothing can have happened. `unknown`: the request may or may not have taken effect. */
  readonly outcome: "not-sent" | "unknown";
  /** Host and port, or the path of a socket, without a secret; null when it is not known. */
  readonly address: string | null;

  constructor({ outcome = "not-sent", address = null, message, cause }: UnavailableData = {}) {
    super(message ?? outcomeText[outcome], cause);
    this.outcome = outcome;
    this.address = address;
  }
}

const outcomeText: Readonly<Record<UnavailableError["outcome"], string>> = {
  "not-sent":
    "Postgres could not be reached, and nothing was sent. Check that it runs and that the address is right, then try again.",
  unknown:
    "Postgres did not answer in time; the request may or may not have taken effect. Check that Postgres can be reached, then try again.",
};

/** What `UnsupportedError` is made of. */
export interface UnsupportedData extends ErrorData {
  readonly message: string;
}

/** The request does not work with this server, schema or version. */
export class UnsupportedError extends LeaseholdError {
  static {
    brand(UnsupportedError, "UnsupportedError");
  }

  override readonly code = "unsupported" as const;

  constructor(data: UnsupportedData) {
    const { message, cause } = identified(new.target.prototype.name, data, "message");
    super(message, cause);
  }
}
