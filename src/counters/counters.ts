import type { Acquisition } from "../acquisition.js";
import { now } from "../clock.js";
import type { LeaseLostError } from "../errors.js";
import type { Lease } from "../lease.js";
import type { AcquireOutcome, Observer } from "../observer.js";
import type { SweepResult } from "../store.js";
import { PrefixCounts } from "./prefixes.js";
import { Tally, type TallyStats } from "./tally.js";

/** What a locker has counted, of itself. JSON-safe. */
export interface LockerStats extends TallyStats {
  /** When counting began: with the locker, or at the last `resetStats()`. In ISO 8601, by this machine's clock. */
  readonly since: string;
  /** Locks that this locker holds now. */
  readonly activeLeases: number;
  /** Acquires of this locker that wait in line now. */
  readonly waiters: number;
}

export interface CountersInit {
  readonly prefixOf: (key: string) => string;
  /** Called each time when something was counted. Null: `unflushed` is never read. */
  readonly onCount: (() => void) | null;
}

/**
 * Counts what the locker does. What happens is counted once, in `#recent`; who reads adds that to the sums: to those since the
 * last reset, and to those that go to the database.
 */
export class Counters implements Observer {
  readonly #prefixOf: (key: string) => string;
  readonly #onCount: (() => void) | null;
  #recent = new Tally();
  #own = new Tally();
  /** Since `unflushed` was read. */
  #unflushed = new Tally();
  #row = new Tally();
  #sinceMs = now().wallMs;

  constructor({ prefixOf, onCount }: CountersInit) {
    this.#prefixOf = prefixOf;
    this.#onCount = onCount;
  }

  /** Since the last reset. */
  snapshot(present: Pick<LockerStats, "activeLeases" | "waiters">): LockerStats {
    this.#sumUp();
    return { since: new Date(this.#sinceMs).toISOString(), ...present, ...this.#own.snapshot() };
  }

  reset(): void {
    this.#sumUp();
    this.#own = new Tally();
    this.#sinceMs = now().wallMs;
  }

  /** Since `beginRow`: a reset takes nothing away. */
  unflushed(): TallyStats {
    this.#sumUp();
    this.#row.add(this.#unflushed);
    this.#unflushed = new Tally();
    return this.#row.snapshot();
  }

  /** What `unflushed` has told is forgotten. */
  beginRow(): void {
    this.#row = new Tally();
  }

  acquireEnded(acquisition: Acquisition, outcome: AcquireOutcome, waitedMs: number): void {
    const { key, isContended, takeover } = acquisition;
    // What failed is counted under no prefix: its key may be one that the database cannot store.
    const prefixOfKey = isContended || outcome !== "failed" ? this.#prefixOf(key) : null;
    const tally = this.#recent; // not before: the user's statsPrefix may have read the counts
    const prefix = prefixOfKey === null ? new PrefixCounts() : tally.prefixes.of(prefixOfKey);
    if (isContended) {
      tally.contended += 1;
      prefix.contended += 1;
      tally.hotKeys.contend(key);
    }
    switch (outcome) {
      case "granted":
        tally.acquired += 1;
        tally.waits.record(waitedMs);
        tally.hotKeys.acquire(key, waitedMs);
        prefix.acquired += 1;
        prefix.waitedMs += waitedMs;
        if (takeover !== null) {
          tally.takenOver[takeover.reason] += 1;
          prefix.takenOver += 1;
        }
        break;
      case "held":
        tally.refused += 1;
        prefix.refused += 1;
        break;
      case "timed-out":
        tally.timedOut += 1;
        prefix.timedOut += 1;
        break;
      default:
        tally[outcome] += 1;
    }
    this.#onCount?.();
  }

  released(_lease: Lease, heldMs: number): void {
    this.#recent.released += 1;
    this.#recent.holds.record(heldMs);
    this.#onCount?.();
  }

  renewed(): void {
    this.#recent.renewed += 1;
    this.#onCount?.();
  }

  lost(_lease: Lease, { reason }: LeaseLostError, heldMs: number): void {
    // What `close` takes from its holders is released.
    if (reason !== "closed") {
      this.#recent.lost[reason] += 1;
      this.#recent.holds.record(heldMs);
      this.#onCount?.();
    }
  }

  checked(): void {
    this.#recent.checked += 1;
    this.#onCount?.();
  }

  swept({ leasesPurged, waitersPurged, sessionsPurged, countersPurged }: SweepResult): void {
    const rows = leasesPurged + waitersPurged + sessionsPurged + countersPurged;
    if (rows > 0) {
      this.#recent.swept += rows;
      this.#onCount?.();
    }
  }

  failed(): void {
    this.#recent.errors += 1;
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
