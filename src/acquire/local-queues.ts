import type { LocalQueues as ClaimQueues } from "../claim/claim.js";
import type { HandOver } from "../hold/release.js";
import { type Clock, Due, type Timer } from "../runtime/clock.js";
import type { Ticket } from "../store/messages.js";
import { LocalQueue, type Waiter } from "./local-queue.js";
import { Turns } from "./turns.js";

/** Looks that are due within this time of each other are sent together, in one statement. */
const TOGETHER_MS = 200;
/** When a waiter that has just become the first of this process looks. Until then its entry was kept for it, and it did not look itself. */
const PROMOTED_MS = 500;
/** How many that have no ticket yet, or are behind the first, look at once: half a statement, which even a slow server answers in time. */
const AT_ONCE = 500;
/** An entry expires after 3 s. */
const KEEP_EVERY_MS = 1_000;

/** Keeps the entries of waiters that need not look. Resolves to those that must look after all. Rejects when no entry can be kept. */
export type KeepEntries = (waits: readonly Waiter[]) => Promise<readonly Waiter[]>;

/**
 * The waiters of this process. A waiter holds no connection: it has an entry in a table and one here. All share one timer.
 *
 * Only the first waiter of each key looks. The others are behind it, so none of their looks could be granted. Their entries are kept
 * by one statement (10,000 looks a second took all of the server's time, and the entries expired).
 */
export class LocalQueues implements ClaimQueues, HandOver {
  /** How many wait here. Nobody else sets it. */
  size = 0;
  readonly #waits = new Set<Waiter>();
  readonly #queues = new Map<string, LocalQueue>();
  /** Per key: waiters that have given up but still have an entry in the queue. */
  readonly #leaving = new Map<string, { count: number; readonly gone: AbortController }>();
  readonly #clock: Clock;
  readonly #keepEntries: KeepEntries;
  readonly #turns: Turns;
  readonly #due: Due;
  #followers = 0;
  #keepTimer: Timer | null = null;
  #isKeeping = false;

  constructor(clock: Clock, keepEntries: KeepEntries, requestTimeoutMs: number) {
    this.#clock = clock;
    this.#due = new Due(clock, () => this.#resumeThoseDue());
    this.#keepEntries = keepEntries;
    this.#turns = new Turns(clock, AT_ONCE, requestTimeoutMs);
  }

  /** Sends a waiter's look: at once for the first of this process; in turns for the many that are behind it or have no ticket yet. */
  look<Answer>(wait: Waiter, ask: () => Promise<Answer>): Promise<Answer> {
    const isBehind = !wait.isCalled && this.isBehind(wait);
    wait.isCalled = false;
    return wait.ticket === null || isBehind ? this.#turns.take(ask) : ask();
  }

  /** Sends a try of one that retries when its turn has come. */
  inTurn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    return this.#turns.take(ask);
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

  /** Takes the ticket that an answer gave to a waiter. */
  setTicket(wait: Waiter, ticket: Ticket): void {
    if (this.#waits.has(wait)) {
      this.#change(wait, (queue) => queue.setTicket(wait, ticket));
      this.#scheduleKeeping(KEEP_EVERY_MS);
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
      this.#due.stop();
    }
    if (this.#followers === 0) {
      this.#keepTimer?.cancel();
      this.#keepTimer = null;
    }
  }

  /** Whether another waiter of this process is ahead of it, and looks for both. */
  isBehind(wait: Waiter): boolean {
    return wait.ticket !== null && this.#queues.get(wait.key)?.first !== wait;
  }

  /** Resolves when the waiter is woken or the time has passed, or up to `slackMs` earlier when others look then. */
  async pause(wait: Waiter, ms: number, slackMs: number): Promise<void> {
    if (wait.isWoken || !this.#waits.has(wait)) {
      wait.isWoken = false;
      return;
    }
    wait.dueAtMs = this.#clock.monotonicNowMs() + ms;
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

  /** A NOTIFY does not say which key it is for, so the next waiter of every key looks. */
  wakeAll(): void {
    for (const queue of this.#queues.values()) {
      wakeNext(queue);
    }
  }

  /** Returns whether there was anybody to wake. */
  wakeKey(key: string): boolean {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    return queue !== undefined && wakeNext(queue);
  }

  /** After a grant beside which others of the queue fit: who is next looks, and once more if it has just looked, and tells the others in turn. */
  wakeFirst(key: string): void {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue?.next?.isReader) {
      wakeNext(queue);
    } else if (queue?.next) {
      wake(queue.next);
    }
  }

  /** The next waiter's look follows the release on the same connection, so it need not wait for the answer to the release. */
  releaseSent(key: string): "here" | "elsewhere" | null {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined) {
      return null;
    }
    if (queue.isBehindOthers) {
      return "elsewhere";
    }
    return wakeNext(queue) ? "here" : null;
  }

  releaseAnswered(key: string, hasLooked: boolean, isNextOurs: boolean | null | undefined): void {
    const queue = this.#queues.size === 0 ? undefined : this.#queues.get(key);
    if (queue === undefined || isNextOurs === null) {
      return;
    }
    if (isNextOurs !== undefined) {
      queue.isBehindOthers = !isNextOurs;
    }
    if (!hasLooked && isNextOurs !== false) {
      wakeNext(queue);
    }
  }

  /** Called when entries may have been lost, for instance in a crash of the server. */
  keepEntriesNow(): void {
    this.#scheduleKeeping(0);
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

  /** Resolves when no waiter of this process that has given up is still in the queue, or after `ms`. False: there was none. */
  async leavers(key: string, ms: number): Promise<boolean> {
    const leaving = this.#leaving.get(key);
    if (leaving === undefined) {
      return false;
    }
    await this.#clock.sleep(ms, { signal: leaving.gone.signal });
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
      wait.dueAtMs = Math.min(wait.dueAtMs, this.#clock.monotonicNowMs() + PROMOTED_MS);
      this.#due.by(wait.dueAtMs);
    }
  }

  #scheduleKeeping(ms: number): void {
    if (this.#followers === 0 || this.#isKeeping || (this.#keepTimer !== null && ms > 0)) {
      return;
    }
    this.#keepTimer?.cancel();
    this.#keepTimer = this.#clock.startTimer(ms, () => void this.#keepEntriesTogether());
  }

  /** Never rejects. */
  async #keepEntriesTogether(): Promise<void> {
    this.#keepTimer = null;
    this.#isKeeping = true;
    const startedAtMs = this.#clock.monotonicNowMs();
    const waits: Waiter[] = [];
    for (const queue of this.#queues.values()) {
      for (const wait of queue.behindFirst()) {
        // One that is looking just now needs nothing else.
        if (wait.resume !== null) {
          waits.push(wait);
        }
      }
    }
    try {
      for (const wait of await this.#keepEntries(waits)) {
        wake(wait);
      }
    } catch (error) {
      for (const wait of waits) {
        wait.resume?.(error);
      }
    }
    this.#isKeeping = false;
    this.#scheduleKeeping(Math.max(1, startedAtMs + KEEP_EVERY_MS - this.#clock.monotonicNowMs()));
  }

  #resumeThoseDue(): void {
    const nowMs = this.#clock.monotonicNowMs();
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

/**
 * Wakes who is next. Of readers all that stand next to each other, for they are granted together. Of those that want a part of a semaphore
 * one more if the first is looking already: each part that is let go makes room for one. Returns whether there was anybody.
 */
function wakeNext(queue: LocalQueue): boolean {
  const { next } = queue;
  if (next === null) {
    return false;
  }
  const isLooking = next.resume === null;
  let { behind } = next; // read first: a waiter that goes on may leave the queue
  wake(next);
  if (next.isReader) {
    for (let left = AT_ONCE; behind?.isReader === true && left > 0; left -= 1) {
      const following: Waiter | null = behind.behind;
      call(behind);
      behind = following;
    }
  } else if (next.isShared && isLooking) {
    while (behind?.isShared === true && behind.resume === null) {
      behind = behind.behind;
    }
    if (behind?.isShared === true) {
      call(behind);
    }
  }
  return true;
}

function call(wait: Waiter): void {
  wait.isCalled = true;
  wake(wait);
}

function wake(wait: Waiter): void {
  if (wait.resume === null) {
    wait.isWoken = true;
  } else {
    wait.resume();
  }
}
