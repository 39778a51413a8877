import type { Ticket } from "./store.js";

/** One who waits, as this process sees him. */
export class Wait {
  readonly key: string;
  readonly token: string;
  /** Null before the first answer. */
  ticket: Ticket | null = null;
  dueAtMs = 0;
  slackMs = 0;
  isWoken = false;
  /** Ends its pause; with an error, its wait. */
  resume: ((error?: unknown) => void) | null = null;
  /** Its neighbours in the line of this process. */
  before: Wait | null = null;
  behind: Wait | null = null;

  constructor(key: string, token: string) {
    this.key = key;
    this.token = token;
  }
}

/**
 * Those of this process who wait for one key: who has a place in their order, and who has asked for one. A linked list, for
 * thousands may come and go, mostly at its ends.
 */
export class Line {
  readonly #arriving = new Set<Wait>();
  #first: Wait | null = null;
  #last: Wait | null = null;
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0 && this.#arriving.size === 0;
  }

  /** The first that has a place. */
  get first(): Wait | null {
    return this.#first;
  }

  /** Who is to look: the first, or else one whose first answer is on its way. */
  get next(): Wait | null {
    for (const wait of this.#first === null ? this.#arriving : []) {
      return wait;
    }
    return this.#first;
  }

  /** How many stand behind the first. */
  get followers(): number {
    return Math.max(0, this.#size - 1);
  }

  *behindFirst(): Iterable<Wait> {
    for (let wait = this.#first?.behind ?? null; wait !== null; wait = wait.behind) {
      yield wait;
    }
  }

  join(wait: Wait): void {
    this.#arriving.add(wait);
  }

  place(wait: Wait, ticket: Ticket): void {
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

  leave(wait: Wait): void {
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
