import { randomUUID } from "node:crypto";
import { after, type Instant, isPast, now, startTimer, type Timer } from "../clock.js";
import { UnavailableError } from "../errors.js";
import type { CountersRow, Store } from "../store.js";
import { withTimeout } from "../timeout.js";
import type { Counters } from "./counters.js";

/** After this a row is closed and the next one begun, so that the database can tell what is new and forget what is old. */
const ROW_MS = 3_600_000;
/** The database adds up rows that nobody has written for six hours: what is written again after that would count twice. */
const GIVE_UP_MS = 3 * ROW_MS;
const JITTER = 0.2;
const MAX_RETRY_MS = 300_000;
/** `close` waits so long for the last flush. */
const LAST_FLUSH_MS = 1_000;

export interface FlushingInit {
  readonly counters: Counters;
  readonly store: Store;
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Writes the counters to the database, some time after something was counted. A process has a row of its own, which always gets
 * the whole sum so far: a flush whose answer was lost is simply made again.
 */
export class Flushing {
  readonly #counters: Counters;
  readonly #store: Store;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  #id = randomUUID();
  #sequence = 0;
  /** When the row is to be closed; null before it was first sent. */
  #closeAt: Instant | null = null;
  /** When it was last known to be written, or else first sent. */
  #writtenAt: Instant = now();
  /** A row that was closed and is not known to be written. */
  #closed: (CountersRow & { readonly giveUpAt: Instant }) | null = null;
  #isDue = false;
  /** Everything is known to be written. */
  #isFlushed = false;
  #timer: Timer | null = null;
  #failures = 0;
  #flushing: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor({ counters, store, everyMs, onError }: FlushingInit) {
    this.#counters = counters;
    this.#store = store;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  /** Something was counted. */
  schedule(): void {
    this.#isDue = true;
    if (this.#isFlushed) {
      this.#isFlushed = false;
      this.#leaveOldRow();
    }
    if (this.#timer === null && !this.#isEnded) {
      this.#startTimer();
    }
  }

  /** The locker rests: what could not be flushed waits for the next count. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Whether there is something to be flushed, and the last attempt did not fail. */
  get isWanted(): boolean {
    return this.#isDue && this.#failures === 0;
  }

  /** Never rejects: what fails is tried again later. */
  flush(): Promise<void> {
    this.pause();
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  /** The last flush: it is given a second. */
  async end(): Promise<void> {
    this.#isEnded = true;
    // Before the first connection there is no place to write it to.
    if (this.#store.place !== null) {
      await withTimeout(this.flush(), LAST_FLUSH_MS).catch(() => undefined);
    }
    this.pause();
  }

  #startTimer(): void {
    const delayMs = Math.min(this.#everyMs * 2 ** this.#failures, Math.max(MAX_RETRY_MS, this.#everyMs));
    const jitter = 1 - JITTER + 2 * JITTER * Math.random();
    this.#timer = startTimer(delayMs * jitter, () => void this.flush());
  }

  async #flush(): Promise<void> {
    if (!this.#isDue) {
      return;
    }
    this.#isDue = false;
    try {
      await this.#writeClosed();
      const sentAt = now();
      if (this.#closeAt === null) {
        this.#closeAt = after(sentAt, ROW_MS);
        this.#writtenAt = sentAt;
      }
      this.#sequence += 1;
      const row = { id: this.#id, sequence: this.#sequence, counts: this.#counters.unflushed() };
      await this.#store.flushCounters(row);
      this.#writtenAt = sentAt;
      this.#failures = 0;
      this.#isFlushed = !this.#isDue;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The next row begins when this one is closed, not when it is written: what is counted meanwhile belongs to the next. */
  async #writeClosed(): Promise<void> {
    if (this.#closed === null && this.#isOld) {
      const giveUpAt = after(this.#writtenAt, GIVE_UP_MS);
      this.#closed = { id: this.#id, sequence: this.#sequence + 1, counts: this.#counters.takeUnflushed(), giveUpAt };
      this.#startRow();
    }
    if (this.#closed !== null && !isPast(this.#closed.giveUpAt)) {
      await this.#store.flushCounters(this.#closed);
    }
    this.#closed = null;
  }

  /** All of it was written, perhaps long ago: what is counted from now on belongs to the next row. */
  #leaveOldRow(): void {
    if (this.#isOld) {
      this.#counters.forgetUnflushed();
      this.#startRow();
    }
  }

  get #isOld(): boolean {
    return this.#closeAt !== null && isPast(this.#closeAt);
  }

  #startRow(): void {
    this.#id = randomUUID();
    this.#sequence = 0;
    this.#closeAt = null;
  }

  #fail(error: unknown): void {
    this.#failures += 1;
    // Once; and an outage is told by what suffers from it.
    if (this.#failures === 1 && !(error instanceof UnavailableError)) {
      this.#onError(error);
    }
    this.schedule();
  }
}
