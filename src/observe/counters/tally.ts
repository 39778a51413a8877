import {
  type LossCounts,
  lossCounters,
  type PlainCounts,
  plainCounters,
  type TakeoverCounts,
  type TallyStats,
  takeoverCounters,
} from "../../store/counts.js";
import { Histogram } from "./histogram.js";
import { HotKeys } from "./hot-keys.js";
import { Prefixes } from "./prefixes.js";
import { addTo, zeros } from "./sums.js";

/** Counts over some period. Tallies can be added up. */
export class Tally {
  readonly plain: PlainCounts = zeros(plainCounters);
  readonly lost: LossCounts = zeros(lossCounters);
  readonly takenOver: TakeoverCounts = zeros(takeoverCounters);
  readonly waits: Histogram = new Histogram();
  readonly holds: Histogram = new Histogram();
  readonly prefixes: Prefixes = new Prefixes();
  readonly hotKeys: HotKeys = new HotKeys();

  add(other: Tally): void {
    addTo(this.plain, other.plain);
    addTo(this.lost, other.lost);
    addTo(this.takenOver, other.takenOver);
    this.waits.add(other.waits);
    this.holds.add(other.holds);
    this.prefixes.add(other.prefixes);
    this.hotKeys.add(other.hotKeys);
  }

  snapshot(): TallyStats {
    return {
      ...this.plain,
      lost: { ...this.lost },
      takenOver: { ...this.takenOver },
      waits: this.waits.snapshot(),
      holds: this.holds.snapshot(),
      prefixes: this.prefixes.snapshot(),
      hotKeys: this.hotKeys.snapshot(),
    };
  }
}
