import type { HistogramStats } from "../../store/counts.js";
/**
 * Inclusive upper bounds of the buckets in milliseconds: 1, 2, 4, ... 2^26 (18.6 hours). One more bucket has everything
 * longer. They are the same in every process and must never change, so that histograms can be added up.
 */
export const BOUNDS_MS: readonly number[] = Array.from({ length: 27 }, (_, power) => 2 ** power);

export class Histogram {
  readonly #counts: number[] = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  #sumMs = 0;

  record(ms: number): void {
    const bucket = bucketOf(ms);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sumMs += ms;
  }

  add(other: Histogram): void {
    other.#counts.forEach((count, bucket) => {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
    });
    this.#sumMs += other.#sumMs;
  }

  snapshot(): HistogramStats {
    const count = this.#counts.reduce((sum, one) => sum + one, 0);
    return {
      count,
      sumMs: this.#sumMs,
      meanMs: count === 0 ? null : this.#sumMs / count,
      p50Ms: this.#percentile(count * 0.5),
      p95Ms: this.#percentile(count * 0.95),
      p99Ms: this.#percentile(count * 0.99),
      boundsMs: BOUNDS_MS,
      counts: [...this.#counts],
    };
  }

  #percentile(rank: number): number | null {
    let seen = 0;
    const bucket = this.#counts.findIndex((count) => {
      seen += count;
      return count > 0 && seen >= rank;
    });
    return BOUNDS_MS[bucket] ?? null;
  }
}

/** The first bucket whose bound is at least `ms`: ⌈log2⌉, computed from the leading zeros. */
function bucketOf(ms: number): number {
  if (ms <= 1) {
    return 0;
  }
  return ms > 2 ** 26 ? BOUNDS_MS.length : 32 - Math.clz32(Math.ceil(ms) - 1);
}
