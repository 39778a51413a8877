import { randomUUID } from "node:crypto";
import { UnavailableError } from "../errors/errors.js";
import type { Counters } from "../observe/counters/counters.js";
import type { Activity } from "../runtime/activity.js";
import { after, type Instant, isPast, now, startTimer, type Timer } from "../runtime/clock.js";
import { withTimeout } from "../runtime/timeout.js";
import type { Store } from "../store/store.js";

/** An hour, so that the database can tell recent counts from old ones, and forget those. */
const ROW_MS = 3_600_000;
/**
 * How many times longer a row may go unwritten before it is given up. The database adds up rows that nobody has written for six
 * hours: one that was written again after that would count twice.
 */
const GIVE_UP = 3;
const JITTER = 0.2;
const MAX_RETRY_MS = 300_000;
/** How long `close` waits for the last flush. */
const LAST_FLUSH_MS = 1_000;

export interface FlushingInit {
  readonly counters: Counters;
  readonly store: Store;
  /** A flush may run when the locker is idle already: the connection that it opens is closed again after the idle timeout. */
  readonly activity: Activity;
  readonly everyMs: number;
  /** How long a row is written before the next one is begun. */
  readonly rowMs?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Writes the counters to the database, some time after something was counted. A process has a row of its own, which always gets
 * the whole sum so far: a flush whose answer was lost is simply made again.
 */
export class Flushing {
  readonly #counters: Counters;
  readonly #store: Store;
  readonly #activity: Activity;
  readonly #everyMs: number;
  readonly #rowMs: number;
  readonly #onError: (error: unknown) => void;
  #id = randomUUID();
  #sequence = 0;
  /** When the row was first sent; null before. */
  #begunAt: Instant | null = null;
  /** When a flush of the row was last sent that is known to have been carried out, or else the first one. */
  #writtenAt: Instant = now();
  /** Whether the last flush is known to have been carried out. */
  #isWritten = true;
  #isDue = false;
  #timer: Timer | null = null;
  #failures = 0;
  #flushing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor({ counters, store, activity, everyMs, rowMs = ROW_MS, onError }: FlushingInit) {
    this.#counters = counters;
    this.#store = store;
    this.#activity = activity;
    this.#everyMs = everyMs;
    this.#rowMs = rowMs;
    this.#onError = onError;
  }

  /** Call it when something was counted. */
  schedule(): void {
    this.#isDue = true;
    if (this.#timer === null && !this.#isEnded) {
      this.#startTimer();
    }
  }

  /** Called when the locker is idle: what could not be flushed waits for the next count. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Whether there is something to be flushed, and the last attempt did not fail. */
  get isWanted(): boolean {
    return this.#canFlush && this.#failures === 0;
  }

  /** Never rejects: what fails is tried again later. */
  flush(): Promise<void> {
    this.pause();
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  /** Makes the last flush, which has one second. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await withTimeout(this.flush(), LAST_FLUSH_MS).catch(() => undefined);
  }

  /** Before the first connection it is not known which database that is, nor whether there is one. */
  get #canFlush(): boolean {
    return this.#isDue && this.#store.databaseId !== null;
  }

  #startTimer(): void {
    const delayMs = Math.min(this.#everyMs * 2 ** this.#failures, Math.max(MAX_RETRY_MS, this.#everyMs));
    const jitter = 1 - JITTER + 2 * JITTER * Math.random();
    this.#timer = startTimer(delayMs * jitter, () => void this.flush());
  }

  async #flush(): Promise<void> {
    if (!this.#canFlush) {
      return;
    }
    this.#isDue = false;
    this.#beginRowIfOld();
    const sentAt = now();
    if (this.#begunAt === null) {
      this.#begunAt = sentAt;
      this.#writtenAt = sentAt;
    }
    this.#sequence += 1;
    this.#isWritten = false;
    this.#activity.begin();
    try {
      await this.#store.flushCounters({ id: this.#id, sequence: this.#sequence, counts: this.#counters.unflushed() });
      this.#isWritten = true;
      this.#writtenAt = sentAt;
      this.#failures = 0;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#activity.end();
    }
  }

  /** What was not counted yet when the old row was last written belongs to the new one. */
  #beginRowIfOld(): void {
    if (this.#begunAt === null || !isPast(after(this.#begunAt, this.#rowMs))) {
      return;
    }
    if (this.#isWritten || isPast(after(this.#writtenAt, GIVE_UP * this.#rowMs))) {
      this.#counters.beginRow();
      this.#id = randomUUID();
      this.#sequence = 0;
      this.#begunAt = null;
    }
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    // Reported once; an outage is reported by the calls that fail anyway.
    if (this.#failures === 1 && !(error instanceof UnavailableError)) {
      this.#onError(error);
    }
    this.schedule();
  }
}
