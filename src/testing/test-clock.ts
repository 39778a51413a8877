import { MessageChannel } from "node:worker_threads";
import { checkMs } from "../errors/option-checks.js";
import { Clock, systemClock, type Timer } from "../runtime/clock.js";

/** A clock that stands still until it is moved. */
export interface TestClock {
  /** Milliseconds since 1970: at first the time at which it was made. */
  now(): number;
  /**
   * Moves on by `ms` (an integer of 0 and up), runs every timer that falls due meanwhile at its own moment, in order, and lets what waited for it
   * go on before the next one. Calls that are made while it moves wait for their turn.
   */
  advance(ms: number): Promise<void>;
}

interface Pending {
  readonly atMs: number;
  readonly callback: () => void;
}

/** The time of a test. What is due now runs by itself, in a later turn of the event loop, as with any clock. */
export class ManualClock extends Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  readonly #pending = new Set<Pending>();
  #advancing: Promise<void> = Promise.resolve();
  #isCatchingUp = false;

  constructor() {
    super();
    this.#startMs = systemClock.wallNowMs();
  }

  override monotonicNowMs(): number {
    return this.#elapsedMs;
  }

  override wallNowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  /** It never keeps the process alive: a call that is awaited does. */
  override startTimer(ms: number, callback: () => void): Timer {
    const pending: Pending = { atMs: this.#elapsedMs + Math.max(0, Math.ceil(ms)), callback };
    this.#pending.add(pending);
    if (pending.atMs <= this.#elapsedMs) {
      this.#catchUp();
    }
    return { cancel: () => void this.#pending.delete(pending) };
  }

  advance(ms: number): Promise<void> {
    const checked = checkMs("ms", ms, 0);
    this.#advancing = this.#advancing.then(() => this.#advance(checked));
    return this.#advancing;
  }

  /** Moves on as far as the work waits for it. */
  async advanceUntil(work: Promise<unknown>): Promise<void> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    work.then(settle, settle);
    for (await turn(); !isSettled; await turn()) {
      const first = this.#first(Number.POSITIVE_INFINITY);
      if (first !== null) {
        await this.advance(Math.max(0, first.atMs - this.#elapsedMs));
      }
    }
  }

  async #advance(ms: number): Promise<void> {
    const untilMs = this.#elapsedMs + ms;
    await turn();
    for (let first = this.#first(untilMs); first !== null; first = this.#first(untilMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, first.atMs);
      this.#run(first);
      await turn();
    }
    this.#elapsedMs = untilMs;
  }

  /** Runs what is due although nobody moves the clock. */
  #catchUp(): void {
    if (!this.#isCatchingUp) {
      this.#isCatchingUp = true;
      void turn().then(() => {
        this.#isCatchingUp = false;
        for (const pending of [...this.#pending]) {
          if (pending.atMs <= this.#elapsedMs && this.#pending.has(pending)) {
            this.#run(pending);
          }
        }
      });
    }
  }

  #run(pending: Pending): void {
    this.#pending.delete(pending);
    pending.callback();
  }

  /** The earliest until then; of several at one moment the one that was made first. */
  #first(untilMs: number): Pending | null {
    let first: Pending | null = null;
    for (const pending of this.#pending) {
      if (pending.atMs <= untilMs && (first === null || pending.atMs < first.atMs)) {
        first = pending;
      }
    }
    return first;
  }
}

/** Resolves when everything that follows from what has happened has happened: in a later turn of the event loop. Fake timers do not hold it up. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.once("message", () => {
      port1.close();
      resolve();
    });
    port2.postMessage(null);
  });
}
