import { driftMarginMs, type Instant } from "../../runtime/clock.js";
import type { ClockSample } from "./connect.js";

/**
 * What the answers say about the server's clock. An answer's time X lies between the moments it was asked for and heard:
 * server time X is not before local `sentAt`, and local `receivedAt` is not before server time X.
 */
export class ServerClock {
  #latest: ClockSample | null = null;

  learn(sample: ClockSample): void {
    this.#latest = sample;
  }

  /** The server's time at a local moment, or a little less: never ahead of it. */
  at(instant: Instant): number | null {
    if (this.#latest === null) {
      return null;
    }
    const ms = instant.monotonicMs - this.#latest.receivedAt.monotonicMs;
    return this.#latest.serverMs + ms - driftMarginMs(Math.abs(ms));
  }
}

/** The last local moment at which a server time is surely not yet reached, a margin for drift taken off. */
export function localBound(serverMs: number, answer: { readonly sentAt: Instant; readonly serverMs: number }): Instant {
  const ms = serverMs - answer.serverMs;
  const safeMs = ms - driftMarginMs(Math.max(ms, 0));
  return { monotonicMs: answer.sentAt.monotonicMs + safeMs, wallMs: answer.sentAt.wallMs + safeMs };
}
