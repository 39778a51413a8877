import type { Ticket } from "../store/messages.js";

/** One waiter. Its links and the state of its pause belong to the LocalQueue and the LocalQueues that it is in. */
export interface Waiter {
  readonly key: string;
  readonly token: string;
  /** Whether it wants a read lock, which it may be granted together with those beside it. */
  readonly isReader: boolean;
  /** Whether it wants a share: a read lock, or a part of a semaphore. */
  readonly isShared: boolean;
  /** Its ticket, once an answer has given it one. */
  ticket: Ticket | null;
  before: Waiter | null;
  behind: Waiter | null;
  dueAtMs: number;
  slackMs: number;
  isWoken: boolean;
  /** Whether it was woken though others are ahead of it, to be granted together with them: then it looks together with them. */
  isCalled: boolean;
  /** Ends its pause; with an error, its wait. */
  resume: ((error?: unknown) => void) | null;
}

/**
 * The waiters of this process for one key: those that have a ticket, in its order, and those that have asked for one. A linked list,
 * because thousands may come and go, mostly at its ends.
 */
export class LocalQueue {
  /** Whether a waiter of another process was next at our last release. Then a look of ours would have been useless. */
  isBehindOthers = false;
  readonly #arriving = new Set<Waiter>();
  #first: Waiter | null = null;
  #last: Waiter | null = null;
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0 && this.#arriving.size === 0;
  }

  /** The first that has a ticket. */
  get first(): Waiter | null {
    return this.#first;
  }

  /** The one that should look: the first, or else one that has not had its first answer yet. */
  get next(): Waiter | null {
    for (const wait of this.#first === null ? this.#arriving : []) {
      return wait;
    }
    return this.#first;
  }

  /** How many waiters are behind the first. */
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

  setTicket(wait: Waiter, ticket: Ticket): void {
    if (wait.ticket?.number === ticket.number) {
      return;
    }
    this.leave(wait);
    wait.ticket = ticket;
    let before = this.#last;
    while (before !== null && (before.ticket as Ticket).number > ticket.number) {
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
