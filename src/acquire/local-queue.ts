import type { Ticket } from "../store/store.js";

/** Somebody in a queue, with its links and its pause: fields of the queues that it is in. */
export interface Waiter {
  readonly key: string;
  readonly token: string;
  /** Its place, once an answer has named it. */
  ticket: Ticket | null;
  before: Waiter | null;
  behind: Waiter | null;
  dueAtMs: number;
  slackMs: number;
  isWoken: boolean;
  /** Ends its pause; with an error, its wait. */
  resume: ((error?: unknown) => void) | null;
}

/**
 * Those of this process that wait for one key: the ones that have a place, in their order, and the ones that have asked for one. A
 * linked list, for thousands may come and go, mostly at its ends.
 */
export class LocalQueue {
  /** At the last release here somebody of another process was next: a look of ours would have been for nothing. */
  isBehindOthers = false;
  readonly #arriving = new Set<Waiter>();
  #first: Waiter | null = null;
  #last: Waiter | null = null;
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0 && this.#arriving.size === 0;
  }

  /** The first that has a place. */
  get first(): Waiter | null {
    return this.#first;
  }

  /** Who is to look: the first, or else one whose first answer is on its way. */
  get next(): Waiter | null {
    for (const wait of this.#first === null ? this.#arriving : []) {
      return wait;
    }
    return this.#first;
  }

  /** How many are behind the first. */
  get followers(): number {
    return Math.max(0, this.#size - 1);
  }

  *behindFirst(): Iterable<Waiter> {
    for (let wait = this.#first?.behind ?? null; wait !== null; wait = wait.behind) {
      yield wait;
    }
  }

  join(wait: Waiter): void {
    this.#arriving.add(wait);
  }

  place(wait: Waiter, ticket: Ticket): void {
    if (wait.ticket?.place === ticket.place) {
      return;
    }
    this.leave(wait);
    wait.ticket = ticket;
    let before = this.#last;
    while (before !== null && (before.ticket as Ticket).place > ticket.place) {
      before = before.before;
    }
    const behind = before === null ? this.#first : before.behind;
    wait.before = before;
    wait.behind = behind;
    if (before === null) {
      this.#first = wait;
    } else {
      before.behind = wait;
    }
    if (behind === null) {
      this.#last = wait;
    } else {
      behind.before = wait;
    }
    this.#size += 1;
  }

  leave(wait: Waiter): void {
    if (this.#arriving.delete(wait) || wait.ticket === null) {
      return;
    }
    const { before, behind } = wait;
    if (before === null) {
      this.#first = behind;
    } else {
      before.behind = behind;
    }
    if (behind === null) {
      this.#last = before;
    } else {
      behind.before = before;
    }
    wait.before = null;
    wait.behind = null;
    this.#size -= 1;
  }
}
