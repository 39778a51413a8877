import { abortReason, onAbort } from "./abort-listeners.js";
import { Acquisition, type NotGranted } from "./acquisition.js";
import type { Background } from "./background.js";
import type { Callbacks } from "./callbacks.js";
import type { Calls } from "./calls.js";
import { elapsedMs } from "./clock.js";
import type { Holdings } from "./holdings.js";
import type { Lock } from "./lock.js";
import type { AcquireOutcome, Observer } from "./observer.js";
import type { ResolvedAcquireOptions, ResolvedLockerOptions } from "./resolve-options.js";
import type { Store } from "./store.js";
import type { Waiting } from "./waiting.js";

export interface AcquiringInit {
  readonly options: ResolvedLockerOptions;
  readonly store: Store;
  readonly waiting: Waiting;
  readonly calls: Calls;
  readonly background: Background;
  readonly callbacks: Callbacks;
  readonly holdings: Holdings;
  readonly observer: Required<Observer>;
}

/** The acquires that are under way: each ends as a lock, with an answer, or with an error and its last word in the background. */
export class Acquiring {
  readonly #init: AcquiringInit;
  readonly #acquisitions = new Set<Acquisition>();

  constructor(init: AcquiringInit) {
    this.#init = init;
  }

  get acquisitions(): ReadonlySet<Acquisition> {
    return this.#acquisitions;
  }

  /** @throws ClosedError @throws the signal's reason @throws UnavailableError when Postgres is silent for `requestTimeoutMs` */
  async acquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock | NotGranted> {
    const { options, store, waiting, calls, background, callbacks, holdings, observer } = this.#init;
    const { signal } = terms;
    const leave = calls.enter();
    if (signal?.aborted) {
      leave();
      throw abortReason(signal);
    }
    const { requestTimeoutMs } = options;
    const acquisition = new Acquisition({ store, waiting, key, terms, requestTimeoutMs, closed: calls.closed });
    const stopListening = signal === null ? null : onAbort(signal, () => acquisition.end(abortReason(signal)));
    this.#acquisitions.add(acquisition);
    observer.acquireStarted(acquisition);
    try {
      const result = await acquisition.run();
      if (result.outcome === "granted") {
        const lock = holdings.hold(acquisition, result, terms);
        this.#ended(acquisition, "granted", lock);
        callbacks.call(() => options.onAcquired?.(lock));
        return lock;
      }
      if (acquisition.isUnfinished) {
        background.add(acquisition.lastWord());
      }
      this.#ended(acquisition, result.outcome === "timeout" ? "timed-out" : "held");
      return result;
    } catch (error) {
      this.#ended(acquisition, acquisition.wasEndedWith(error) ? "cancelled" : "failed", null, error);
      background.add(acquisition.lastWord());
      throw error;
    } finally {
      leave();
      this.#acquisitions.delete(acquisition);
      stopListening?.();
    }
  }

  /** Gives all of them up. */
  end(error: unknown): void {
    for (const acquisition of this.#acquisitions) {
      acquisition.end(error);
    }
  }

  #ended(acquisition: Acquisition, outcome: AcquireOutcome, lock: Lock | null = null, error: unknown = null): void {
    this.#init.observer.acquireEnded(acquisition, outcome, elapsedMs(acquisition.startedAt), lock, error);
  }
}
