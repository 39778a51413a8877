// Two clocks: processes write down the monotonic one of the machine, servers its wall clock. `clock` entries say what both were
// at one moment. All times are in microseconds.

export interface ClockEntry {
  readonly t: number;
  readonly wall: number;
}

export interface ClockStep {
  readonly t: number;
  readonly node: string;
  readonly offset: number;
}

/** So far the two may be mapped wrongly: a `clock` entry reads them one after the other, some of them in whole milliseconds. */
export const SLACK = 2_000;

/** How many entries an offset is the median of: one that was interrupted between its two readings is outvoted. */
const WINDOW = 9;

export class Times {
  /** The first moment of the log: sentences count from here. */
  readonly origin: number;
  readonly #at: readonly number[];
  readonly #offsets: readonly number[];
  /** When a server's clock was first set. */
  readonly #firstStep = new Map<string, { readonly t: number; readonly wall: number }>();

  constructor(origin: number, clocks: readonly ClockEntry[], steps: readonly ClockStep[]) {
    this.origin = origin;
    const sorted = [...clocks].sort((one, other) => one.t - other.t);
    this.#at = sorted.map(({ t }) => t);
    const offsets = sorted.map(({ t, wall }) => wall - t);
    this.#offsets = offsets.map((_, at) => {
      const from = Math.max(0, Math.min(at - Math.floor(WINDOW / 2), offsets.length - WINDOW));
      return median(offsets.slice(from, from + WINDOW));
    });
    const current = new Map<string, number>();
    for (const { t, node, offset } of [...steps].sort((one, other) => one.t - other.t)) {
      const isSet = offset !== (current.get(node) ?? 0);
      current.set(node, offset);
      if (!isSet) continue;
      const first = this.#firstStep.get(node);
      // A clock that goes back shows the same times twice, and with each step perhaps older ones: those before the first step are mapped up to
      // the oldest that it has gone back to.
      const shown = this.isKnown
        ? this.wallOf(t) + (first === undefined ? Math.min(0, offset) : offset) - SLACK
        : Number.NEGATIVE_INFINITY;
      this.#firstStep.set(node, { t: first?.t ?? t, wall: Math.min(first?.wall ?? shown, shown) });
    }
  }

  get isKnown(): boolean {
    return this.#at.length > 0;
  }

  /** When the clock of any server was first set; infinite: never. */
  get firstStepAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#firstStep.values()].map(({ t }) => t));
  }

  wallOf(t: number): number {
    return t + this.#offsetNear(t);
  }

  /** Null: not known, also after the clock of that server was set. */
  monotonic(wall: number, node: string): number | null {
    if (!this.isKnown || !this.isBeforeStep(wall, node)) return null;
    const about = wall - (this.#offsets[Math.floor(this.#offsets.length / 2)] ?? 0);
    return wall - this.#offsetNear(about);
  }

  /** Whether this time of a server was certainly told before its clock was first set. */
  isBeforeStep(wall: number, node: string): boolean {
    const step = this.#firstStep.get(node);
    return step === undefined || wall < step.wall;
  }

  /** As sentences tell it. */
  say(t: number): string {
    return Number.isFinite(t) ? `${((t - this.origin) / 1_000_000).toFixed(3)} s` : "the end";
  }

  sayWall(wall: number | null, node: string): string {
    if (wall === null) return "never";
    const t = this.monotonic(wall, node);
    return t === null ? `${new Date(wall / 1_000).toISOString()} of ${node}` : this.say(t);
  }

  #offsetNear(t: number): number {
    let low = 0;
    let high = this.#at.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#at[middle] ?? 0) < t) low = middle + 1;
      else high = middle;
    }
    return this.#offsets[low] ?? 0;
  }
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? 0;
}
