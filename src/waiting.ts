import { now, sleep, startTimer, type Timer } from "./clock.js";
import { Line, type Wait } from "./line.js";
import type { Ticket } from "./store.js";
import { Turns } from "./turns.js";

/** Looks that are due within this time of each other go together, in one statement. */
const TOGETHER_MS = 200;
/** Who has become the first of this process looks so soon: until then it was kept in its place, and did not look by itself. */
const PROMOTED_MS = 500;
/** How many ask for a place at once: half a statement of a thousand, which a slow server answers in time. */
const AT_ONCE = 500;
/** A place lasts for 3 s. */
const STAY_EVERY_MS = 1_000;

/** Keeps the places of those who need not look. Resolves to those who must look after all. Rejects when none can be kept. */
export type Stay = (waits: readonly Wait[]) => Promise<readonly Wait[]>;

/**
 * This process's waits. They hold no connection, only an entry in a table and here, and take turns on one timer. The timer
 * keeps the process alive: somebody awaits the lock.
 *
 * Of each key only the first one here looks by itself. The others stand behind it, so that no look of theirs can be granted;
 * their places are kept together (10,000 looks a second took all of the server's time, and their places lapsed).
 */
export class Waiting {
  readonly #waits = new Set<Wait>();
  readonly #lines = new Map<string, Line>();
  /** How many of each key have ended their wait and are not out of the line yet. */
  readonly #leaving = new Map<string, { count: number; readonly gone: AbortController }>();
  readonly #stay: Stay;
  readonly #turns: Turns;
  #followers = 0;
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stayTimer: Timer | null = null;
  #isStaying = false;

  constructor(stay: Stay, requestTimeoutMs: number) {
    this.#stay = stay;
    this.#turns = new Turns(AT_ONCE, requestTimeoutMs);
  }

  /** Asks for a wait: at once for the first of this process, in turn for the many that stand behind it or have no place yet. */
  look<Answer>(wait: Wait, ask: () => Promise<Answer>): Promise<Answer> {
    return wait.ticket === null || this.isBehind(wait) ? this.#turns.take(ask) : ask();
  }

  get size(): number {
    return this.#waits.size;
  }

  join(wait: Wait): void {
    this.#waits.add(wait);
    let line = this.#lines.get(wait.key);
    if (line === undefined) {
      line = new Line();
      this.#lines.set(wait.key, line);
    }
    line.join(wait);
  }

  /** Its place in the line, from an answer. */
  place(wait: Wait, ticket: Ticket): void {
    if (this.#waits.has(wait)) {
      this.#change(wait, (line) => line.place(wait, ticket));
      this.#scheduleStay(STAY_EVERY_MS);
    }
  }

  leave(wait: Wait): void {
    if (!this.#waits.delete(wait)) {
      return;
    }
    this.#change(wait, (line) => {
      const wasFirst = line.first === wait;
      line.leave(wait);
      if (wasFirst && line.first !== null) {
        this.#promote(line.first);
      }
      if (line.isEmpty) {
        this.#lines.delete(wait.key);
      }
    });
    wait.resume?.();
    if (this.#waits.size === 0) {
      this.#setTimer(Number.POSITIVE_INFINITY);
    }
    if (this.#followers === 0) {
      this.#stayTimer?.cancel();
      this.#stayTimer = null;
    }
  }

  /** Whether another one of this process stands before it, and looks for both. */
  isBehind(wait: Wait): boolean {
    return wait.ticket !== null && this.#lines.get(wait.key)?.first !== wait;
  }

  /** Until it is woken, or the time is over; up to `slackMs` earlier when others look then. */
  async pause(wait: Wait, ms: number, slackMs: number): Promise<void> {
    if (wait.isWoken || !this.#waits.has(wait)) {
      wait.isWoken = false;
      return;
    }
    wait.dueAtMs = now().monotonicMs + ms;
    wait.slackMs = slackMs;
    const resumed = new Promise<void>((resolve, reject) => {
      wait.resume = (error) => {
        wait.resume = null;
        error === undefined ? resolve() : reject(error);
      };
    });
    this.#setTimerBy(wait.dueAtMs);
    await resumed;
    wait.isWoken = false;
  }

  /** A NOTIFY does not say which key: of each, the first in line here looks. */
  wakeAll(): void {
    for (const line of this.#lines.values()) {
      wake(line.next);
    }
  }

  wakeKey(key: string): void {
    wake(this.#lines.get(key)?.next ?? null);
  }

  /** Places may have been lost, with a crash of the server for instance. */
  stayNow(): void {
    this.#scheduleStay(0);
  }

  /** Somebody has ended its wait, and is taken out of the line: what this gives is to be called when that is done. */
  startLeaving(key: string): () => void {
    const leaving = this.#leaving.get(key) ?? { count: 0, gone: new AbortController() };
    leaving.count += 1;
    this.#leaving.set(key, leaving);
    return () => {
      leaving.count -= 1;
      if (leaving.count === 0) {
        this.#leaving.delete(key);
        leaving.gone.abort();
      }
    };
  }

  /** Whether some of this process were still in the line although they do not wait any more; resolves when they are not, or after `ms`. */
  async leavers(key: string, ms: number): Promise<boolean> {
    const leaving = this.#leaving.get(key);
    if (leaving === undefined) {
      return false;
    }
    await sleep(ms, { keepsAlive: true, signal: leaving.gone.signal });
    return true;
  }

  #change(wait: Wait, change: (line: Line) => void): void {
    const line = this.#lines.get(wait.key) as Line; // there is one for every wait
    this.#followers -= line.followers;
    change(line);
    this.#followers += line.followers;
  }

  #promote(wait: Wait): void {
    if (wait.resume !== null) {
      wait.dueAtMs = Math.min(wait.dueAtMs, now().monotonicMs + PROMOTED_MS);
      this.#setTimerBy(wait.dueAtMs);
    }
  }

  #scheduleStay(ms: number): void {
    if (this.#followers === 0 || this.#isStaying || (this.#stayTimer !== null && ms > 0)) {
      return;
    }
    this.#stayTimer?.cancel();
    this.#stayTimer = startTimer(ms, () => void this.#keepPlaces(), { keepsAlive: true });
  }

  /** Never rejects. */
  async #keepPlaces(): Promise<void> {
    this.#stayTimer = null;
    this.#isStaying = true;
    const startedAtMs = now().monotonicMs;
    const waits: Wait[] = [];
    for (const line of this.#lines.values()) {
      for (const wait of line.behindFirst()) {
        // who looks just now needs nothing else
        if (wait.resume !== null) {
          waits.push(wait);
        }
      }
    }
    try {
      for (const wait of await this.#stay(waits)) {
        wake(wait);
      }
    } catch (error) {
      for (const wait of waits) {
        wait.resume?.(error);
      }
    }
    this.#isStaying = false;
    this.#scheduleStay(Math.max(1, startedAtMs + STAY_EVERY_MS - now().monotonicMs));
  }

  #setTimerBy(atMs: number): void {
    if (atMs < this.#timerAtMs) {
      this.#setTimer(atMs);
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

function wake(wait: Wait | null): void {
  if (wait?.resume === null) {
    wait.isWoken = true;
  } else {
    wait?.resume();
  }
}
