import { LeaseholdError, UnavailableError } from "../errors/errors.js";
import { causesOf } from "../runtime/causes.js";
import type { Clock } from "../runtime/clock.js";
import { describe } from "../runtime/describe.js";

const MAX_ERRORS = 50;

/** An error of a locker, as `locker.debug()` shows it. An error that occurs again is counted, not repeated. */
export interface DebugError {
  /** The error's class. */
  readonly name: string;
  /** The `code` of this library's errors, the SQLSTATE of a server's, the name of a socket's. */
  readonly code: string | null;
  /** Its text, without passwords and tokens. */
  readonly message: string;
  /** The innermost one. */
  readonly cause: Pick<DebugError, "name" | "code" | "message"> | null;
}

/** An error that occurred recently. */
export interface RecentError extends DebugError {
  /** How often it has occurred. */
  readonly count: number;
  /** ISO 8601, by this process's clock. */
  readonly firstAt: string;
  /** ISO 8601, by this process's clock. */
  readonly lastAt: string;
}

interface Entry {
  readonly error: DebugError;
  readonly firstAtMs: number;
  lastAtMs: number;
  count: number;
}

/** The last errors of a locker, even if no caller saw them. Keeps their texts, not the error objects. */
export class RecentErrors {
  readonly #clock: Clock;
  readonly #passwords: () => readonly string[];
  /** The newest is last. */
  readonly #entries: Entry[] = [];
  /** The same error may be added several times on its way to the caller. */
  readonly #seen = new WeakSet<object>();

  /** `passwords`: must not be shown in any text. None is empty. */
  constructor(clock: Clock, passwords: () => readonly string[]) {
    this.#clock = clock;
    this.#passwords = passwords;
  }

  add(error: unknown): void {
    if (typeof error === "object" && error !== null) {
      if (this.#seen.has(error)) {
        return;
      }
      this.#seen.add(error);
    }
    const atMs = this.#clock.wallNowMs();
    const described = this.describe(error);
    const entry = this.#take(described) ?? { error: described, firstAtMs: atMs, lastAtMs: atMs, count: 0 };
    entry.lastAtMs = atMs;
    entry.count += 1;
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ERRORS) {
      this.#entries.shift();
    }
  }

  #take(error: DebugError): Entry | undefined {
    const index = this.#entries.findIndex((entry) => isSame(entry.error, error));
    return index < 0 ? undefined : this.#entries.splice(index, 1)[0];
  }

  /** Newest first. */
  all(): readonly RecentError[] {
    return this.#entries
      .map(({ error, count, firstAtMs, lastAtMs }) => ({
        ...error,
        count,
        firstAt: new Date(firstAtMs).toISOString(),
        lastAt: new Date(lastAtMs).toISOString(),
      }))
      .reverse();
  }

  describe(error: unknown): DebugError {
    const [, ...causes] = causesOf(error);
    const cause = causes.at(-1);
    return { ...this.#describe(error), cause: cause === undefined ? null : this.#describe(cause) };
  }

  #describe(error: unknown): Pick<DebugError, "name" | "code" | "message"> {
    if (!(error instanceof Error)) {
      return { name: "Error", code: null, message: describe(typeof error === "string" ? this.#redact(error) : error) };
    }
    const message = String(error.message);
    return {
      name: String(error.name),
      code: codeOf(error),
      // The message of an UnavailableError quotes others.
      message:
        error instanceof LeaseholdError && !(error instanceof UnavailableError)
          ? this.#withoutPasswords(message)
          : this.#redact(message),
    };
  }

  /** Texts of others may contain a token, or an address with a password. Ours contain neither. */
  #redact(text: string): string {
    return this.#withoutPasswords(text)
      .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, "[uuid]")
      .replaceAll(/\/\/[^/\s]*@/g, "//[hidden]@");
  }

  #withoutPasswords(text: string): string {
    return this.#passwords().reduce((rest, password) => rest.replaceAll(password, "[hidden]"), text);
  }
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

function isSame(a: DebugError, b: DebugError): boolean {
  return a.name === b.name && a.code === b.code && a.message === b.message && a.cause?.message === b.cause?.message;
}
