import type { Lock } from "../api/lock.js";
import type { SweepResult } from "../api/results.js";
import type { ShareTerms } from "../config/share.js";
import type { LeaseLostError } from "../errors/errors.js";
import type { Takeover } from "../store/messages.js";

/**
 * How an acquire ended. `held`: the key was held, and the call did not wait. `timed-out`: not granted within `waitMs`, or before its `retry` gave
 * up. `cancelled`: by its signal, or by `close`. `failed`: any other error.
 */
export type AcquireOutcome = "granted" | "held" | "timed-out" | "cancelled" | "failed";

/** What observers may read of how a lock was asked for. */
export interface ObservedTerms {
  readonly owner: string;
  readonly share: ShareTerms | null;
}

/** What observers may read of an acquire. */
export interface ObservedClaim {
  readonly key: string;
  readonly terms: ObservedTerms;
  /** Whether any attempt had another answer than a grant. */
  readonly isContended: boolean;
  /** Whose lease the grant took over without a release. */
  readonly takeover: Takeover | null;
  /** What the last word (rule 8) found in the key's row. */
  readonly found: "ours" | "taken" | "free" | null;
}

/** What observers may read of a lease. */
export interface ObservedLease {
  readonly key: string;
  readonly fence: bigint;
  readonly terms: ObservedTerms;
  readonly claim: ObservedClaim;
}

/**
 * Is notified of what a locker does. Counters and hooks are observers. It gets live objects, so that only an observer
 * that needs a payload makes one. It must not throw or change them.
 */
export interface Observer {
  acquireEnded?(
    claim: ObservedClaim,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void;
  /**
   * Released by its holder or by `close`; Postgres may not have answered yet. Not called for a lock that turned out to
   * be lost.
   */
  released?(lease: ObservedLease, heldMs: number): void;
  /** Its handle has ended, and the lease goes on elsewhere. */
  detached?(lease: ObservedLease, heldMs: number): void;
  /** It was acquired elsewhere, and goes on here. */
  adopted?(lease: ObservedLease, heldMs: number): void;
  renewed?(lease: ObservedLease): void;
  lost?(lease: ObservedLease, error: LeaseLostError, heldMs: number): void;
  checked?(key: string): void;
  swept?(result: SweepResult): void;
  /** Something failed in the background. */
  failed?(error: unknown): void;
}

/** Combines observers. They are notified in the order in which they were added. */
export class Observers implements Required<Observer> {
  readonly #observers: Observer[] = [];

  add(observer: Observer): void {
    this.#observers.push(observer);
  }

  acquireEnded(
    claim: ObservedClaim,
    outcome: AcquireOutcome,
    waitedMs: number,
    lock: Lock | null,
    error: unknown,
  ): void {
    for (const observer of this.#observers) {
      observer.acquireEnded?.(claim, outcome, waitedMs, lock, error);
    }
  }

  released(lease: ObservedLease, heldMs: number): void {
    for (const observer of this.#observers) {
      observer.released?.(lease, heldMs);
    }
  }

  detached(lease: ObservedLease, heldMs: number): void {
    for (const observer of this.#observers) {
      observer.detached?.(lease, heldMs);
    }
  }

  adopted(lease: ObservedLease, heldMs: number): void {
    for (const observer of this.#observers) {
      observer.adopted?.(lease, heldMs);
    }
  }

  renewed(lease: ObservedLease): void {
    for (const observer of this.#observers) {
      observer.renewed?.(lease);
    }
  }

  lost(lease: ObservedLease, error: LeaseLostError, heldMs: number): void {
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
