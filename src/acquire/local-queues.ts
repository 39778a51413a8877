import type { LocalQueues as ClaimQueues } from "../claim/claim.js";
import type { HandOver } from "../hold/release.js";
import { Due, monotonicNowMs, sleep, startTimer, type Timer } from "../runtime/clock.js";
import type { Ticket } from "../store/store.js";
import { LocalQueue, type Waiter } from "./local-queue.js";
import { Turns } from "./turns.js";

/** Looks that are due within this time of each other go together, in one statement. */
const TOGETHER_MS = 200;
/** Whoever has become the first of this process looks so soon: until then it was kept in its place, and did not look by itself. */
const PROMOTED_MS = 500;
/** How many ask for a place at once: half a statement of a thousand, which a slow server answers in time. */
const AT_ONCE = 500;
/** A place lasts for 3 s. */
const STAY_EVERY_MS = 1_000;

/** Keeps the places of those who need not look. Resolves to those who must look after all. Rejects when none can be kept. */
export type Stay = (waits: readonly Waiter[]) => Promise<readonly Waiter[]>;

/**
 * The waits of this process. A wait holds no connection, only an entry in a table and one here, and all share one timer. The timer keeps
 * the process alive: somebody awaits the lock.
 *
 * Of each key only the first one here looks by itself. The others are behind it, so that no look of theirs could be granted;
 * their places are kept together (10,000 looks a second took all of the server's time, and the places expired).
 */
export class LocalQueues implements ClaimQueues, HandOver {
  /** How many wait here. Set here alone. */
  size = 0;
  readonly #waits = new Set<Waiter>();
  readonly #queues = new Map<string, LocalQueue>();
  /** How many of each key have given up and are not out of the queue yet. */
  readonly #leaving = new Map<string, { count: number; readonly gone: AbortController }>();
  readonly #stay: Stay;
  readonly #turns: Turns;
  readonly #due: Due = new Due(() => this.#resumeThoseDue());
  #followers = 0;
  #stayTimer: Timer | null = null;
  #isStaying = false;

  constructor(stay: Stay, requestTimeoutMs: number) {
    this.#stay = stay;
    this.#turns = new Turns(AT_ONCE, requestTimeoutMs);
  }

  /** Asks for a wait: at once for the first of this process, in turn for the many that are behind it or have no place yet. */
  look<Answer>(wait: Waiter, ask: () => Promise<Answer>): Promise<Answer> {
    return wait.ticket === null || this.isBehind(wait) ? this.#turns.take(ask) : ask();
  }

  /** Whether anybody here waits for the key. */
  has(key: string): boolean {
    return this.#queues.has(key);
  }

  join(wait: Waiter): void {
    this.#waits.add(wait);
    this.size = this.#waits.size;
    let queue = this.#queues.get(wait.key);
    if (queue === undefined) {
      queue = new LocalQueue();
      this.#queues.set(wait.key, queue);
    }
    queue.join(wait);
  }

  /** Its place in the queue, from an answer. */
  place(wait: Waiter, ticket: Ticket): void {
    if (this.#waits.has(wait)) {
      this.#change(wait, (queue) => queue.place(wait, ticket));
      this.#scheduleStay(STAY_EVERY_MS);
    }
  }

  leave(wait: Waiter): void {
    if (!this.#waits.delete(wait)) {
      return;
    }
    this.size = this.#waits.size;
    this.#change(wait, (queue) => {
      const wasFirst = queue.first === wait;
      queue.leave(wait);
      if (wasFirst && queue.first !== null) {
        this.#promote(queue.first);
      }
      if (queue.isEmpty) {
        this.#queues.delete(wait.key);
      }
    });
    wait.resume?.();
    if (this.#waits.size === 0) {
      // The timer keeps the process alive.
      this.#due.stop();
    }
    if (this.#followers === 0) {
      this.#stayTimer?.cancel();
      this.#stayTimer = null;
    }
  }

  /** Whether another one of this process is before it, and looks for both. */
  isBehind(wait: Waiter): boolean {
    return wait.ticket !== null && this.#queues.get(wait.key)?.first !== wait;
  }

  /** Until it is woken, or the time has passed; up to `slackMs` earlier when others look then. */
  async pause(wait: Waiter, ms: number, slackMs: number): Promise<void> {
    if (wait.isWoken || !this.#waits.has(wait)) {
      wait.isWoken = false;
      return;
    }
    wait.dueAtMs = monotonicNowMs() + ms;
    wait.slackMs = slackMs;
    const resumed = new Promise<void>((resolve, reject) => {
      wait.resume = (error) => {
        wait.resume = null;
        error === undefined ? resolve() : reject(error);
      };
    });
    this.#due.by(wait.dueAtMs);
    await resumed;
    wait.isWoken = false;
  }

  /** A NOTIFY does not say which key: of each, the first in the queue here looks. */
  wakeAll(): void {
    for (const queue of this.#queues.values()) {
      wake(queue.next);
    }
  }

  /** Whether there was anybody to wake. */
  wakeKey(key: string): boolean {
    const next = this.#queues.size === 0 ? null : (this.#queues.get(key)?.next ?? null);
    wake(next);
    return next !== null;
  }

  /** The look of the next one here follows the release on the same connection, so it need not wait for the answer. */
  releaseSent(key: string): "here" | "elsewhere" | null {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined) {
      return null;
    }
    if (queue.isBehindOthers) {
      return "elsewhere";
    }
    wake(queue.next);
    return queue.next === null ? null : "here";
  }

  releaseAnswered(key: string, hasLooked: boolean, isNextOurs: boolean | undefined): void {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined) {
      return;
    }
    if (isNextOurs !== undefined) {
      queue.isBehindOthers = !isNextOurs;
    }
    if (!hasLooked && isNextOurs !== false) {
      wake(queue.next);
    }
  }

  /** Places may have been lost, with a crash of the server for instance. */
  stayNow(): void {
    this.#scheduleStay(0);
  }

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

  /** Whether some of this process were still in the queue although they have given up; resolves when they are not, or after `ms`. */
  async leavers(key: string, ms: number): Promise<boolean> {
    const leaving = this.#leaving.get(key);
    if (leaving === undefined) {
      return false;
    }
    await sleep(ms, { signal: leaving.gone.signal });
    return true;
  }

  #change(wait: Waiter, change: (queue: LocalQueue) => void): void {
    const queue = this.#queues.get(wait.key) as LocalQueue; // there is one for every wait
    this.#followers -= queue.followers;
    change(queue);
    this.#followers += queue.followers;
  }

  #promote(wait: Waiter): void {
    if (wait.resume !== null) {
      wait.dueAtMs = Math.min(wait.dueAtMs, monotonicNowMs() + PROMOTED_MS);
      this.#due.by(wait.dueAtMs);
    }
  }

  #scheduleStay(ms: number): void {
    if (this.#followers === 0 || this.#isStaying || (this.#stayTimer !== null && ms > 0)) {
      return;
    }
    this.#stayTimer?.cancel();
    this.#stayTimer = startTimer(ms, () => void this.#keepPlaces());
  }

  /** Never rejects. */
  async #keepPlaces(): Promise<void> {
    this.#stayTimer = null;
    this.#isStaying = true;
    const startedAtMs = monotonicNowMs();
    const waits: Waiter[] = [];
    for (const queue of this.#queues.values()) {
      for (const wait of queue.behindFirst()) {
        // Whoever is looking just now needs nothing else.
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
    this.#scheduleStay(Math.max(1, startedAtMs + STAY_EVERY_MS - monotonicNowMs()));
  }

  #resumeThoseDue(): void {
    const nowMs = monotonicNowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const wait of this.#waits) {
      if (wait.resume === null) {
        continue;
      }
      if (wait.dueAtMs - Math.min(wait.slackMs, TOGETHER_MS) <= nowMs) {
        wait.resume();
      } else {
        nextMs = Math.min(nextMs, wait.dueAtMs);
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) {
      this.#due.by(nextMs);
    }
  }
}

function wake(wait: Waiter | null): void {
  if (wait?.resume === null) {
    wait.isWoken = true;
  } else {
    wait?.resume();
  }
}
