import { type LeaseholdError, UnavailableError } from "../errors/errors.js";
import type { RenewalListener } from "../observe/callbacks.js";
import type { Observer } from "../observe/observer.js";
import { type Clock, Due } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import type { LinkedList } from "../runtime/linked-list.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { PendingRenewal, RenewAnswer } from "../store/messages.js";
import { retry } from "../store/retry.js";
import type { Lease } from "./lease.js";
import { Renewal, type RenewalOwner } from "./renewal.js";

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;
/** Why an attempt is answered with `busy`. */
export const ROW_LOCKED =
  "its row is locked by another transaction, or the connection that shows that this process lives is being made again";

export interface RenewalsInit {
  readonly backend: Backend;
  /** What is held. */
  readonly leases: LinkedList<Lease>;
  readonly observer: Observer;
  readonly onError: (error: unknown) => void;
}

/**
 * Renews what the process holds. Leases that are due within half an interval come along, so that those which were granted one by one
 * soon share one statement. What fails for a passing reason is tried again until the lease expires, each at its own pace.
 */
export class Renewals implements RenewalOwner<Lease> {
  readonly #clock: Clock;
  readonly #backend: Backend;
  readonly #leases: LinkedList<Lease>;
  readonly #observer: Observer;
  readonly #onError: (error: unknown) => void;
  readonly #due: Due;

  constructor({ backend, leases, observer, onError }: RenewalsInit) {
    this.#clock = backend.clock;
    this.#due = new Due(backend.clock, () => this.#renewThoseDue());
    this.#backend = backend;
    this.#leases = leases;
    this.#observer = observer;
    this.#onError = onError;
  }

  /** Takes the place of what has renewed it so far. Returns its number, for `stopKeepAlive`. */
  keepAlive(
    lease: Lease,
    everyMs: number,
    listener: RenewalListener | null,
    nowMs: number = this.#clock.monotonicNowMs(),
  ): number {
    const renewal = this.#of(lease);
    renewal.everyMs = everyMs;
    renewal.listener = listener;
    renewal.started += 1;
    this.#scheduleAt(renewal, nowMs + everyMs);
    return renewal.started;
  }

  /** Resolves when no renewal is in flight any more. One that has taken its place meanwhile goes on. */
  stopKeepAlive(lease: Lease, number: number): Promise<void> {
    const renewal = this.#of(lease);
    if (renewal.started === number) {
      renewal.everyMs = null;
      // One that is unproven is still asked about.
      if (lease.isHeld) {
        renewal.dueAtMs = Number.POSITIVE_INFINITY;
      }
    }
    return renewal.settled();
  }

  /** Sends no more renewals of it until `resume`. Resolves when none is in flight any more. */
  pause(lease: Lease): Promise<void> {
    const renewal = this.#of(lease);
    renewal.isPaused = true;
    return renewal.settled();
  }

  resume(lease: Lease): void {
    const renewal = this.#of(lease);
    renewal.isPaused = false;
    if (lease.phase === "held") {
      this.#due.by(renewal.dueAtMs);
    }
  }

  /** Asks now whether it is still ours: a new session stands, say, under which it must be renewed, or it stays unproven. */
  prove(lease: Lease): void {
    this.#schedule(this.#of(lease), 0);
  }

  stop(): void {
    this.#due.stop();
  }

  answered(renewal: Renewal<Lease>, answer: RenewAnswer): void {
    renewal.settle();
    const { lease } = renewal;
    const isSettled = takeAnswer(lease, answer);
    if (answer.outcome === "renewed" && renewal.askedTtlMs !== null && lease.phase === "held") {
      this.#observer.renewed?.(lease);
      renewal.listener?.renewed();
    }
    this.#plan(renewal, isSettled);
  }

  failed(renewal: Renewal<Lease>, error: LeaseholdError): void {
    renewal.settle();
    if (renewal.lease.phase === "held") {
      renewal.listener === null ? this.#onError(error) : renewal.listener.failed(error);
    }
    this.#plan(renewal, false);
  }

  #of(lease: Lease): Renewal<Lease> {
    lease.renewal ??= new Renewal(lease, this);
    return lease.renewal;
  }

  #schedule(renewal: Renewal<Lease>, inMs: number): void {
    this.#scheduleAt(renewal, this.#clock.monotonicNowMs() + inMs);
  }

  #scheduleAt(renewal: Renewal<Lease>, atMs: number): void {
    renewal.dueAtMs = atMs;
    this.#due.by(renewal.dueAtMs);
  }

  #renewThoseDue(): void {
    const nowMs = this.#clock.monotonicNowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (let lease = this.#leases.first; lease !== null; lease = lease.next) {
      const { renewal } = lease;
      if (renewal === null || renewal.isInFlight || renewal.isPaused) {
        continue;
      }
      const headStartMs = renewal.retryMs > 0 ? 0 : (renewal.everyMs ?? 0) / 2;
      if (renewal.dueAtMs - headStartMs <= nowMs) {
        renewal.isInFlight = true;
        renewal.dueAtMs = Number.POSITIVE_INFINITY;
        renewal.askedTtlMs = renewal.everyMs === null ? null : lease.ttlMs;
        this.#backend.renew(renewal);
      } else {
        nextMs = Math.min(nextMs, renewal.dueAtMs);
      }
    }
    this.#due.by(nextMs);
  }

  /** Plans the next one. */
  #plan(renewal: Renewal<Lease>, isSettled: boolean): void {
    const { lease } = renewal;
    if (lease.phase !== "held") {
      return;
    }
    if (isSettled) {
      renewal.retryMs = 0;
      if (renewal.dueAtMs !== Number.POSITIVE_INFINITY) {
        // Asked for again meanwhile, by a reconnect.
        this.#schedule(renewal, 0);
      } else if (renewal.everyMs !== null) {
        this.#schedule(renewal, paceOf(lease, renewal.everyMs));
      }
    } else {
      renewal.retryMs = Math.min(Math.max(FIRST_RETRY_MS, renewal.retryMs * 2), MAX_RETRY_MS);
      this.#schedule(renewal, renewal.retryMs * (0.8 + 0.4 * Math.random()));
    }
  }
}

/** A lease that was renewed by hand for less than its interval must be renewed sooner than that. */
function paceOf({ ttlMs }: Lease, everyMs: number): number {
  return everyMs < ttlMs ? everyMs : ttlMs / 3;
}

/** Whether the answer settles the question; otherwise it has to be asked again. */
function takeAnswer(lease: Lease, answer: RenewAnswer): boolean {
  if (lease.phase !== "held") {
    return true;
  }
  if (answer.outcome === "renewed") {
    lease.prove(answer);
    return true;
  }
  if (answer.outcome === "lost") {
    lease.lose(answer.reason);
    return true;
  }
  return false;
}

/**
 * One renewal that somebody awaits: asked until it is answered, `timeoutMs` have passed, or the lease has expired.
 * @throws LeaseLostError, NotHeldError when it has ended meanwhile
 * @throws UnavailableError what the last attempt failed with, or that each found the row locked
 */
export async function renewNow(backend: Backend, lease: Lease, ttlMs: number, timeoutMs: number): Promise<void> {
  const { key, token, fence } = lease;
  const deadline = lease.within(timeoutMs);
  await retry({
    clock: backend.clock,
    attempt: async (leftMs) => {
      const answer = await withTimeoutOf(
        backend.clock,
        new Promise<RenewAnswer>((onAnswer, onFailure) => {
          backend.renew({ key, token, fence, askedTtlMs: ttlMs, onAnswer, onFailure } satisfies PendingRenewal);
        }),
        leftMs,
      );
      return takeAnswer(lease, answer) ? true : undefined;
    },
    deadline,
    firstMs: 10,
    maxMs: 200,
    refuse: () => {
      if (lease.phase !== "held") {
        throw lease.whyEnded();
      }
    },
    exhausted: (failure) => failure ?? notRenewed(key),
  }).catch((error: unknown) => {
    // What is known of the lease says more than that an attempt had no answer.
    throw error instanceof UnavailableError && lease.phase !== "held" ? lease.whyEnded() : error;
  });
}

function notRenewed(key: string): UnavailableError {
  const message = `The lock on ${quote(key)} could not be renewed in time: ${ROW_LOCKED}. It may still be held.`;
  return new UnavailableError({ outcome: "not-sent", message });
}
