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

/** The promise that was broken. */
export type Kind = "exclusion" | "fences" | "lost updates" | "stale commits" | "money" | "answers" | "settling";

export const kinds: readonly Kind[] = [
  "exclusion",
  "fences",
  "lost updates",
  "stale commits",
  "money",
  "answers",
  "settling",
];

export interface Verdict {
  readonly violations: readonly string[];
  /** The same by what was broken. */
  readonly counts: Readonly<Record<Kind, number>>;
  readonly limits: Readonly<Limits>;
}

export class Findings {
  readonly violations: string[] = [];
  readonly counts: Record<Kind, number> = {
    exclusion: 0,
    fences: 0,
    "lost updates": 0,
    "stale commits": 0,
    money: 0,
    answers: 0,
    settling: 0,
  };
  readonly limits: Limits = { believers: 0, oldGrants: 0, lostWrites: 0, fromLost: 0 };
  readonly #facts: FaultFacts;

  constructor(facts: FaultFacts) {
    this.#facts = facts;
  }

  violation(kind: Kind, what: string): void {
    this.violations.push(what);
    this.counts[kind] += 1;
  }

  /** Counted where the limit of the promise covers it, else a violation. */
  limited(limit: keyof Limits, kind: Kind, what: string, isCovered = true): void {
    if (isCovered && this.#facts.mode === "async" && this.#facts.mayLose) this.limits[limit] += 1;
    else this.violation(kind, what);
  }
}
