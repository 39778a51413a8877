import { monotonicNowMs, startTimer, type Timer } from "./clock.js";

/** Counts what is in progress, and calls `onIdle` when nothing has been for `idleTimeoutMs`. */
export class Activity {
  readonly #idleTimeoutMs: number;
  readonly #onIdle: () => void;
  readonly #onUse: () => void;
  #isResting = true;
  #count = 0;
  #idleSinceMs = 0;
  /** Keeps running while something is in progress: a timer for each call costs more than a check when it fires. */
  #timer: Timer | null = null;
  #isStopped = false;

  /** `idleTimeoutMs`: `Infinity` for never. `onUse` is called by the first call, and by the first after `onIdle`. */
  constructor(idleTimeoutMs: number, onIdle: () => void, onUse: () => void = () => undefined) {
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#onIdle = onIdle;
    this.#onUse = onUse;
  }

  /** Must be followed by one call of `end`. */
  begin(): void {
    this.#count += 1;
  }

  /** The same for a call of the user's, which ends the rest. */
  beginCall(): void {
    this.#count += 1;
    if (this.#isResting) {
      this.#isResting = false;
      this.#onUse();
    }
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) {
      this.#idleSinceMs = monotonicNowMs();
      if (this.#timer === null) {
        this.#watch(this.#idleTimeoutMs);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #watch(ms: number): void {
    if (!this.#isStopped && ms !== Number.POSITIVE_INFINITY) {
      this.#timer = startTimer(ms, () => this.#look());
    }
  }

  #look(): void {
    this.#timer = null;
    if (this.#count > 0) {
      return;
    }
    const leftMs = this.#idleSinceMs + this.#idleTimeoutMs - monotonicNowMs();
    if (leftMs > 0) {
      this.#watch(leftMs);
    } else {
      this.#isResting = true;
      this.#onIdle();
    }
  }
}
