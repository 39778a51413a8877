import { monotonicNowMs, startTimer, type Timer } from "./clock.js";

/**
 * One timer for many deadlines. Set a deadline with `by`; when the earliest has come, `onDue` looks at all of them and sets the
 * next. A deadline cannot be cancelled: the timer fires once for nothing, which costs less than making and clearing a timer for each lock.
 */
export class Due {
  readonly #onDue: () => void;
  readonly #keepsAlive: boolean;
  #timer: Timer | null = null;
  #atMs = Number.POSITIVE_INFINITY;

  /** `keepsAlive`: a process does not end before the timer has fired. */
  constructor(onDue: () => void, { keepsAlive = false }: { keepsAlive?: boolean } = {}) {
    this.#onDue = onDue;
    this.#keepsAlive = keepsAlive;
  }

  /** Fires at this moment of the monotonic clock, or earlier. */
  by(atMs: number): void {
    if (atMs >= this.#atMs) {
      return;
    }
    this.#timer?.cancel();
    this.#atMs = atMs;
    this.#timer = startTimer(atMs - monotonicNowMs(), () => this.#fire(), { keepsAlive: this.#keepsAlive });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
  }

  #fire(): void {
    this.#timer = null;
    this.#atMs = Number.POSITIVE_INFINITY;
    this.#onDue();
  }
}
