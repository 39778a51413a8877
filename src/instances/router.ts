import { emptyHash, type Hash64 } from "./hash64.js";

/** One of those that a key may belong to. */
export interface Route<Target> {
  readonly name: string;
  /** Its part of the keys, beside the others' weights. 0 or less: none. */
  readonly weight: number;
  readonly target: Target;
}

const EMPTY = emptyHash();

interface Entry<Target> {
  readonly target: Target;
  readonly weight: number;
  readonly hash: Hash64;
}

/**
 * Says to which instance a key belongs, by weighted rendezvous hashing (Thaler and Ravishankar: "Using name-based mappings to increase hit rates",
 * 1998; the weights are the logarithmic method of Schindelhauer and Schomaker: "Weighted distributed hash tables", 2005). Each instance
 * has a score for each key, and the highest wins:
 *
 *     score = -weight / ln(u), u = ((fmix64(fnv1a(key) xor fmix64(fnv1a(name))) >> 12) + 0.5) / 2^52
 *
 * So an instance gets its weight's part of the keys. A new one takes from the others the keys that it wins, and no key moves among those; one that
 * is taken away leaves its keys to the others; another weight changes the scores of that instance alone.
 *
 * Never change this: processes of two versions would hold one key in two databases.
 */
export class Router<Target> {
  readonly #entries: readonly Entry<Target>[];
  /** The hash of the prefix, from which that of each key goes on. */
  readonly #start: Hash64;
  readonly #key: Hash64 = emptyHash();
  readonly #scored: Hash64 = emptyHash();
  readonly #first: Target;

  /** @throws TypeError when no weight is above 0 */
  constructor(routes: Iterable<Route<Target>>, prefix = "") {
    this.#entries = Array.from(routes)
      .filter(({ weight }) => weight > 0)
      .map(({ name, weight, target }) => ({ target, weight, hash: hashOf(name) }));
    const [first] = this.#entries;
    if (first === undefined) {
      throw new TypeError("no instance has a weight above 0");
    }
    this.#first = first.target;
    this.#start = emptyHash();
    this.#start.addText(prefix);
  }

  /** The one that this key belongs to, prefix not included. Any of them for what is no text: it has to refuse that. */
  of(key: string): Target {
    return this.#find(this.#start, key);
  }

  /** The same for a key with its prefix. */
  ofFullKey(key: string): Target {
    return this.#find(EMPTY, key);
  }

  #find(start: Hash64, text: string): Target {
    let best = this.#first;
    if (typeof text !== "string") {
      return best;
    }
    this.#key.set(start);
    this.#key.addText(text);
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const { target, weight, hash } of this.#entries) {
      const score = -weight / Math.log(this.#fraction(hash));
      if (score > bestScore) {
        best = target;
        bestScore = score;
      }
    }
    return best;
  }

  #fraction({ high, low }: Hash64): number {
    const scored = this.#scored;
    scored.high = this.#key.high ^ high;
    scored.low = this.#key.low ^ low;
    scored.mix();
    return scored.toFraction();
  }
}

/** Mixed once by itself: otherwise the hash of a key that is an instance's name would always be 0 there. */
function hashOf(name: string): Hash64 {
  const hash = emptyHash();
  hash.addText(name);
  hash.mix();
  return hash;
}
