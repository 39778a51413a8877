import { Histogram, type HistogramStats } from "./histogram.js";
import { type HotKeyStats, HotKeys } from "./hot-keys.js";
import { Prefixes, type PrefixStats } from "./prefixes.js";

const names = [
  "acquired",
  "refused",
  "timedOut",
  "cancelled",
  "failed",
  "contended",
  "released",
  "renewed",
  "checked",
  "swept",
  "errors",
] as const;

/** What was counted. Each acquire ends in one of the first five. */
export interface TallyStats {
  /** Acquires and tries that were granted. */
  readonly acquired: number;
  /** Tries, and acquires with `waitMs: 0`, that found the key taken. */
  readonly refused: number;
  readonly timedOut: number;
  /** By their signal, or by `close`. */
  readonly cancelled: number;
  /** With any other error. */
  readonly failed: number;
  /** Acquires and tries that did not get the key at their first look, whatever became of them. */
  readonly contended: number;
  readonly released: number;
  /** Renewals that Postgres has confirmed, one for each lock. */
  readonly renewed: number;
  /** Calls of `check` and `isLocked` that were answered. */
  readonly checked: number;
  /** Rows that sweeps of this process have purged. */
  readonly swept: number;
  /** What failed in the background. */
  readonly errors: number;
  /** Locks that this process lost, by the reason. */
  readonly lost: {
    readonly expired: number;
    readonly taken: number;
    readonly "max-hold": number;
    readonly forced: number;
  };
  /** Of the grants, those that took the key from a lease that had run out, or from a dead process. */
  readonly takenOver: { readonly expired: number; readonly orphaned: number };
  /** How long it took from the call to the grant. */
  readonly waits: HistogramStats;
  /** From the grant to the release or the loss. */
  readonly holds: HistogramStats;
  /** The most contended first; at most a hundred, and one for all others. */
  readonly prefixes: readonly PrefixStats[];
  /** The most contended first; at most a hundred. */
  readonly hotKeys: readonly HotKeyStats[];
}

/** Counts of some stretch of time. Two of them add up. */
export class Tally {
  acquired = 0;
  refused = 0;
  timedOut = 0;
  cancelled = 0;
  failed = 0;
  contended = 0;
  released = 0;
  renewed = 0;
  checked = 0;
  swept = 0;
  errors = 0;
  readonly lost = { expired: 0, taken: 0, "max-hold": 0, forced: 0 };
  readonly takenOver = { expired: 0, orphaned: 0 };
  readonly waits: Histogram = new Histogram();
  readonly holds: Histogram = new Histogram();
  readonly prefixes: Prefixes = new Prefixes();
  readonly hotKeys: HotKeys = new HotKeys();

  add(other: Tally): void {
    for (const name of names) {
      this[name] += other[name];
    }
    this.lost.expired += other.lost.expired;
    this.lost.taken += other.lost.taken;
    this.lost["max-hold"] += other.lost["max-hold"];
    this.lost.forced += other.lost.forced;
    this.takenOver.expired += other.takenOver.expired;
    this.takenOver.orphaned += other.takenOver.orphaned;
    this.waits.add(other.waits);
    this.holds.add(other.holds);
    this.prefixes.add(other.prefixes);
    this.hotKeys.add(other.hotKeys);
  }

  snapshot(): TallyStats {
    const { acquired, refused, timedOut, cancelled, failed, contended } = this;
    const { released, renewed, checked, swept, errors } = this;
    return {
      acquired,
      refused,
      timedOut,
      cancelled,
      failed,
      contended,
      released,
      renewed,
      checked,
      swept,
      errors,
      lost: { ...this.lost },
      takenOver: { ...this.takenOver },
      waits: this.waits.snapshot(),
      holds: this.holds.snapshot(),
      prefixes: this.prefixes.snapshot(),
      hotKeys: this.hotKeys.snapshot(),
    };
  }
}
