import type { HotKeyStats } from "../../store/counts.js";
/** How many keys are kept. Every key with more than 1 % of all contended acquires is among them. */
export const HOT_KEYS = 100;

interface Slot {
  readonly key: string;
  count: number;
  /** How much too high `count` may be. */
  readonly excess: number;
  acquired: number;
  waitedMs: number;
}

/**
 * Finds the most contended of any number of keys in bounded memory. The algorithm is Space-Saving (Metwally, Agrawal,
 * El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). When all slots are
 * taken, a new key replaces the key with the least count and *inherits that count*, so its own may be that much too
 * high. After n events with k slots, no count is too high by more than n / k, and no key with more than n / k events is
 * missing.
 *
 * Two of them can be added up with the same bounds (Cafaro, Pulimeno, Tempesta: "A Parallel Space Saving Algorithm",
 * 2016).
 */
export class HotKeys {
  readonly #capacity: number;
  readonly #slots = new Map<string, Slot>();
  /** All slots by their count. Counts grow by one, so the least count is always known. */
  readonly #byCount = new Map<number, Set<Slot>>();
  #least = 0;

  constructor(capacity: number = HOT_KEYS) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Counts an acquire that did not get the key at once. */
  contend(key: string): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      this.#move(slot);
    } else if (this.#slots.size < this.#capacity) {
      this.#enter({ key, count: 1, excess: 0, acquired: 0, waitedMs: 0 });
      this.#least = 1;
    } else {
      this.#replaceLeast(key);
    }
  }

  /** Counts a grant, if the key has a slot. */
  acquire(key: string, waitedMs: number): void {
    const slot = this.#slots.get(key);
    if (slot !== undefined) {
      slot.acquired += 1;
      slot.waitedMs += waitedMs;
    }
  }

  /** The highest count that a key without a slot may have had: the least count of all slots. */
  get #floor(): number {
    return this.#slots.size < this.#capacity ? 0 : this.#least;
  }

  add(other: HotKeys): void {
    if (other.#slots.size === 0) {
      return;
    }
    const keys = new Set([...this.#slots.keys(), ...other.#slots.keys()]);
    const floors = [this.#floor, other.#floor] as const;
    const sums = [...keys].map((key): Slot => {
      const [ours, theirs] = [this.#slots.get(key), other.#slots.get(key)];
      return {
        key,
        count: (ours?.count ?? floors[0]) + (theirs?.count ?? floors[1]),
        excess: (ours?.excess ?? floors[0]) + (theirs?.excess ?? floors[1]),
        acquired: (ours?.acquired ?? 0) + (theirs?.acquired ?? 0),
        waitedMs: (ours?.waitedMs ?? 0) + (theirs?.waitedMs ?? 0),
      };
    });
    sums.sort((a, b) => b.count - a.count);
    this.#slots.clear();
    this.#byCount.clear();
    for (const slot of sums.slice(0, this.#capacity)) {
      this.#enter(slot);
      this.#least = slot.count;
    }
  }

  /** Sorted by the count that is certain, highest first. */
  snapshot(): HotKeyStats[] {
    return [...this.#slots.values()]
      .map(({ key, count, excess, acquired, waitedMs }) => ({
        key,
        contended: count - excess,
        contendedAtMost: count,
        acquired,
        waitedMs,
      }))
      .sort((a, b) => b.contended - a.contended || b.contendedAtMost - a.contendedAtMost);
  }

  #enter(slot: Slot): void {
    this.#slots.set(slot.key, slot);
    this.#peers(slot.count).add(slot);
  }

  #move(slot: Slot): void {
    this.#leaveCount(slot);
    slot.count += 1;
    this.#peers(slot.count).add(slot);
  }

  #replaceLeast(key: string): void {
    const [least] = this.#peers(this.#least);
    if (least !== undefined) {
      this.#slots.delete(least.key);
      this.#leaveCount(least);
      this.#enter({ key, count: least.count + 1, excess: least.count, acquired: 0, waitedMs: 0 });
    }
  }

  /** The slot will have a count of one more. If it was the last with the least count, that is the new least. */
  #leaveCount(slot: Slot): void {
    const peers = this.#peers(slot.count);
    peers.delete(slot);
    if (peers.size === 0) {
      this.#byCount.delete(slot.count);
      if (slot.count === this.#least) {
        this.#least += 1;
      }
    }
  }

  #peers(count: number): Set<Slot> {
    let peers = this.#byCount.get(count);
    if (peers === undefined) {
      peers = new Set();
      this.#byCount.set(count, peers);
    }
    return peers;
  }
}
