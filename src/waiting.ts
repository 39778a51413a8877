import { now, startTimer, type Timer } from "./clock.js";
import type { Ticket } from "./store.js";

/** Looks that are due within this time of each other go together, in one statement. */
const TOGETHER_MS = 200;

/** One place in a line, as this process sees it. */
export class Wait {
  readonly key: string;
  /** Null before the first answer. */
  ticket: Ticket | null = null;
  dueAtMs = 0;
  slackMs = 0;
  isWoken = false;
  resume: (() => void) | null = null;

  constructor(key: string) {
    this.key = key;
  }
}

/**
 * This process's waits. They hold no connection, only an entry in a table and here, and take turns on one timer. The timer
 * keeps the process alive: somebody awaits the lock.
 */
export class Waiting {
  readonly #waits = new Set<Wait>();
  readonly #byKey = new Map<string, Wait[]>();
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;

  get size(): number {
    return this.#waits.size;
  }

  join(wait: Wait): void {
    this.#waits.add(wait);
    const line = this.#byKey.get(wait.key);
    if (line === undefined) {
      this.#byKey.set(wait.key, [wait]);
    } else {
      line.push(wait);
    }
  }

  leave(wait: Wait): void {
    if (!this.#waits.delete(wait)) {
      return;
    }
    const line = this.#byKey.get(wait.key)?.filter((other) => other !== wait) ?? [];
    if (line.length === 0) {
      this.#byKey.delete(wait.key);
    } else {
      this.#byKey.set(wait.key, line);
    }
    wait.resume?.();
    wait.resume = null;
    if (this.#waits.size === 0) {
      this.#setTimer(Number.POSITIVE_INFINITY);
    }
  }

  /** Until it is woken, or the time is over; up to `slackMs` earlier when others look then. */
  async pause(wait: Wait, ms: number, slackMs: number): Promise<void> {
    if (wait.isWoken || !this.#waits.has(wait)) {
      wait.isWoken = false;
      return;
    }
    wait.dueAtMs = now().monotonicMs + ms;
    wait.slackMs = slackMs;
    const resumed = new Promise<void>((resolve) => {
      wait.resume = resolve;
    });
    if (wait.dueAtMs < this.#timerAtMs) {
      this.#setTimer(wait.dueAtMs);
    }
    await resumed;
    wait.resume = null;
    wait.isWoken = false;
  }

  /** A NOTIFY does not say which key: of each, the first in line here looks. */
  wakeAll(): void {
    for (const line of this.#byKey.values()) {
      wakeFirst(line);
    }
  }

  wakeKey(key: string): void {
    const line = this.#byKey.get(key);
    if (line !== undefined) {
      wakeFirst(line);
    }
  }

  #setTimer(atMs: number): void {
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer =
      atMs === Number.POSITIVE_INFINITY
        ? null
        : startTimer(atMs - now().monotonicMs, () => this.#fire(), { keepsAlive: true });
  }

  #fire(): void {
    const nowMs = now().monotonicMs;
    let next = Number.POSITIVE_INFINITY;
    for (const wait of this.#waits) {
      if (wait.resume === null) {
        continue;
      }
      if (wait.dueAtMs - Math.min(wait.slackMs, TOGETHER_MS) <= nowMs) {
        wait.resume();
      } else {
        next = Math.min(next, wait.dueAtMs);
      }
    }
    this.#setTimer(next);
  }
}

function wakeFirst(line: Iterable<Wait>): void {
  let first: Wait | null = null;
  for (const wait of line) {
    if (first === null || comesBefore(wait, first)) {
      first = wait;
    }
  }
  if (first?.resume === null) {
    first.isWoken = true;
  } else {
    first?.resume();
  }
}

function comesBefore(a: Wait, b: Wait): boolean {
  return a.ticket !== null && (b.ticket === null || a.ticket.place < b.ticket.place);
}
