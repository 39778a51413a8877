import type { LeaseLostError, LossReason } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";
import type { ObservedLease } from "./observer.js";

/** How long a lost lock is remembered, and how many are. */
const GRACE_MS = 600_000;
const MAX_LOST = 100;

/** A lock that this process lost recently. */
export interface LostLock {
  /** The full key, prefix included. */
  readonly key: string;
  /** A decimal number. */
  readonly fence: string;
  /** The option `owner`. */
  readonly owner: string;
  /** Why, as in LeaseLostError. */
  readonly reason: LossReason;
  /** ISO 8601, by this process's clock. */
  readonly lostAt: string;
  /** Milliseconds from the grant to the loss. */
  readonly heldMs: number;
  /**
   * What the key's row contained when this process cleaned up after the loss. `ours`: nobody else was granted the key
   * before. `taken`: another held it. `free`: neither. Null if there is no answer yet.
   */
  readonly found: "ours" | "taken" | "free" | null;
}

interface Entry {
  readonly lease: ObservedLease;
  readonly error: LeaseLostError;
  readonly heldMs: number;
  readonly at: Instant;
}

/** The locks that this process lost recently. */
export class RecentlyLost {
  readonly #clock: Clock;
  #entries: Entry[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(lease: ObservedLease, error: LeaseLostError, heldMs: number): void {
    this.#entries = [...this.#fresh().slice(1 - MAX_LOST), { lease, error, heldMs, at: this.#clock.now() }];
  }

  /** Newest first. */
  all(): readonly LostLock[] {
    this.#entries = this.#fresh();
    return this.#entries.map(toLostLock).reverse();
  }

  #fresh(): Entry[] {
    const { monotonicMs } = this.#clock.now();
    return this.#entries.filter(({ at }) => monotonicMs - at.monotonicMs < GRACE_MS);
  }
}

function toLostLock({ lease, error, heldMs, at }: Entry): LostLock {
  const { key, fence, terms, claim } = lease;
  return {
    key,
    fence: fence.toString(),
    owner: terms.owner,
    reason: error.reason,
    lostAt: new Date(at.wallMs).toISOString(),
    heldMs,
    found: claim.found,
  };
}
