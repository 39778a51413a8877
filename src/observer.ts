import type { Acquisition } from "./acquisition.js";
import type { LeaseLostError } from "./errors.js";
import type { Lease } from "./lease.js";
import type { Lock } from "./lock.js";
import type { SweepResult } from "./store.js";

/**
 * How an acquire ended. `held`: it did not wait, and somebody had the key. `cancelled`: by its signal, or by `close`.
 * `failed`: with any other error.
 */
export type AcquireOutcome = "granted" | "held" | "timed-out" | "cancelled" | "failed";

/**
 * What wants to know what a locker does: counters, hooks. It is told with what is at hand anyway (the live objects and
 * numbers), so that a payload is made only by those who need one. It must neither throw nor change what it is given.
 */
export interface Observer {
  acquireStarted?(acquisition: Acquisition): void;
  /** `acquisition` also knows whether the key was contended, and from whom it was taken over. */
  acquireEnded?(
    acquisition: Acquisition,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void;
  /** By its holder or by `close`, also when Postgres has not answered yet. Not what turned out to be lost. */
  released?(lease: Lease, heldMs: number): void;
  renewed?(lease: Lease): void;
  lost?(lease: Lease, error: LeaseLostError, heldMs: number): void;
  checked?(key: string): void;
  swept?(result: SweepResult): void;
  /** What failed in the background. */
  failed?(error: unknown): void;
}

/** Several observers as one, told in the order in which they were added. */
export class Observers implements Required<Observer> {
  readonly #observers: Observer[] = [];

  add(observer: Observer): void {
    this.#observers.push(observer);
  }

  acquireStarted(acquisition: Acquisition): void {
    for (const observer of this.#observers) {
      observer.acquireStarted?.(acquisition);
    }
  }

  acquireEnded(
    acquisition: Acquisition,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void {
    for (const observer of this.#observers) {
      observer.acquireEnded?.(acquisition, outcome, waitedMs, lock, error);
    }
  }

  released(lease: Lease, heldMs: number): void {
    for (const observer of this.#observers) {
      observer.released?.(lease, heldMs);
    }
  }

  renewed(lease: Lease): void {
    for (const observer of this.#observers) {
      observer.renewed?.(lease);
    }
  }

  lost(lease: Lease, error: LeaseLostError, heldMs: number): void {
    for (const observer of this.#observers) {
      observer.lost?.(lease, error, heldMs);
    }
  }

  checked(key: string): void {
    for (const observer of this.#observers) {
      observer.checked?.(key);
    }
  }

  swept(result: SweepResult): void {
    for (const observer of this.#observers) {
      observer.swept?.(result);
    }
  }

  failed(error: unknown): void {
    for (const observer of this.#observers) {
      observer.failed?.(error);
    }
  }
}
