import type { TallyStats } from "../../store/counts.js";
import { Histogram } from "./histogram.js";
import { HotKeys } from "./hot-keys.js";
import { Prefixes } from "./prefixes.js";

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
