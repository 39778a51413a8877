// What a check found: violations in plain sentences, each with the entries that show it, and how much was compared at all.
import type { Entry } from "../log.js";

export const promises = [
  "P1",
  "P2",
  "P3",
  "P4",
  "P5",
  "P6",
  "P7",
  "P8",
  "P9",
  "P10",
  "P11",
  "P12",
  "P13",
  "leak",
  "log",
] as const;

/** The promises of the documentation by their numbers; `leak`: what was left open; `log`: the log itself makes no sense. */
export type PromiseName = (typeof promises)[number];

export interface Violation {
  readonly promise: PromiseName;
  readonly text: string;
  /** The few entries that show it. */
  readonly evidence: readonly Entry[];
}

export type Counts = Readonly<Record<string, number>>;

export interface Verdict {
  /** At most 50 for each promise; `checked` counts the others as "violations that are not listed". */
  readonly violations: readonly Violation[];
  /** What was really compared, so that a check that had nothing to look at is seen. */
  readonly checked: Readonly<Record<PromiseName, Counts>>;
  /** What was left out, by the reason: no promise is made there, or the log does not tell enough to be sure. */
  readonly unsure: Readonly<Record<PromiseName, Counts>>;
}

const MOST = 50;

export class Report {
  readonly #violations: Violation[] = [];
  readonly #listed = new Map<PromiseName, number>();
  readonly #checked = new Map<PromiseName, Map<string, number>>();
  readonly #unsure = new Map<PromiseName, Map<string, number>>();

  object(promise: PromiseName, text: string, evidence: readonly (Entry | null | undefined)[]): void {
    const listed = this.#listed.get(promise) ?? 0;
    this.#listed.set(promise, listed + 1);
    if (listed >= MOST) {
      this.checked(promise, "violations that are not listed");
      return;
    }
    const known = evidence.filter((entry) => entry !== null && entry !== undefined);
    this.#violations.push({ promise, text, evidence: [...new Set(known)] });
  }

  checked(promise: PromiseName, what: string, count = 1): void {
    add(this.#checked, promise, what, count);
  }

  unsure(promise: PromiseName, why: string, count = 1): void {
    add(this.#unsure, promise, why, count);
  }

  verdict(): Verdict {
    return { violations: this.#violations, checked: toRecord(this.#checked), unsure: toRecord(this.#unsure) };
  }
}

function add(counts: Map<PromiseName, Map<string, number>>, promise: PromiseName, what: string, count: number): void {
  let own = counts.get(promise);
  if (own === undefined) {
    own = new Map();
    counts.set(promise, own);
  }
  own.set(what, (own.get(what) ?? 0) + count);
}

function toRecord(counts: ReadonlyMap<PromiseName, ReadonlyMap<string, number>>): Record<PromiseName, Counts> {
  const entries = promises.map((promise) => [promise, Object.fromEntries(counts.get(promise) ?? [])] as const);
  return Object.fromEntries(entries) as Record<PromiseName, Counts>;
}
