/**
 * Sums that are told as a mean, which is rounded, and a count: what follows from them can fall a little where nothing was taken away. Prometheus
 * would take that for a counter that began anew.
 */
export class RisingSums {
  readonly #last = new Map<string, { readonly count: number; readonly sum: number }>();

  /** No less than it was, unless there are fewer than there were. */
  of(name: string, mean: number, count: number): number {
    const before = this.#last.get(name);
    const sum = before !== undefined && count >= before.count ? Math.max(before.sum, mean * count) : mean * count;
    this.#last.set(name, { count, sum });
    return sum;
  }
}
