import { isGrantable, type MemoryLease } from "./memory-lease.js";
import { type Load, MemoryShares, nothing } from "./memory-shares.js";

/** The grants by their keys: one that has its key for itself, or the shares of a key. A free key has none. */
export class MemoryGrants {
  /** An object rather than a Map: see LinkedList. */
  readonly #alone: Record<string, MemoryLease> = Object.create(null);
  readonly #shares: Record<string, MemoryShares> = Object.create(null);
  #sharedKeys = 0;

  /** Whoever has the key for itself, or had. */
  alone(key: string): MemoryLease | undefined {
    return this.#alone[key];
  }

  shares(key: string): MemoryShares | undefined {
    return this.#sharedKeys === 0 ? undefined : this.#shares[key];
  }

  /** All of a key, the oldest first. */
  all(key: string): readonly MemoryLease[] {
    const alone = this.#alone[key];
    return alone === undefined ? [...(this.shares(key) ?? [])] : [alone];
  }

  /** The grant of a token that has not let go. */
  find(key: string, token: string): MemoryLease | undefined {
    const alone = this.#alone[key];
    return alone?.token === token && !alone.isReleased ? alone : this.shares(key)?.get(token);
  }

  /** What those take of a key that hold a share of it. */
  held(key: string, nowMs: number): Load {
    return this.shares(key)?.held(nowMs) ?? nothing;
  }

  /** Enters a grant in place of all that has ended. Returns from whom it was taken. */
  add(key: string, lease: MemoryLease, nowMs: number): MemoryLease | null {
    const former = this.#alone[key] ?? this.#removeEnded(key, nowMs);
    if (lease.mode === "exclusive") {
      this.#alone[key] = lease;
      return former;
    }
    delete this.#alone[key];
    let shares = this.shares(key);
    if (shares === undefined) {
      shares = new MemoryShares();
      this.#shares[key] = shares;
      this.#sharedKeys += 1;
    }
    shares.add(lease);
    return former;
  }

  /** Gives a grant another token and another holder. */
  replace(key: string, lease: MemoryLease, next: MemoryLease): void {
    if (lease.mode === "exclusive") {
      this.#alone[key] = next;
    } else {
      this.shares(key)?.replace(lease, next);
    }
  }

  remove(key: string, lease: MemoryLease): void {
    const shares = lease.mode === "exclusive" ? undefined : this.shares(key);
    if (shares === undefined) {
      delete this.#alone[key];
    } else {
      shares.remove(lease);
      this.#forgetIfEmpty(key, shares);
    }
  }

  /** Leaves a key to the minimum hold of a grant. */
  cool(key: string, lease: MemoryLease): void {
    lease.isReleased = true;
    this.shares(key)?.mayEndAt(lease.minHoldUntilMs);
  }

  /** Called when a process has died: its shares end sooner. */
  processDied(): void {
    for (const shares of Object.values(this.#shares)) {
      shares.mayEndAt(Number.NEGATIVE_INFINITY);
    }
  }

  /** Deletes what nobody asks about any more: what was let go, and what expired `graceMs` ago. Returns how many. */
  sweep(nowMs: number, graceMs: number): number {
    const isOver = (lease: MemoryLease): boolean =>
      lease.isReleased ? isGrantable(lease, nowMs) : lease.expiresAtMs + graceMs <= nowMs;
    let count = 0;
    for (const [key, lease] of Object.entries(this.#alone)) {
      if (isOver(lease)) {
        delete this.#alone[key];
        count += 1;
      }
    }
    for (const [key, shares] of Object.entries(this.#shares)) {
      count += shares.removeIf(isOver);
      this.#forgetIfEmpty(key, shares);
    }
    return count;
  }

  #removeEnded(key: string, nowMs: number): MemoryLease | null {
    const shares = this.shares(key);
    if (shares === undefined) {
      return null;
    }
    const lapsed = shares.removeEnded(nowMs);
    this.#forgetIfEmpty(key, shares);
    return lapsed;
  }

  #forgetIfEmpty(key: string, shares: MemoryShares): void {
    if (shares.isEmpty) {
      delete this.#shares[key];
      this.#sharedKeys -= 1;
    }
  }
}
