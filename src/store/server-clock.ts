import { driftMarginMs, type Instant } from "../runtime/clock.js";

/** The server's time in an answer, and the local times between which it was read. */
export interface ClockSample {
  readonly sentAt: Instant;
  readonly receivedAt: Instant;
  readonly serverMs: number;
}

/** What answers say about the server's clock, or a store's. */
export class ServerClock {
  #serverMs: number | null = null;
  #receivedAtMs = Number.NEGATIVE_INFINITY;

  /** `receivedAtMs`: when the answer was received, on the monotonic clock. The server had read its time before. */
  learn(serverMs: number, receivedAtMs: number): void {
    this.#serverMs = serverMs;
    this.#receivedAtMs = receivedAtMs;
  }

  /** How long ago it was learnt, at a local instant; `Infinity` when it was not. */
  ageMsAt({ monotonicMs }: Instant): number {
    return monotonicMs - this.#receivedAtMs;
  }

  /** The server's time at a local instant, or `inMs` after it, or slightly less: never ahead of it. */
  at(instant: Instant, inMs = 0): number | null {
    if (this.#serverMs === null) {
      return null;
    }
    const ms = instant.monotonicMs + inMs - this.#receivedAtMs;
    return this.#serverMs + ms - driftMarginMs(Math.abs(ms));
  }
}

/** The last local instant at which a server time is certainly not reached yet, less a margin for drift (decision 16). */
export function localBound(serverMs: number, answer: { readonly sentAt: Instant; readonly serverMs: number }): Instant {
  const ms = serverMs - answer.serverMs;
  const safeMs = ms - driftMarginMs(Math.max(ms, 0));
  return { monotonicMs: answer.sentAt.monotonicMs + safeMs, wallMs: answer.sentAt.wallMs + safeMs };
}
