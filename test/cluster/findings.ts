import type { FaultFacts } from "./history.js";

/** What the limit of the promise covers, counted. All 0 with synchronous replication. */
export interface Limits {
  /** Pairs of locks on one key that were believed in at once. */
  believers: number;
  /** Grants by an old primary, after a new one had granted the key with a larger fence. */
  oldGrants: number;
  /** Guarded writes that were answered as committed, and are not in the database of the new primary. */
  lostWrites: number;
  /** Increments that were computed from a value which the failover had lost. */
  fromLost: number;
}

export interface Verdict {
  readonly violations: readonly string[];
  readonly limits: Readonly<Limits>;
}

export class Findings {
  readonly violations: string[] = [];
  readonly limits: Limits = { believers: 0, oldGrants: 0, lostWrites: 0, fromLost: 0 };
  readonly #facts: FaultFacts;

  constructor(facts: FaultFacts) {
    this.#facts = facts;
  }

  violation(what: string): void {
    this.violations.push(what);
  }

  /** Counted where the limit of the promise covers it, else a violation. */
  limited(limit: keyof Limits, what: string, isCovered = true): void {
    if (isCovered && this.#facts.mode === "async" && this.#facts.mayLose) this.limits[limit] += 1;
    else this.violation(what);
  }
}
