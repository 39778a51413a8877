import { ofAttempts } from "./attempt-errors.js";
import { isPast, msUntil, now, sleep, startTimer, type Timer } from "./clock.js";
import { UnavailableError } from "./errors.js";
import type { Lease } from "./lease.js";
import type { Observer } from "./observer.js";
import type { RenewAnswer, Store } from "./store.js";
import { RequestTimeout, withTimeout } from "./timeout.js";

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1_000;

interface Entry {
  readonly lease: Lease;
  /** Null: renewed only on demand. */
  everyMs: number | null;
  /** On the monotonic clock; Infinity when nothing is due. */
  dueAtMs: number;
  retryMs: number;
  isInFlight: boolean;
  onError: ((error: unknown) => void) | null;
}

/**
 * Renews what the process holds, all of it together: who is due within half an interval comes along, so that leases which
 * were granted one by one soon share one statement. What fails for a passing reason is tried again until the lease's own
 * deadline, at a pace of its own.
 */
export class Renewals {
  readonly #store: Store;
  readonly #observer: Observer;
  readonly #onError: (error: unknown) => void;
  readonly #entries = new Map<Lease, Entry>();
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(store: Store, observer: Observer, onError: (error: unknown) => void) {
    this.#store = store;
    this.#observer = observer;
    this.#onError = onError;
  }

  add(lease: Lease): void {
    this.#entries.set(lease, {
      lease,
      everyMs: null,
      dueAtMs: Number.POSITIVE_INFINITY,
      retryMs: 0,
      isInFlight: false,
      onError: null,
    });
  }

  keepAlive(lease: Lease, everyMs: number, onError: ((error: unknown) => void) | null): void {
    const entry = this.#entries.get(lease);
    if (entry !== undefined) {
      entry.everyMs = everyMs;
      entry.onError = onError;
      this.#schedule(entry, everyMs);
    }
  }

  stopKeepAlive(lease: Lease): void {
    const entry = this.#entries.get(lease);
    if (entry !== undefined) {
      entry.everyMs = null;
      // One that is unproven is still asked about.
      if (lease.isHeld) {
        entry.dueAtMs = Number.POSITIVE_INFINITY;
      }
    }
  }

  /** After this no renewal of the lease is sent, and one that is on its way changes nothing. */
  remove(lease: Lease): void {
    this.#entries.delete(lease);
    if (this.#entries.size === 0) {
      this.#setTimer(Number.POSITIVE_INFINITY);
    }
  }

  /** A new session stands: each lease must be renewed under it, or it stays unproven. */
  proveAll(): void {
    for (const entry of this.#entries.values()) {
      this.#schedule(entry, 0);
    }
  }

  /** Like `proveAll`, for a lease that was granted while the session was replaced. */
  prove(lease: Lease): void {
    const entry = this.#entries.get(lease);
    if (entry !== undefined) {
      this.#schedule(entry, 0);
    }
  }

  #schedule(entry: Entry, inMs: number): void {
    entry.dueAtMs = now().monotonicMs + inMs;
    if (entry.dueAtMs < this.#timerAtMs) {
      this.#setTimer(entry.dueAtMs);
    }
  }

  #setTimer(atMs: number): void {
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = atMs === Number.POSITIVE_INFINITY ? null : startTimer(atMs - now().monotonicMs, () => this.#fire());
  }

  #fire(): void {
    const nowMs = now().monotonicMs;
    let next = Number.POSITIVE_INFINITY;
    for (const entry of this.#entries.values()) {
      const headStartMs = entry.retryMs > 0 ? 0 : (entry.everyMs ?? 0) / 2;
      if (entry.isInFlight || entry.dueAtMs === Number.POSITIVE_INFINITY) {
        continue;
      }
      if (entry.dueAtMs - headStartMs <= nowMs) {
        void this.#renew(entry);
      } else {
        next = Math.min(next, entry.dueAtMs);
      }
    }
    this.#setTimer(next);
  }

  async #renew(entry: Entry): Promise<void> {
    const { lease } = entry;
    entry.isInFlight = true;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
    let isSettled = false;
    try {
      const ttlMs = entry.everyMs === null ? null : lease.ttlMs;
      const answer = await this.#store.renew({ key: lease.key, token: lease.token, fence: lease.fence, ttlMs });
      const isCurrent = this.#entries.get(lease) === entry;
      isSettled = !isCurrent || takeAnswer(lease, answer);
      if (isCurrent && answer.outcome === "renewed" && ttlMs !== null) {
        this.#observer.renewed?.(lease);
      }
    } catch (error) {
      if (this.#entries.get(lease) === entry) {
        (entry.onError ?? this.#onError)(error);
      }
    }
    entry.isInFlight = false;
    if (this.#entries.get(lease) !== entry || lease.phase !== "held") {
      return;
    }
    if (isSettled) {
      entry.retryMs = 0;
      // Asked for again meanwhile (a reconnect): that one stands.
      if (entry.dueAtMs !== Number.POSITIVE_INFINITY) {
        this.#schedule(entry, 0);
      } else if (entry.everyMs !== null) {
        this.#schedule(entry, paceOf(lease, entry.everyMs));
      }
    } else {
      entry.retryMs = Math.min(Math.max(FIRST_RETRY_MS, entry.retryMs * 2), MAX_RETRY_MS);
      this.#schedule(entry, entry.retryMs * (0.8 + 0.4 * Math.random()));
    }
  }
}

/** A lease that was renewed for less than its interval since must be renewed sooner than that. */
function paceOf({ ttlMs }: Lease, everyMs: number): number {
  return everyMs < ttlMs ? everyMs : ttlMs / 3;
}

/** Whether the answer settles the question; otherwise it has to be asked again. */
function takeAnswer(lease: Lease, answer: RenewAnswer): boolean {
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
 * One renewal that somebody awaits: asked until it is answered or the deadline is past.
 * @throws what the last attempt failed with
 */
export async function renewNow(store: Store, lease: Lease, ttlMs: number, timeoutMs: number): Promise<void> {
  const deadline = lease.within(timeoutMs);
  let failure: UnavailableError | null = null;
  for (let retryMs = 10; ; retryMs = Math.min(retryMs * 2, 200)) {
    try {
      const request = { key: lease.key, token: lease.token, fence: lease.fence, ttlMs };
      const answer = await withTimeout(store.renew(request), Math.max(1, msUntil(deadline)));
      if (lease.phase !== "held" || takeAnswer(lease, answer)) {
        return;
      }
      failure = null;
    } catch (error) {
      const isLate = error instanceof RequestTimeout;
      const found = isLate ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
      if (!(found instanceof UnavailableError)) {
        throw found;
      }
      failure = ofAttempts(failure, found);
    }
    if (isPast(deadline) || lease.phase !== "held") {
      break;
    }
    await sleep(retryMs, { keepsAlive: true });
  }
  if (lease.phase === "held") {
    throw failure ?? lease.notHeld("whether it is still ours could not be found out in time");
  }
}
