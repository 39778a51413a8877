import type { BackoffOptions, RetryStrategy } from "../api/retry.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkMs, checkNames } from "../errors/option-checks.js";

const MAX_DELAY_MS = 30_000;

/**
 * Ready-made strategies for the option `retry`. Delays are whole milliseconds. A strategy keeps no state: one can serve any number of calls.
 *
 * ```ts
 * import { backoff } from "leasehold";
 *
 * const lock = await locker.acquire("order:42", { retry: backoff.exponential(100, { retries: 8 }) });
 * ```
 */
export const backoff: {
  /** The same delay each time. @throws {InvalidOptionError} */
  fixed(delayMs: number, options?: BackoffOptions): RetryStrategy;
  /** `stepMs`, twice that, three times that, and so on up to `maxDelayMs`. @throws {InvalidOptionError} */
  linear(stepMs: number, options?: BackoffOptions): RetryStrategy;
  /** `firstMs`, twice that, four times that, and so on up to `maxDelayMs`. @throws {InvalidOptionError} */
  exponential(firstMs: number, options?: BackoffOptions): RetryStrategy;
} = backoffBy(() => Math.random());

/** `random` is like `Math.random`. */
export function backoffBy(random: () => number): typeof backoff {
  const strategy = (firstMs: number, options: unknown, growth: (attempt: number) => number): RetryStrategy => {
    const given = checkNames("the options of backoff", options, ["retries", "maxDelayMs", "jitter"]);
    const retries = given.retries === undefined ? Number.POSITIVE_INFINITY : checkRetries(given.retries);
    const maxDelayMs =
      given.maxDelayMs === undefined ? Math.max(MAX_DELAY_MS, firstMs) : checkMs("maxDelayMs", given.maxDelayMs, 1);
    const jitter = given.jitter === undefined ? 0.2 : checkJitter(given.jitter);
    return (attempt) => {
      if (attempt > retries) {
        return null;
      }
      // The growth may be infinite; what is left of it here is not.
      const delayMs = Math.min(firstMs * growth(attempt), maxDelayMs);
      return Math.ceil(delayMs * (1 - jitter * random()));
    };
  };
  return Object.freeze({
    fixed: (delayMs: number, options?: BackoffOptions) => strategy(checkMs("delayMs", delayMs, 1), options, () => 1),
    linear: (stepMs: number, options?: BackoffOptions) =>
      strategy(checkMs("stepMs", stepMs, 1), options, (attempt) => attempt),
    exponential: (firstMs: number, options?: BackoffOptions) =>
      strategy(checkMs("firstMs", firstMs, 1), options, (attempt) => 2 ** (attempt - 1)),
  });
}

function checkRetries(value: unknown): number {
  if (value === Number.POSITIVE_INFINITY || (Number.isSafeInteger(value) && (value as number) >= 0)) {
    return value as number;
  }
  throw new InvalidOptionError({ option: "retries", expected: "an integer of 0 and up, or Infinity", received: value });
}

function checkJitter(value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw new InvalidOptionError({ option: "jitter", expected: "a number of 0 to 1", received: value });
}
