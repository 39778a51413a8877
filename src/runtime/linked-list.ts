import { type Clock, Due } from "./clock.js";

/** An object with a place in one list. Its links belong to the list. */
export interface Linked<Item> {
  previous: Item | null;
  next: Item | null;
}

/**
 * A list whose links are fields of its items. Adding and removing allocate nothing, which matters for what comes and goes with
 * every lock: with a Map or a Set instead, half of V8's young generation survived each scavenge, and garbage collection took 31 %
 * of the time at 128 acquires in flight (see bench/README.md): a table that a Map has outgrown points to the one after it, so a dead one that
 * has become old keeps all later ones alive. A removed item keeps no link, or dead items would keep each other alive.
 */
export class LinkedList<Item extends Linked<Item>> {
  /** Changed here alone, like `size`. */
  first: Item | null = null;
  size = 0;
  #last: Item | null = null;

  /** `item` must not be in a list. */
  add(item: Item): void {
    item.previous = this.#last;
    if (this.#last === null) {
      this.first = item;
    } else {
      this.#last.next = item;
    }
    this.#last = item;
    this.size += 1;
  }

  /** Whether the item is in this list, which is the only one that it may be in. */
  has(item: Item): boolean {
    return item.previous !== null || this.first === item;
  }

  /** Whether the item was in this list, which is the only one that it may be in. */
  remove(item: Item): boolean {
    const { previous, next } = item;
    if (previous === null && this.first !== item) {
      return false;
    }
    if (previous === null) {
      this.first = next;
    } else {
      previous.next = next;
    }
    if (next === null) {
      this.#last = previous;
    } else {
      next.previous = previous;
    }
    item.previous = null;
    item.next = null;
    this.size -= 1;
    return true;
  }

  /** In the order in which they were added. The one that was handed out last may be removed meanwhile. */
  *[Symbol.iterator](): Iterator<Item> {
    for (let item = this.first; item !== null; ) {
      const { next } = item;
      yield item;
      item = next;
    }
  }
}

/** Something that has to end `timeoutMs` after it began. */
export interface Timed<Item> extends Linked<Item> {
  /** On the monotonic clock. */
  readonly beganAtMs: number;
  /** Called once; it is not watched any more then. */
  onTimeout(): void;
}

/**
 * Watches requests that all have the same time: whoever began first has its deadline first, so one list and one timer do for any
 * number of them.
 */
export class Deadlines<Item extends Timed<Item>> extends LinkedList<Item> {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #due: Due;
  #isArmed = false;

  constructor(clock: Clock, timeoutMs: number) {
    super();
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#due = new Due(clock, () => this.#look());
  }

  /** Watches it until it is removed, or its time has passed. */
  override add(item: Item): void {
    super.add(item);
    if (!this.#isArmed) {
      this.#arm(item);
    }
  }

  stop(): void {
    this.#isArmed = false;
    this.#due.stop();
  }

  /** The timer is left to run when the item is removed: it looks again when it fires. */
  #arm(item: Item): void {
    this.#isArmed = true;
    this.#due.by(item.beganAtMs + this.#timeoutMs);
  }

  #look(): void {
    this.#isArmed = false;
    const nowMs = this.#clock.monotonicNowMs();
    for (let { first } = this; first !== null; first = this.first) {
      if (first.beganAtMs + this.#timeoutMs > nowMs) {
        this.#arm(first);
        return;
      }
      this.remove(first);
      first.onTimeout();
    }
  }
}
