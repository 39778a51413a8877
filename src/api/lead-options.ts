import type { LeaseOptions } from "./options.js";
import type { RetryStrategy } from "./retry.js";

/**
 * Options of `lead`. Those of a lease come from the locker where they are left out. The locker's `waitMs` and `retry` do not count: a campaign
 * stands in the queue until it is granted. `waitMs`, `reentry`, and what shares a key are refused.
 */
export interface LeadOptions extends LeaseOptions {
  /**
   * Ends the campaign, or the term: then the body's signal fires, the body is waited for, the lock is released, and `lead` resolves to undefined.
   * A signal that is aborted already sends nothing.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * The pause before each campaign after a loss, and after each look in an outage that was not answered within `requestTimeoutMs`; during the
   * latter the place in the queue is kept. `attempt` is 1 after a loss, and counts on until Postgres answers. With null `lead` gives up:
   * RetriesExhaustedError. Default: none after a loss; in an outage 0.5 s, 1 s, and so on up to 5 s.
   */
  readonly retry?: RetryStrategy | undefined;
}
