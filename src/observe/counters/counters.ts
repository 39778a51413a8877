import type { SweepResult } from "../../api/results.js";
import type { LeaseLostError } from "../../errors/errors.js";
import type { Clock } from "../../runtime/clock.js";
import type { TallyStats } from "../../store/counts.js";
import type { AcquireOutcome, ObservedClaim, ObservedLease, Observer } from "../observer.js";
import { PrefixTally } from "./prefixes.js";
import { Tally } from "./tally.js";

/** What a locker has counted. JSON-safe. */
export interface LockerStats extends TallyStats {
  /** When counting began: when the locker was made, or at the last `resetStats()`. ISO 8601, by this machine's clock. */
  readonly since: string;
  /** Locks that this locker currently holds. */
  readonly activeLeases: number;
  /** Acquires of this locker that are currently waiting in a queue. */
  readonly waiters: number;
}

export interface CountersInit {
  readonly clock: Clock;
  readonly prefixOf: (key: string) => string;
  /** Called whenever something was counted. Null: `unflushed` is never read. */
  readonly onCount: (() => void) | null;
}

/**
 * Counts what the locker does. Each event is counted once, in `#recent`. Readers add that to two sums: the one since
 * the last reset, and the one for the database.
 */
export class Counters implements Observer {
  readonly #clock: Clock;
  readonly #prefixOf: (key: string) => string;
  readonly #onCount: (() => void) | null;
  #recent = new Tally();
  #own = new Tally();
  /** Since `unflushed` was last read. */
  #unflushed = new Tally();
  #row = new Tally();
  #sinceMs: number;

  constructor({ clock, prefixOf, onCount }: CountersInit) {
    this.#clock = clock;
    this.#sinceMs = clock.wallNowMs();
    this.#prefixOf = prefixOf;
    this.#onCount = onCount;
  }

  /** Since the last reset. */
  snapshot(present: Pick<LockerStats, "activeLeases" | "waiters">): LockerStats {
    this.#sumUp();
    return { since: new Date(this.#sinceMs).toISOString(), ...present, ...this.#own.snapshot() };
  }

  /** Adds what was counted since the last reset. */
  addTo(sum: Tally): void {
    this.#sumUp();
    sum.add(this.#own);
  }

  reset(): void {
    this.#sumUp();
    this.#own = new Tally();
    this.#sinceMs = this.#clock.wallNowMs();
  }

  /** Since `beginRow`. A reset has no effect on it. */
  unflushed(): TallyStats {
    this.#sumUp();
    this.#row.add(this.#unflushed);
    this.#unflushed = new Tally();
    return this.#row.snapshot();
  }

  /** Forgets what `unflushed` has returned. */
  beginRow(): void {
    this.#row = new Tally();
  }

  acquireEnded(claim: ObservedClaim, outcome: AcquireOutcome, waitedMs: number): void {
    const { key, isContended, takeover } = claim;
    // Do not count a failure under a prefix: its key may be one that the database cannot store.
    const prefixOfKey = isContended || outcome !== "failed" ? this.#prefixOf(key) : null;
    const tally = this.#recent; // only now: the user's statsPrefix may have read the counts
    const prefix = prefixOfKey === null ? new PrefixTally() : tally.prefixes.of(prefixOfKey);
    if (isContended) {
      tally.plain.contended += 1;
      prefix.counts.contended += 1;
      tally.hotKeys.contend(key);
    }
    switch (outcome) {
      case "granted":
        tally.plain.acquired += 1;
        tally.waits.record(waitedMs);
        tally.hotKeys.acquire(key, waitedMs);
        prefix.counts.acquired += 1;
        prefix.waitedMs += waitedMs;
        if (takeover !== null) {
          tally.takenOver[takeover.reason] += 1;
          prefix.counts.takenOver += 1;
        }
        break;
      case "held":
        tally.plain.refused += 1;
        prefix.counts.refused += 1;
        break;
      case "timed-out":
        tally.plain.timedOut += 1;
        prefix.counts.timedOut += 1;
        break;
      default:
        tally.plain[outcome] += 1;
    }
    this.#onCount?.();
  }

  released(_lease: ObservedLease, heldMs: number): void {
    this.#recent.plain.released += 1;
    this.#recent.holds.record(heldMs);
    this.#onCount?.();
  }

  renewed(): void {
    this.#recent.plain.renewed += 1;
    this.#onCount?.();
  }

  lost(_lease: ObservedLease, { reason }: LeaseLostError, heldMs: number): void {
    // A lock that `close` takes from its holder counts as released, not as lost.
    if (reason !== "closed") {
      this.#recent.lost[reason] += 1;
      this.#recent.holds.record(heldMs);
      this.#onCount?.();
    }
  }

  checked(): void {
    this.#recent.plain.checked += 1;
    this.#onCount?.();
  }

  swept({ leasesPurged, waitersPurged, sessionsPurged, countersPurged }: SweepResult): void {
    const rows = leasesPurged + waitersPurged + sessionsPurged + countersPurged;
    if (rows > 0) {
      this.#recent.plain.swept += rows;
      this.#onCount?.();
    }
  }

  failed(): void {
    this.#recent.plain.errors += 1;
    this.#onCount?.();
  }

  #sumUp(): void {
    const recent = this.#recent;
    this.#recent = new Tally();
    this.#own.add(recent);
    if (this.#onCount !== null) {
      this.#unflushed.add(recent);
    }
  }
}
