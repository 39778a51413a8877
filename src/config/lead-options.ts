import type { LeadOptions } from "../api/lead-options.js";
import type { RetryStrategy } from "../api/retry.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkFunction, checkNames } from "../errors/option-checks.js";
import { checkMinHold } from "./min-hold.js";
import { type ResolvedAcquireOptions, type ResolvedLockerOptions, resolveAcquireOptions } from "./resolve-options.js";

export interface ResolvedLeadOptions {
  readonly signal: AbortSignal | null;
  /** Null: the defaults. */
  readonly retry: RetryStrategy | null;
  /** The terms of one campaign: a minimum hold that is a pair is drawn for each. */
  readonly draw: () => ResolvedAcquireOptions;
}

/** An object, so that the compiler notices a missing name. */
const names: { readonly [Name in keyof LeadOptions]-?: true } = {
  ttlMs: true,
  keepAlive: true,
  renewEveryMs: true,
  minHoldMs: true,
  maxHoldMs: true,
  guardTimeoutMs: true,
  metadata: true,
  owner: true,
  onLost: true,
  signal: true,
  retry: true,
};

/** What other calls take, and why this one does not. */
const refused: Readonly<Record<string, string>> = {
  shared: "a leader is alone",
  capacity: "a leader is alone",
  weight: "a leader is alone",
  waitMs: "lead waits until it leads, and its signal ends that",
  reentry: "give it to createLocker",
};

/**
 * Checks the options of `lead`, and fills in those of the locker. They are read once: changes that the caller makes later have no effect. Throws
 * InvalidOptionError.
 */
export function resolveLeadOptions(locker: ResolvedLockerOptions, options: unknown): ResolvedLeadOptions {
  const given = checkNames("lead's options", options, [...Object.keys(names), ...Object.keys(refused)]);
  for (const [option, why] of Object.entries(refused)) {
    if (given[option] !== undefined) {
      throw new InvalidOptionError({ option, expected: `no ${option}: ${why}`, received: given[option] });
    }
  }
  const { retry, minHoldMs, ...others } = given;
  // In the queue, for as long as it takes, whatever the locker says of other calls.
  const campaigning: ResolvedLockerOptions = { ...locker, waitMs: Number.POSITIVE_INFINITY, retry: null };
  const once = resolveAcquireOptions(campaigning, others, { waits: true });
  const byDefault: ResolvedLockerOptions = {
    ...campaigning,
    ...once,
    minHoldMs: minHoldMs === undefined ? locker.minHoldMs : checkMinHold(minHoldMs),
  };
  const { signal } = once;
  return {
    signal,
    retry: retry === undefined ? null : checkFunction("retry", retry),
    draw: () => ({ ...resolveAcquireOptions(byDefault, {}, { waits: true }), signal }),
  };
}
