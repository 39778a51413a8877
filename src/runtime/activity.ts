import { type Clock, endHold, processHold, type Timer } from "./clock.js";

/**
 * Counts what is in progress, and calls `onIdle` when nothing has been for `idleTimeoutMs`. The process is kept alive by calls that are
 * awaited, and by nothing else.
 */
export class Activity {
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  readonly #onIdle: () => void;
  readonly #onUse: () => void;
  #isResting = true;
  #count = 0;
  /** Those of `#count` that are awaited. */
  #calls = 0;
  /** Kept from one call to the next: a timer for each would cost more. */
  #hold: NodeJS.Timeout | null = null;
  #idleSinceMs = 0;
  /** Keeps running while something is in progress: a timer for each call costs more than a check when it fires. */
  #timer: Timer | null = null;
  #isStopped = false;

  /** `idleTimeoutMs`: `Infinity` for never. `onUse` is called by the first call, and by the first after `onIdle`. */
  constructor(clock: Clock, idleTimeoutMs: number, onIdle: () => void, onUse: () => void = () => undefined) {
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#onIdle = onIdle;
    this.#onUse = onUse;
  }

  /** Must be followed by one call of `end`. */
  begin(): void {
    this.#count += 1;
  }

  /** The same for a call that the user awaits, until `endCall`. It ends the rest, unless it is only there to look on. */
  beginCall({ isUse = true }: { isUse?: boolean } = {}): void {
    this.#calls += 1;
    if (this.#calls === 1) {
      this.#hold ??= processHold();
      this.#hold.ref();
    }
    this.#count += 1;
    if (this.#isResting && isUse && !this.#isStopped) {
      this.#isResting = false;
      this.#onUse();
    }
  }

  endCall(): void {
    this.#calls -= 1;
    if (this.#calls === 0) {
      this.#isStopped ? this.#endHold() : this.#hold?.unref();
    }
    this.end();
  }

  /** A call from its begin to its end. */
  async during<Value>(work: () => Promise<Value>, options?: { isUse?: boolean }): Promise<Value> {
    this.beginCall(options);
    try {
      return await work();
    } finally {
      this.endCall();
    }
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) {
      this.#idleSinceMs = this.#clock.monotonicNowMs();
      if (this.#timer === null) {
        this.#watch(this.#idleTimeoutMs);
      }
    }
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#calls === 0) {
      this.#endHold();
    }
    this.#timer?.cancel();
    this.#timer = null;
  }

  #endHold(): void {
    if (this.#hold !== null) {
      endHold(this.#hold);
      this.#hold = null;
    }
  }

  #watch(ms: number): void {
    if (!this.#isStopped && ms !== Number.POSITIVE_INFINITY) {
      this.#timer = this.#clock.startTimer(ms, () => this.#look());
    }
  }

  #look(): void {
    this.#timer = null;
    if (this.#count > 0) {
      return;
    }
    const leftMs = this.#idleSinceMs + this.#idleTimeoutMs - this.#clock.monotonicNowMs();
    if (leftMs > 0) {
      this.#watch(leftMs);
    } else {
      this.#isResting = true;
      this.#endHold();
      this.#onIdle();
    }
  }
}
