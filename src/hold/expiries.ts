import { type Clock, Due } from "../runtime/clock.js";
import type { LinkedList } from "../runtime/linked-list.js";
import type { Lease } from "./lease.js";

/** Only a lease that is this close to its expiry has a timer of its own. Most are renewed or released before. */
const NEAR_MS = 500;

/**
 * Notices leases that expire, so that their signals fire in time. All share one timer. It reads their deadlines when it fires, so a
 * renewal does not have to touch it.
 */
export class Expiries {
  readonly #clock: Clock;
  readonly #leases: LinkedList<Lease>;
  readonly #due: Due;

  constructor(clock: Clock, leases: LinkedList<Lease>) {
    this.#clock = clock;
    this.#due = new Due(clock, () => this.#look());
    this.#leases = leases;
  }

  watch(lease: Lease, nowMs: number, msLeft: number): void {
    if (msLeft <= NEAR_MS) {
      this.#watchClosely(lease, msLeft);
    } else {
      this.#due.by(nowMs + msLeft - NEAR_MS);
    }
  }

  drop(lease: Lease): void {
    lease.expiryTimer?.cancel();
    lease.expiryTimer = null;
  }

  stop(): void {
    this.#due.stop();
  }

  #look(): void {
    let leastMs = Number.POSITIVE_INFINITY;
    for (const lease of [...this.#leases]) {
      if (lease.expiryTimer !== null) {
        continue;
      }
      const { msLeft } = lease;
      if (msLeft <= NEAR_MS) {
        this.#watchClosely(lease, msLeft);
      } else {
        leastMs = Math.min(leastMs, msLeft);
      }
    }
    // They are checked together: 10,000 leases with a deadline each cause no more than a few checks a second.
    this.#due.by(this.#clock.monotonicNowMs() + Math.max(leastMs - NEAR_MS, NEAR_MS / 2));
  }

  #watchClosely(lease: Lease, msLeft: number): void {
    lease.expiryTimer = this.#clock.startTimer(Math.max(1, msLeft), () => {
      lease.expiryTimer = null;
      // Reading the phase notices the expiry.
      if (lease.phase === "held") {
        this.watch(lease, this.#clock.monotonicNowMs(), lease.msLeft);
      }
    });
  }
}
