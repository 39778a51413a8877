import { MAX_KEY_BYTES } from "../../config/key.js";
import { checkText } from "../../errors/option-checks.js";
import { type PrefixCounts, type PrefixStats, prefixCounters } from "../../store/counts.js";
import { addTo, zeros } from "./sums.js";

/** Maximum number of prefixes that are counted separately. */
export const PREFIXES = 100;

/** The counts of one prefix. */
export class PrefixTally {
  readonly counts: PrefixCounts = zeros(prefixCounters);
  waitedMs = 0;

  add(other: PrefixTally): void {
    addTo(this.counts, other.counts);
    this.waitedMs += other.waitedMs;
  }

  snapshot(prefix: string | null): PrefixStats {
    return { prefix, ...this.counts, waitedMs: this.waitedMs };
  }
}

/** Counts by prefix, in bounded memory: the first prefixes are counted separately, all others together. */
export class Prefixes {
  readonly #tallies = new Map<string, PrefixTally>();
  #rest: PrefixTally | null = null;

  get size(): number {
    return this.#tallies.size;
  }

  of(prefix: string): PrefixTally {
    let tally = this.#tallies.get(prefix);
    if (tally === undefined) {
      if (this.#tallies.size >= PREFIXES) {
        return this.#others();
      }
      tally = new PrefixTally();
      this.#tallies.set(prefix, tally);
    }
    return tally;
  }

  add(other: Prefixes): void {
    for (const [prefix, tally] of other.#tallies) {
      this.of(prefix).add(tally);
    }
    if (other.#rest !== null) {
      this.#others().add(other.#rest);
    }
  }

  /** The most contended first. */
  snapshot(): PrefixStats[] {
    const all = [...this.#tallies].map(([prefix, tally]) => tally.snapshot(prefix));
    if (this.#rest !== null) {
      all.push(this.#rest.snapshot(null));
    }
    return all.sort((a, b) => b.contended - a.contended || b.acquired - a.acquired);
  }

  #others(): PrefixTally {
    this.#rest ??= new PrefixTally();
    return this.#rest;
  }
}

export interface PrefixRule {
  /** The locker's own prefix, with which all of its keys begin. */
  readonly prefix: string;
  readonly statsPrefix: ((key: string) => string) | null;
}

/** The prefix under which a key is counted. If the user's own rule fails, `onError` gets the error, and the prefix is empty. */
export function prefixBy(
  { prefix, statsPrefix }: PrefixRule,
  onError: (error: unknown) => void,
): (key: string) => string {
  if (statsPrefix === null) {
    return (key) => {
      const end = key.indexOf(":", prefix.length);
      return end === -1 ? prefix : key.slice(0, end);
    };
  }
  return (key) => {
    try {
      const found: unknown = statsPrefix(key);
      if (typeof found === "object") {
        Promise.resolve(found).catch(onError); // an async function, whose rejection nobody else would catch
      }
      return checkText("what statsPrefix returns", found, 0, MAX_KEY_BYTES);
    } catch (error) {
      onError(error);
      return "";
    }
  };
}
