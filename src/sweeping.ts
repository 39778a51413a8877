import { sleep, startTimer, type Timer } from "./clock.js";
import type { Observer } from "./observer.js";
import type { Store, SweepBatch, SweepResult } from "./store.js";

/** Between two batches in the background: what is purged can wait, what shares the connection or the server cannot. */
const PAUSE_MS = 50;
/** In the background no more batches than this in a row, which look at a million leases: the next turn goes on with the rest. */
const MAX_BATCHES = 100;

export interface SweepingInit {
  readonly store: Store;
  readonly observer: Observer;
  /** `Infinity`: not in the background. */
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Runs the sweeper: when it is told to, and in the background between `start` and `stop`, which keeps no locker from being
 * idle. All lockers of a database share the work: one at a time sweeps, and none so soon after another.
 */
export class Sweeping {
  readonly #store: Store;
  readonly #observer: Observer;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  /** While it is started; aborted by `stop`. */
  #running: AbortController | null = null;
  #timer: Timer | null = null;

  constructor({ store, observer, everyMs, onError }: SweepingInit) {
    this.#store = store;
    this.#observer = observer;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  /** Whenever the locker is used. */
  start(): void {
    if (this.#running === null && this.#everyMs !== Number.POSITIVE_INFINITY) {
      const running = new AbortController();
      this.#running = running;
      this.#schedule(running.signal);
    }
  }

  stop(): void {
    this.#running?.abort();
    this.#running = null;
    this.#timer?.cancel();
  }

  /** To the end of a pass. @throws LeaseholdError */
  sweep(): Promise<SweepResult> {
    return this.#pass({ quietMs: 0, pauseMs: 0, maxBatches: Number.POSITIVE_INFINITY });
  }

  #schedule(signal: AbortSignal): void {
    const delayMs = this.#everyMs * (0.5 + Math.random());
    this.#timer = startTimer(delayMs, () => void this.#sweepInBackground(signal));
  }

  async #sweepInBackground(signal: AbortSignal): Promise<void> {
    try {
      // However many lockers there are, their passes are at least half an interval apart.
      await this.#pass({ quietMs: this.#everyMs / 2, pauseMs: PAUSE_MS, maxBatches: MAX_BATCHES, signal });
    } catch (error) {
      if (!signal.aborted) {
        this.#onError(error);
      }
    }
    if (!signal.aborted) {
      this.#schedule(signal);
    }
  }

  async #pass({ quietMs, pauseMs, maxBatches, signal }: Pace): Promise<SweepResult> {
    let result = await this.#store.sweep(Math.ceil(quietMs));
    for (let batches = 1; result.hasMore && batches < maxBatches; batches += 1) {
      await sleep(pauseMs, { keepsAlive: signal === undefined, ...(signal && { signal }) });
      if (signal?.aborted) {
        break;
      }
      result = sum(result, await this.#store.sweep(0));
    }
    const { hasMore, ...done } = result;
    this.#observer.swept?.(done);
    return done;
  }
}

interface Pace {
  /** Nothing is done so soon after a batch of somebody else's. */
  readonly quietMs: number;
  /** Between two batches. */
  readonly pauseMs: number;
  readonly maxBatches: number;
  readonly signal?: AbortSignal;
}

function sum(a: SweepBatch, b: SweepBatch): SweepBatch {
  return {
    woken: a.woken + b.woken,
    leasesPurged: a.leasesPurged + b.leasesPurged,
    waitersPurged: a.waitersPurged + b.waitersPurged,
    sessionsPurged: a.sessionsPurged + b.sessionsPurged,
    countersPurged: a.countersPurged + b.countersPurged,
    isBusy: b.isBusy,
    hasMore: b.hasMore,
  };
}
