/**
 * How long to pause before the next try, in milliseconds: 0 and up, or null to give up. `attempt` is how often the key was tried so far: 1 after
 * the first refusal. It is called after each try that was not granted, also after one that Postgres did not answer. What it throws rejects
 * the call.
 *
 * ```ts
 * const patient = (attempt: number) => (attempt < 5 ? 100 : attempt < 20 ? 1_000 : null);
 * const lock = await locker.acquire("order:42", { retry: patient });
 * ```
 */
export type RetryStrategy = (attempt: number) => number | null;

/** Options of the ready-made retry strategies. */
export interface BackoffOptions {
  /**
   * How often to try again before RetriesExhaustedError: the key is tried once more than that. An integer of 0 and up, or `Infinity`; default
   * `Infinity`.
   */
  readonly retries?: number | undefined;
  /** No delay is longer. An integer of 1 to 2,147,483,647 ms; default 30,000, or the first delay if that is longer. */
  readonly maxDelayMs?: number | undefined;
  /**
   * Which part of each delay is random, so that callers that were refused together do not try again together: a delay is between
   * `delay * (1 - jitter)` and `delay`, each value as likely as the other. A number of 0 to 1; default 0.2.
   */
  readonly jitter?: number | undefined;
}
