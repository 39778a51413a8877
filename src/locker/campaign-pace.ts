import { checkDelay } from "../acquire/retrying.js";
import type { RetryStrategy } from "../api/retry.js";
import { backoff } from "../config/backoff.js";
import type { OutagePace } from "../config/outage-pace.js";
import { RetriesExhaustedError } from "../errors/errors.js";
import { quote } from "../runtime/describe.js";

const atOnce: RetryStrategy = () => 0;
const inOutage: RetryStrategy = backoff.exponential(500, { maxDelayMs: 5_000 });

/** The pauses of one `lead`, in milliseconds. It counts what went wrong in a row: a loss, then each look that was not answered. */
export class CampaignPace implements OutagePace {
  readonly #key: string;
  readonly #retry: RetryStrategy | null;
  #attempt = 0;

  /** `retry` null: the defaults. */
  constructor(key: string, retry: RetryStrategy | null) {
    this.#key = key;
    this.#retry = retry;
  }

  /** Before the campaign that follows a term. @throws as `failed` does */
  lost(loss: unknown): number {
    this.#attempt = 0;
    return this.#next(loss, atOnce);
  }

  /**
   * Before it goes on in an outage.
   * @throws {RetriesExhaustedError} when the strategy gives up @throws {InvalidOptionError} for a delay that is none; what the strategy throws
   */
  failed(failure: unknown): number {
    return this.#next(failure, inOutage);
  }

  answered(): void {
    this.#attempt = 0;
  }

  #next(cause: unknown, byDefault: RetryStrategy): number {
    this.#attempt += 1;
    const attempts = this.#attempt;
    const delayMs = checkDelay((this.#retry ?? byDefault)(attempts));
    if (delayMs === null) {
      const message = `Gave up leading ${quote(this.#key)}: the strategy given as retry returned null at attempt ${attempts}. Let it go on for longer, or leave it out to campaign until the signal fires.`;
      throw new RetriesExhaustedError({ key: this.#key, attempts, message, cause });
    }
    return delayMs;
  }
}
