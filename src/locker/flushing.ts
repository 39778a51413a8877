import { randomUUID } from "node:crypto";
import { UnavailableError } from "../errors/errors.js";
import type { Counters } from "../observe/counters/counters.js";
import type { Activity } from "../runtime/activity.js";
import { after, type Clock, type Instant, type Timer } from "../runtime/clock.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";

/** An hour, so that the database can tell recent counts from old ones and delete the old ones. */
const ROW_MS = 3_600_000;
/**
 * A row that could not be written for this many times `ROW_MS` is given up. The database merges rows that nobody has written for six
 * hours: a row that was written again after that would count twice.
 */
const GIVE_UP = 3;
const JITTER = 0.2;
const MAX_RETRY_MS = 300_000;
/** How long `close` waits for the last flush. */
const LAST_FLUSH_MS = 1_000;

export interface FlushingInit {
  readonly counters: Counters;
  readonly backend: Backend;
  /** A flush may run when the locker is already idle. The connection that it opens is closed again after the idle timeout. */
  readonly activity: Activity;
  readonly everyMs: number;
  /** How long one row is used before the next one is begun. */
  readonly rowMs?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Writes the counters to the database, some time after something was counted. A process has a row of its own, and always writes the
 * whole sum so far. So a flush whose answer was lost is simply repeated.
 */
export class Flushing {
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #backend: Backend;
  readonly #activity: Activity;
  readonly #everyMs: number;
  readonly #rowMs: number;
  readonly #onError: (error: unknown) => void;
  #id = randomUUID();
  #sequence = 0;
  /** When the row was first sent; null before that. */
  #begunAt: Instant | null = null;
  /** When the last flush of the row that is known to have succeeded was sent. Before the first success: when the first flush was sent. */
  #writtenAt: Instant;
  /** Whether the last flush is known to have succeeded. */
  #isWritten = true;
  #isDue = false;
  #timer: Timer | null = null;
  #failures = 0;
  #flushing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor({ counters, backend, activity, everyMs, rowMs = ROW_MS, onError }: FlushingInit) {
    this.#counters = counters;
    this.#clock = backend.clock;
    this.#writtenAt = backend.clock.now();
    this.#backend = backend;
    this.#activity = activity;
    this.#everyMs = everyMs;
    this.#rowMs = rowMs;
    this.#onError = onError;
  }

  /** To be called when something was counted. */
  schedule(): void {
    this.#isDue = true;
    if (this.#timer === null && !this.#isEnded) {
      this.#startTimer();
    }
  }

  /** To be called when the locker is idle. What could not be flushed waits until something is counted again. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Whether there is something to flush and the last attempt did not fail. */
  get isWanted(): boolean {
    return this.#canFlush && this.#failures === 0;
  }

  /** Never rejects: a flush that fails is tried again later. */
  flush(): Promise<void> {
    this.pause();
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  /** Makes the last flush, which may take one second. */
  async end(): Promise<void> {
    this.#isEnded = true;
    await withTimeoutOf(this.#clock, this.flush(), LAST_FLUSH_MS).catch(() => undefined);
  }

  /** Before the first connection it is unknown which database it is, and whether there is one. */
  get #canFlush(): boolean {
    return this.#isDue && this.#backend.databaseId !== null;
  }

  #startTimer(): void {
    const delayMs = Math.min(this.#everyMs * 2 ** this.#failures, Math.max(MAX_RETRY_MS, this.#everyMs));
    const jitter = 1 - JITTER + 2 * JITTER * Math.random();
    this.#timer = this.#clock.startTimer(delayMs * jitter, () => void this.flush());
  }

  async #flush(): Promise<void> {
    if (!this.#canFlush) {
      return;
    }
    this.#isDue = false;
    this.#beginRowIfOld();
    const sentAt = this.#clock.now();
    if (this.#begunAt === null) {
      this.#begunAt = sentAt;
      this.#writtenAt = sentAt;
    }
    this.#sequence += 1;
    this.#isWritten = false;
    this.#activity.begin();
    try {
      await this.#backend.flushCounters({ id: this.#id, sequence: this.#sequence, counts: this.#counters.unflushed() });
      this.#isWritten = true;
      this.#writtenAt = sentAt;
      this.#failures = 0;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#activity.end();
    }
  }

  /** What the last flush of the old row did not contain goes into the new one. */
  #beginRowIfOld(): void {
    if (this.#begunAt === null || !this.#clock.isPast(after(this.#begunAt, this.#rowMs))) {
      return;
    }
    if (this.#isWritten || this.#clock.isPast(after(this.#writtenAt, GIVE_UP * this.#rowMs))) {
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
