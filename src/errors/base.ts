import { describe, describeType } from "../runtime/describe.js";

/** Every `code` that an error of this library can have. */
export type LeaseholdErrorCode =
  | "not-acquired"
  | "wait-timeout"
  | "retries-exhausted"
  | "reentry"
  | "not-held"
  | "lease-lost"
  | "stale-fence"
  | "invalid-key"
  | "invalid-option"
  | "closed"
  | "not-migrated"
  | "not-permitted"
  | "unsafe-backend"
  | "unavailable"
  | "unsupported";

/** An error as data: what `JSON.stringify(error)` writes. The error's own data come in addition. */
export interface LeaseholdErrorJson {
  /** The class, such as `WaitTimeoutError`. */
  readonly name: string;
  /** The error's `code`. */
  readonly code: LeaseholdErrorCode;
  /** What happened, and what to do about it. */
  readonly message: string;
  /** Where it came from: an error of the driver or of the system, mostly. */
  readonly cause?: { readonly name: string; readonly message: string; readonly code?: string };
  readonly [data: string]: unknown;
}

/**
 * The base of every error that this library throws. `code` says which it is, `message` what to do about it, `cause` where
 * it came from. `instanceof` also knows the errors of another copy of this package.
 *
 * ```ts
 * try {
 *   await locker.acquire("order:42");
 * } catch (error) {
 *   if (error instanceof LeaseholdError && error.code === "wait-timeout") console.log("busy");
 *   else throw error;
 * }
 * ```
 */
export abstract class LeaseholdError extends Error {
  static {
    brand(LeaseholdError, "LeaseholdError");
  }

  /** Which error it is. The same in every version. */
  abstract readonly code: LeaseholdErrorCode;

  constructor(message: string, cause: unknown) {
    super(message, cause === undefined ? undefined : { cause: withoutParameters(cause) });
  }

  /** JSON-safe: a fence is a decimal string, a Date is in ISO form. Holds no token. */
  toJSON(): LeaseholdErrorJson {
    const { name, code, message, cause } = this;
    const data = Object.entries(this).map(([key, value]) => [key, toJsonValue(value, 2)]);
    return {
      ...Object.fromEntries(data),
      name,
      code,
      message,
      ...(cause === undefined ? {} : { cause: causeToJson(cause) }),
    };
  }
}

/**
 * Gives a class its name and its brand. The name is a literal, for a minifier renames classes. The brand is a registered
 * symbol on the prototype, for a class of another copy of this package is another class; subclasses inherit it.
 */
export function brand(errorClass: { readonly prototype: object }, name: string): void {
  const symbol = Symbol.for(`leasehold.${name}`);
  Object.defineProperty(errorClass.prototype, symbol, { value: true });
  Object.defineProperty(errorClass.prototype, "name", { value: name, configurable: true, writable: true });
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value: function hasInstance(this: unknown, value: unknown): boolean {
      // A user's own subclass inherits this function, but not the brand: for that one, JavaScript's own rule.
      if (this !== errorClass) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === "object" && value !== null && symbol in value;
    },
  });
}

/**
 * A client in debug mode puts the parameters of the failed statement on its error, for all to see: a lock's token is
 * among them. Such a cause is replaced by a copy that lacks them; any other is kept as it is.
 */
function withoutParameters(cause: unknown): unknown {
  if (!(cause instanceof Error) || !Object.prototype.propertyIsEnumerable.call(cause, "parameters")) return cause;
  const { parameters, args, ...kept } = Object.getOwnPropertyDescriptors(cause) as Record<string, PropertyDescriptor>;
  return Object.defineProperties(Object.setPrototypeOf(new Error(), Object.getPrototypeOf(cause)), kept);
}

function toJsonValue(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (value === null || value === undefined || typeof value === "string" || typeof value === "boolean") return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value) && depth > 1) return value.map((inner) => toJsonValue(inner, depth - 1));
  if (depth === 1 || Object.getPrototypeOf(value) !== Object.prototype) return describe(value);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toJsonValue(inner, depth - 1)]));
}

function causeToJson(cause: unknown): NonNullable<LeaseholdErrorJson["cause"]> {
  if (!(cause instanceof Error)) return { name: "Error", message: describe(cause) };
  const code = "code" in cause && typeof cause.code === "string" ? { code: cause.code } : {};
  return { name: cause.name, message: cause.message, ...code };
}

/** What every constructor takes besides its own data. What identifies the error is required, such as the key; all else has a default. */
export interface ErrorData {
  /** In place of the usual one. */
  readonly message?: string | undefined;
  /** Where it came from. */
  readonly cause?: unknown;
}

/**
 * The data of an error, which lack nothing that identifies it. The types say so already; JavaScript would get "cannot read properties of
 * undefined" otherwise, from inside of the library.
 */
export function identified<Data extends ErrorData>(error: string, data: Data, name: keyof Data & string): Data {
  const value: unknown = (data as Data | null | undefined)?.[name];
  if (typeof value === "string") return data;
  throw new TypeError(`new ${error}({ ${name} }): expected ${name} to be a string, got ${describeType(value)}`);
}
