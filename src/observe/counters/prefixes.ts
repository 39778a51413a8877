import { MAX_KEY_BYTES } from "../../config/key.js";
import { checkText } from "../../errors/option-checks.js";
import type { PrefixStats } from "../../store/counts.js";

/** How many prefixes are counted separately. */
export const PREFIXES = 100;

export class PrefixCounts {
  acquired = 0;
  refused = 0;
  timedOut = 0;
  contended = 0;
  takenOver = 0;
  waitedMs = 0;

  add(other: PrefixCounts): void {
    this.acquired += other.acquired;
    this.refused += other.refused;
    this.timedOut += other.timedOut;
    this.contended += other.contended;
    this.takenOver += other.takenOver;
    this.waitedMs += other.waitedMs;
  }
}

/** Counts by prefix, in bounded memory: first come, first counted by its name. */
export class Prefixes {
  readonly #counts = new Map<string, PrefixCounts>();
  #rest: PrefixCounts | null = null;

  get size(): number {
    return this.#counts.size;
  }

  of(prefix: string): PrefixCounts {
    let counts = this.#counts.get(prefix);
    if (counts === undefined) {
      if (this.#counts.size >= PREFIXES) {
        return this.#others();
      }
      counts = new PrefixCounts();
      this.#counts.set(prefix, counts);
    }
    return counts;
  }

  add(other: Prefixes): void {
    for (const [prefix, counts] of other.#counts) {
      this.of(prefix).add(counts);
    }
    if (other.#rest !== null) {
      this.#others().add(other.#rest);
    }
  }

  /** The most contended first. */
  snapshot(): PrefixStats[] {
    const all = [...this.#counts].map(([prefix, counts]): PrefixStats => ({ prefix, ...counts }));
    if (this.#rest !== null) {
      all.push({ prefix: null, ...this.#rest });
    }
    return all.sort((a, b) => b.contended - a.contended || b.acquired - a.acquired);
  }

  #others(): PrefixCounts {
    this.#rest ??= new PrefixCounts();
    return this.#rest;
  }
}

export interface PrefixRule {
  /** The locker's own prefix, which all of its keys have. */
  readonly prefix: string;
  readonly statsPrefix: ((key: string) => string) | null;
}

/** Which prefix a key counts under. What is wrong with the user's own rule goes to `onError`, and the key under none. */
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
        Promise.resolve(found).catch(onError); // of an async function, whose rejection nobody else would catch
      }
      return checkText("what statsPrefix returns", found, 0, MAX_KEY_BYTES);
    } catch (error) {
      onError(error);
      return "";
    }
  };
}
