import { driftMarginMs, type Instant } from "../runtime/clock.js";

/** The server's time in an answer, and the local times between which it was read. */
export interface ClockSample {
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  readonly serverMs: number;
}

/** What answers say about the server's clock. The server read its time between the local times `sentAt` and `receivedAt`. */
export class ServerClock {
  #latest: ClockSample | null = null;

  learn(sample: ClockSample): void {
    this.#latest = sample;
  }

  /** The server's time at a local instant, or slightly less: never ahead of it. */
  at(instant: Instant): number | null {
    if (this.#latest === null) {
      return null;
    }
    const ms = instant.monotonicMs - this.#latest.receivedAt.monotonicMs;
    return this.#latest.serverMs + ms - driftMarginMs(Math.abs(ms));
  }
}

/** The last local instant at which a server time is certainly not reached yet, less a margin for drift (decision 16). */
export function localBound(serverMs: number, answer: { readonly sentAt: Instant; readonly serverMs: number }): Instant {
  const ms = serverMs - answer.serverMs;
  const safeMs = ms - driftMarginMs(Math.max(ms, 0));
  return { monotonicMs: answer.sentAt.monotonicMs + safeMs, wallMs: answer.sentAt.wallMs + safeMs };
}
