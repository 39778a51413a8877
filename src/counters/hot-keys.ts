/** How many keys are kept: each with more than one in a hundred of all contended acquires is among them. */
export const HOT_KEYS = 100;

/** A key that many wanted at once. */
export interface HotKeyStats {
  readonly key: string;
  /** Acquires that did not get it at the first look, at least: the exact number is between this and `contendedAtMost`. */
  readonly contended: number;
  readonly contendedAtMost: number;
  /** Grants since it is among the hottest. */
  readonly acquired: number;
  /** How long those waited, in all. */
  readonly waitedMs: number;
}

interface Place {
  readonly key: string;
  count: number;
  /** By how much `count` may be too high. */
  readonly excess: number;
  acquired: number;
  waitedMs: number;
}

/**
 * The most contended of any number of keys, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient
 * Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). When all places are taken, a new key gets the place
 * *and the count* of the least one, which is by how much it may be counted too high from then on. After n events, with k places,
 * no count is too high by more than n / k, and no key with more than n / k events is missing.
 *
 * Two of them add up with the same bounds (Cafaro, Pulimeno, Tempesta: "A Parallel Space Saving Algorithm", 2016).
 */
export class HotKeys {
  readonly #capacity: number;
  readonly #places = new Map<string, Place>();
  /** All places by their count. Counts grow one by one, so the least is always at hand. */
  readonly #byCount = new Map<number, Set<Place>>();
  #least = 0;

  constructor(capacity: number = HOT_KEYS) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#places.size;
  }

  /** One more acquire that did not get the key at its first look. */
  contend(key: string): void {
    const place = this.#places.get(key);
    if (place !== undefined) {
      this.#move(place);
    } else if (this.#places.size < this.#capacity) {
      this.#enter({ key, count: 1, excess: 0, acquired: 0, waitedMs: 0 });
      this.#least = 1;
    } else {
      this.#replaceLeast(key);
    }
  }

  /** A grant, of a key that need not be among them. */
  acquire(key: string, waitedMs: number): void {
    const place = this.#places.get(key);
    if (place !== undefined) {
      place.acquired += 1;
      place.waitedMs += waitedMs;
    }
  }

  /** What a key may have had that has no place: no more than the least of those that have. */
  get #floor(): number {
    return this.#places.size < this.#capacity ? 0 : this.#least;
  }

  add(other: HotKeys): void {
    if (other.#places.size === 0) {
      return;
    }
    const keys = new Set([...this.#places.keys(), ...other.#places.keys()]);
    const floors = [this.#floor, other.#floor] as const;
    const sums = [...keys].map((key): Place => {
      const [ours, theirs] = [this.#places.get(key), other.#places.get(key)];
      return {
        key,
        count: (ours?.count ?? floors[0]) + (theirs?.count ?? floors[1]),
        excess: (ours?.excess ?? floors[0]) + (theirs?.excess ?? floors[1]),
        acquired: (ours?.acquired ?? 0) + (theirs?.acquired ?? 0),
        waitedMs: (ours?.waitedMs ?? 0) + (theirs?.waitedMs ?? 0),
      };
    });
    sums.sort((a, b) => b.count - a.count);
    this.#places.clear();
    this.#byCount.clear();
    for (const place of sums.slice(0, this.#capacity)) {
      this.#enter(place);
      this.#least = place.count;
    }
  }

  /** The surely hottest first. */
  snapshot(): HotKeyStats[] {
    return [...this.#places.values()]
      .map(({ key, count, excess, acquired, waitedMs }) => ({
        key,
        contended: count - excess,
        contendedAtMost: count,
        acquired,
        waitedMs,
      }))
      .sort((a, b) => b.contended - a.contended || b.contendedAtMost - a.contendedAtMost);
  }

  #enter(place: Place): void {
    this.#places.set(place.key, place);
    this.#peers(place.count).add(place);
  }

  #move(place: Place): void {
    this.#leaveCount(place);
    place.count += 1;
    this.#peers(place.count).add(place);
  }

  #replaceLeast(key: string): void {
    const [least] = this.#peers(this.#least);
    if (least !== undefined) {
      this.#places.delete(least.key);
      this.#leaveCount(least);
      this.#enter({ key, count: least.count + 1, excess: least.count, acquired: 0, waitedMs: 0 });
    }
  }

  /** Whoever leaves, or takes the place, has one more: when the least count is deserted, the next one is the least. */
  #leaveCount(place: Place): void {
    const peers = this.#peers(place.count);
    peers.delete(place);
    if (peers.size === 0) {
      this.#byCount.delete(place.count);
      if (place.count === this.#least) {
        this.#least += 1;
      }
    }
  }

  #peers(count: number): Set<Place> {
    let peers = this.#byCount.get(count);
    if (peers === undefined) {
      peers = new Set();
      this.#byCount.set(count, peers);
    }
    return peers;
  }
}
