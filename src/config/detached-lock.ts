import type { AdoptOptions } from "../api/options.js";
import { InvalidKeyError, InvalidOptionError } from "../errors/errors.js";
import { checkNames, checkText, isFence } from "../errors/option-checks.js";
import { checkKey } from "./key.js";
import { type ResolvedAcquireOptions, type ResolvedLockerOptions, resolveAcquireOptions } from "./resolve-options.js";

/** An object, so that the compiler notices a missing name. */
const adoptNames: { readonly [Name in keyof AdoptOptions]-?: true } = {
  ttlMs: true,
  keepAlive: true,
  renewEveryMs: true,
  maxHoldMs: true,
  guardTimeoutMs: true,
  owner: true,
  onLost: true,
};

/** What `adopt` is given, checked. */
export interface Detached {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
  /** Null: it names none. */
  readonly instance: string | null;
}

/** It has come from elsewhere, as JSON: fields that are not known are left alone. Throws InvalidOptionError. */
export function checkDetached(value: unknown): Detached {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const expected = "what lock.detach() resolved to: { key, token, fence }";
    throw new InvalidOptionError({ option: "detached", expected, received: value });
  }
  const { key, token, fence, instance = null } = value as Readonly<Record<string, unknown>>;
  return {
    key: checkFullKey(key),
    token: checkToken(token),
    fence: checkDecimal(fence),
    instance: instance === null ? null : checkText("detached.instance", instance, 1, 256),
  };
}

/** The terms of a lock that is adopted, until it is known what its row says. Throws InvalidOptionError. */
export function resolveAdoptOptions(locker: ResolvedLockerOptions, options: unknown): ResolvedAcquireOptions {
  const given = checkNames("adopt's options", options, Object.keys(adoptNames));
  return resolveAcquireOptions(locker, given, { waits: false });
}

function checkFullKey(key: unknown): string {
  try {
    return checkKey(key);
  } catch (error) {
    if (!(error instanceof InvalidKeyError)) throw error;
    throw new InvalidOptionError({ option: "detached.key", expected: error.expected, received: key });
  }
}

function checkToken(token: unknown): string {
  if (typeof token === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(token)) {
    return token.toLowerCase();
  }
  throw new InvalidOptionError({ option: "detached.token", expected: "a uuid", received: token });
}

/** JSON has no bigint. */
function checkDecimal(fence: unknown): bigint {
  const value = typeof fence === "string" && /^[0-9]{1,19}$/.test(fence) ? BigInt(fence) : fence;
  if (isFence(value)) return value;
  const expected = "a fence: a bigint of 1 and up, or its decimal digits";
  throw new InvalidOptionError({ option: "detached.fence", expected, received: fence });
}
