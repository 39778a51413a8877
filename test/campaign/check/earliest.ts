// Of grants with larger fences than a given one: which came first.
interface Fenced {
  readonly fence: bigint;
}

export interface First<Grant> {
  readonly t: number;
  readonly of: Grant;
}

export class Earliest<Grant extends Fenced> {
  readonly #fences: readonly bigint[];
  /** Of those from that place on. */
  readonly #first: readonly (First<Grant> | undefined)[];
  readonly #firstAlone: readonly (First<Grant> | undefined)[];

  /** `read`: when it came, null where that is not known, and whether it is a share. */
  constructor(grants: readonly Grant[], read: (grant: Grant) => readonly [t: number | null, isShare: boolean]) {
    const sorted = [...grants].sort((one, other) => (one.fence < other.fence ? -1 : one.fence > other.fence ? 1 : 0));
    const first: (First<Grant> | undefined)[] = Array.from({ length: sorted.length });
    const firstAlone: (First<Grant> | undefined)[] = Array.from({ length: sorted.length });
    let earliest: First<Grant> | undefined;
    let earliestAlone: First<Grant> | undefined;
    for (let at = sorted.length - 1; at >= 0; at -= 1) {
      const of = sorted[at] as Grant;
      const [t, isShare] = read(of);
      if (t !== null && (earliest === undefined || t < earliest.t)) earliest = { t, of };
      if (t !== null && !isShare && (earliestAlone === undefined || t < earliestAlone.t)) earliestAlone = { t, of };
      first[at] = earliest;
      firstAlone[at] = earliestAlone;
    }
    this.#fences = sorted.map(({ fence }) => fence);
    this.#first = first;
    this.#firstAlone = firstAlone;
  }

  /** `isShare`: of those only that are no shares, which stand beside each other. */
  after(fence: bigint, isShare: boolean): First<Grant> | undefined {
    let low = 0;
    let high = this.#fences.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#fences[middle] as bigint) <= fence) low = middle + 1;
      else high = middle;
    }
    return (isShare ? this.#firstAlone : this.#first)[low];
  }
}
