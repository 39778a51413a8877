import { after, driftMarginMs, type Instant, monotonicMsUntil, sleep } from "./clock.js";
import { LeaseholdError, UnavailableError } from "./errors.js";

/** The statements that one acquire sent: how many, and whether one of them may still run. */
export class Attempts {
  /** How long after its deadline the server's clock may still be before it, as this process sees it. */
  readonly #graceMs: number;
  #count = 0;
  #open = 0;
  #onAnswered: (() => void) | null = null;
  #unresolvedUntil: Instant | null = null;

  constructor(requestTimeoutMs: number) {
    this.#graceMs = driftMarginMs(requestTimeoutMs);
  }

  get count(): number {
    return this.#count;
  }

  /** Whether one had no answer, or has none yet. */
  get hasDoubt(): boolean {
    return this.#open > 0 || this.#unresolvedUntil !== null;
  }

  /** Whether one had no answer. */
  get hasLost(): boolean {
    return this.#unresolvedUntil !== null;
  }

  /** Whether one that had no answer may still be carried out. */
  get hasUnresolved(): boolean {
    return this.#unresolvedUntil !== null && monotonicMsUntil(this.#unresolvedUntil) > 0;
  }

  /** `deadline`: the server refuses what arrives later. */
  async track<Answer>(deadline: Instant, attempt: Promise<Answer>): Promise<Answer> {
    this.#count += 1;
    this.#open += 1;
    try {
      return await attempt;
    } catch (error) {
      if (!(error instanceof LeaseholdError) || (error instanceof UnavailableError && error.outcome === "unknown")) {
        this.#unresolvedUntil = after(deadline, this.#graceMs);
      }
      throw error;
    } finally {
      this.#open -= 1;
      if (this.#open === 0) {
        this.#onAnswered?.();
      }
    }
  }

  /** Resolves when none can be carried out any more, or at once when `signal` fires and all are answered. One caller at a time. */
  async ended(signal: AbortSignal): Promise<void> {
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#onAnswered = resolve;
      });
    }
    if (this.#unresolvedUntil !== null) {
      await sleep(monotonicMsUntil(this.#unresolvedUntil), { keepsAlive: true, signal });
    }
  }
}
