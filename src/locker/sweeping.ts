import type { SweepResult } from "../api/results.js";
import type { Observer } from "../observe/observer.js";
import type { Timer } from "../runtime/clock.js";
import type { Backend } from "../store/backend.js";
import type { SweepBatch } from "../store/messages.js";

/** The pause between two batches in the background. A purge can wait; the others on its connection and on the server cannot. */
const PAUSE_MS = 50;
/** How many batches run in a row in the background; they look at a million leases. The next run goes on from there. */
const MAX_BATCHES = 100;

export interface SweepingInit {
  readonly backend: Backend;
  readonly observer: Observer;
  /** `Infinity`: never in the background. */
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Runs the sweeper: on request, and in the background between `start` and `stop`, which does not count as use of the locker. All lockers
 * of a database share the work: one sweeps at a time, and none soon after another.
 */
export class Sweeping {
  readonly #backend: Backend;
  readonly #observer: Observer;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  /** Set while it is started. `stop` aborts it. */
  #running: AbortController | null = null;
  #timer: Timer | null = null;

  constructor({ backend, observer, everyMs, onError }: SweepingInit) {
    this.#backend = backend;
    this.#observer = observer;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  /** Called whenever the locker is used. */
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

  /** Sweeps until the pass is complete. @throws LeaseholdError */
  sweep(): Promise<SweepResult> {
    return this.#pass({ quietMs: 0, pauseMs: 0, maxBatches: Number.POSITIVE_INFINITY });
  }

  #schedule(signal: AbortSignal): void {
    const delayMs = this.#everyMs * (0.5 + Math.random());
    this.#timer = this.#backend.clock.startTimer(delayMs, () => void this.#sweepInBackground(signal));
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
    let result = await this.#backend.sweep(Math.ceil(quietMs));
    for (let batches = 1; result.hasMore && batches < maxBatches; batches += 1) {
      await this.#backend.clock.sleep(pauseMs, signal && { signal });
      if (signal?.aborted) {
        break;
      }
      result = sum(result, await this.#backend.sweep(0));
    }
    const { hasMore, ...done } = result;
    this.#observer.swept?.(done);
    return done;
  }
}

interface Pace {
  /** Do nothing when somebody else ran a batch less than this long ago. */
  readonly quietMs: number;
  /** The pause between two batches. */
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
