import { freeAtMs, isGrantable, type MemoryLease } from "./memory-lease.js";

/** What takes of a key's capacity, and the smallest capacity that has to do for it. */
export interface Load {
  readonly count: number;
  /** The sum of the weights. */
  readonly taken: number;
  /** `Infinity` when nobody has set one. */
  readonly capacity: number;
}

/** Of a key that nobody shares. */
export const nothing: Load = Object.freeze({ count: 0, taken: 0, capacity: Number.POSITIVE_INFINITY });

/** The shares of one key, the oldest first, until a grant removes those that have ended. */
export class MemoryShares {
  readonly #byToken = new Map<string, MemoryLease>();
  /** None of them ends before that: a renewal only puts it off. So most looks need not go through all of them. */
  #nextEndMs = Number.POSITIVE_INFINITY;
  #taken = 0;
  /** Null: unknown since the one that had it is gone. */
  #capacity: number | null = Number.POSITIVE_INFINITY;

  get isEmpty(): boolean {
    return this.#byToken.size === 0;
  }

  [Symbol.iterator](): Iterator<MemoryLease> {
    return this.#byToken.values();
  }

  /** The share of this token, until it lets go. */
  get(token: string): MemoryLease | undefined {
    const share = this.#byToken.get(token);
    return share?.isReleased === false ? share : undefined;
  }

  /** Whether what this token had keeps the key: an operator has taken it, or its minimum hold does. */
  isKeptBy(token: string, nowMs: number): boolean {
    const share = this.#byToken.get(token);
    return share !== undefined && !isGrantable(share, nowMs);
  }

  add(share: MemoryLease): void {
    this.#byToken.set(share.token, share);
    this.mayEndAt(freeAtMs(share));
    this.#taken += share.weight;
    if (this.#capacity !== null) {
      this.#capacity = Math.min(this.#capacity, capacityOf(share));
    }
  }

  remove({ token, weight, capacity }: MemoryLease): void {
    this.#byToken.delete(token);
    this.#taken -= weight;
    if (this.#capacity === capacity) {
      this.#capacity = null;
    }
  }

  /** One of them may end as early as this. */
  mayEndAt(ms: number): void {
    this.#nextEndMs = Math.min(this.#nextEndMs, ms);
  }

  /** Gives a share another token and another holder. It keeps its place. */
  replace(share: MemoryLease, next: MemoryLease): void {
    const all = [...this.#byToken];
    this.#byToken.clear();
    for (const [token, other] of all) {
      other === share ? this.#byToken.set(next.token, next) : this.#byToken.set(token, other);
    }
    this.mayEndAt(freeAtMs(next));
  }

  /** What those take that have not ended. */
  load(nowMs: number): Load {
    if (nowMs < this.#nextEndMs) {
      this.#capacity ??= this.#smallestCapacity();
      return { count: this.#byToken.size, taken: this.#taken, capacity: this.#capacity };
    }
    return this.#sum((share) => !isGrantable(share, nowMs));
  }

  /** The same without those that nobody holds any more, and that only their minimum hold keeps. */
  held(nowMs: number): Load {
    return this.#sum((share) => !share.isReleased && !isGrantable(share, nowMs));
  }

  /** Removes those that have ended, for a grant. Returns the newest that nobody had released: whom the grant takes over from. */
  removeEnded(nowMs: number): MemoryLease | null {
    let lapsed: MemoryLease | null = null;
    if (nowMs < this.#nextEndMs) {
      return lapsed;
    }
    for (const share of this) {
      if (isGrantable(share, nowMs)) {
        this.remove(share);
        lapsed = share.isReleased ? lapsed : share;
      }
    }
    return lapsed;
  }

  /** Returns how many there were. */
  removeIf(isOver: (share: MemoryLease) => boolean): number {
    const before = this.#byToken.size;
    for (const share of this) {
      if (isOver(share)) {
        this.remove(share);
      }
    }
    return before - this.#byToken.size;
  }

  #sum(counts: (share: MemoryLease) => boolean): Load {
    let count = 0;
    let taken = 0;
    let capacity = Number.POSITIVE_INFINITY;
    let nextEndMs = Number.POSITIVE_INFINITY;
    for (const share of this) {
      nextEndMs = Math.min(nextEndMs, freeAtMs(share));
      if (counts(share)) {
        count += 1;
        taken += share.weight;
        capacity = Math.min(capacity, capacityOf(share));
      }
    }
    this.#nextEndMs = nextEndMs;
    return { count, taken, capacity };
  }

  #smallestCapacity(): number {
    let capacity = Number.POSITIVE_INFINITY;
    for (const share of this) {
      capacity = Math.min(capacity, capacityOf(share));
    }
    return capacity;
  }
}

function capacityOf({ capacity }: { readonly capacity: number | null }): number {
  return capacity ?? Number.POSITIVE_INFINITY;
}
