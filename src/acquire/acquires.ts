import type { Lock } from "../api/lock.js";
import { Claim } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { type LeaseholdError, UnavailableError } from "../errors/errors.js";
import type { Lease } from "../hold/lease.js";
import type { AcquireOutcome } from "../observe/observer.js";
import { abortReason, onAbort } from "../runtime/abort-listeners.js";
import { after, type Clock, type Instant } from "../runtime/clock.js";
import { Deadlines, type Timed } from "../runtime/linked-list.js";
import { RequestTimeout } from "../runtime/timeout.js";
import type { AcquireAnswer, FirstAttempt, Grant } from "../store/messages.js";
import { delayed } from "../store/retry.js";
import type { AcquiresInit } from "./acquires-init.js";
import { Looks } from "./looks.js";
import { type NotGranted, refusal } from "./results.js";
import { retryUntilGranted } from "./retrying.js";
import { tryOnce } from "./try-once.js";
import { Wait } from "./wait.js";

/** More first attempts than this at once take turns. Otherwise the last of 10,000 would run out of time behind the others. */
const MAX_FIRST_ATTEMPTS = 2_000;

/** The acquires that are in progress. */
export class Acquires {
  readonly #context: AcquireContext;

  constructor(init: AcquiresInit) {
    const firstAttempts = new Deadlines<Acquire>(init.claims.backend.clock, init.claims.requestTimeoutMs);
    this.#context = { ...init, clock: init.claims.backend.clock, firstAttempts, waiting: new Set() };
  }

  *[Symbol.iterator](): Iterator<Claim> {
    for (const { claim } of [...this.#context.firstAttempts, ...this.#context.waiting]) {
      yield claim;
    }
  }

  /**
   * @throws what `toError` makes of a refusal; the signal's reason; what `end` is given; UnavailableError when Postgres does not answer
   * for `requestTimeoutMs`
   */
  acquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock> {
    return new Promise((resolve, reject) => {
      new Acquire(this.#context, key, terms, false, resolve as Resolve, reject).start();
    });
  }

  /** Like `acquire`, but a refusal is a result. */
  tryAcquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock | NotGranted> {
    return new Promise((resolve, reject) => {
      new Acquire(this.#context, key, terms, true, resolve, reject).start();
    });
  }

  /** Ends all of them with this error. */
  end(error: unknown): void {
    for (const acquire of [...this.#context.firstAttempts, ...this.#context.waiting]) {
      acquire.end(error);
    }
  }

  stopTimers(): void {
    this.#context.firstAttempts.stop();
  }
}

type Resolve = (result: Lock | NotGranted) => void;

interface AcquireContext extends AcquiresInit {
  readonly clock: Clock;
  readonly firstAttempts: Deadlines<Acquire>;
  /** Those whose first attempt did not settle them. */
  readonly waiting: Set<Acquire>;
}

/**
 * One call that acquires. Usually its first attempt settles it, without a promise, a closure or a timer in between. Otherwise it goes on
 * to look: in the queue, again and again without it, or once.
 */
class Acquire implements FirstAttempt, Timed<Acquire> {
  readonly claim: Claim;
  readonly key: string;
  readonly token: string;
  readonly terms: ResolvedAcquireOptions;
  readonly beganAtMs: number;
  previous: Acquire | null = null;
  next: Acquire | null = null;
  readonly #context: AcquireContext;
  readonly #isTry: boolean;
  readonly #resolve: Resolve;
  readonly #reject: (error: unknown) => void;
  #looks: Looks | null = null;
  #isTimedOut = false;
  #stopListening: (() => void) | null = null;

  constructor(
    context: AcquireContext,
    key: string,
    terms: ResolvedAcquireOptions,
    isTry: boolean,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ) {
    this.claim = new Claim(context.claims, key, terms);
    this.key = key;
    this.token = this.claim.token;
    this.beganAtMs = this.claim.startedAt.monotonicMs;
    this.terms = terms;
    this.#context = context;
    this.#isTry = isTry;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get startedAt(): Instant {
    return this.claim.startedAt;
  }

  get deadline(): Instant {
    return after(this.claim.startedAt, this.#context.claims.requestTimeoutMs);
  }

  start(): void {
    const { claims, queues, holdings, activity, firstAttempts } = this.#context;
    const { signal } = this.terms;
    if (signal?.aborted) {
      this.#reject(abortReason(signal));
      return;
    }
    const { queues: isQueued, share } = this.terms;
    const refused =
      (share === null ? null : claims.backend.refusalOfShare(share)) ?? claims.backend.refuseHere?.() ?? null;
    if (refused !== null) {
      this.#reject(refused);
      return;
    }
    if (signal !== null) {
      this.#stopListening = onAbort(signal, () => this.end(abortReason(signal)));
    }
    activity.beginCall();
    const { backend } = claims;
    // Behind waiters of this process an attempt could not be granted. Behind a holder of this process, a waiter queues at once.
    const isBehind =
      (queues.size > 0 && queues.has(this.key)) ||
      (isQueued && (share === null ? holdings.has(this.key) : holdings.hasAlone(this.key)));
    if (backend.isReady && !isBehind && firstAttempts.size < MAX_FIRST_ATTEMPTS) {
      firstAttempts.add(this);
      this.claim.attemptSent();
      backend.attempt(this);
    } else {
      this.#goOn(null, null);
    }
  }

  onAnswer(answer: AcquireAnswer): void {
    this.claim.take(answer);
    if (!this.#context.firstAttempts.remove(this)) {
      return; // it was cancelled or timed out meanwhile: the last word frees what was granted
    }
    if (answer.outcome === "granted") {
      this.#granted(answer);
    } else if (answer.outcome === "held" && answer.holder !== null && this.terms.waitMs === 0) {
      this.#refused(refusal("held", answer));
    } else {
      this.#goOn(answer, null);
    }
  }

  onFailure(error: LeaseholdError): void {
    this.claim.attemptFailed(error, this.deadline);
    if (!this.#context.firstAttempts.remove(this)) {
      return;
    }
    if (error instanceof UnavailableError) {
      this.#goOn(null, error);
    } else {
      this.#failed(error);
    }
  }

  onTimeout(): void {
    const cause = new RequestTimeout(`no answer within ${this.#context.claims.requestTimeoutMs} ms`);
    const error = new UnavailableError({ outcome: "unknown", cause });
    if (this.#context.clock.elapsedMs(this.claim.startedAt) < this.terms.waitMs) {
      this.#goOn(null, error);
    } else {
      this.#failed(error);
    }
  }

  /** Ends it at once: by its signal, or by `close`. */
  end(error: unknown): void {
    const { firstAttempts, waiting } = this.#context;
    if (firstAttempts.remove(this) || (this.#isTimedOut && waiting.delete(this))) {
      this.#cancelled(error);
    } else {
      this.#looks?.end(error);
    }
  }

  /** Both null: there was no first attempt. */
  #goOn(answer: AcquireAnswer | null, failure: UnavailableError | null): void {
    const { clock, claims, queues, waiting, onOutage, onRecovered } = this.#context;
    const { backend, requestTimeoutMs } = claims;
    const { queues: isQueued, retry, waitMs } = this.terms;
    const looks = new Looks({ claim: this.claim, backend, requestTimeoutMs, onOutage, onRecovered });
    this.#looks = looks;
    waiting.add(this);
    const goesOn = isQueued && clock.isPast(this.deadline) && clock.elapsedMs(this.claim.startedAt) < waitMs;
    const deadline = goesOn ? after(clock.now(), requestTimeoutMs) : this.deadline;
    const first = { answer, failure, deadline };
    const looking = looks.run(() => {
      if (isQueued) {
        return new Wait(looks, queues).run(first);
      }
      return retry === null ? tryOnce(looks, queues, first) : retryUntilGranted(looks, queues, retry, first);
    });
    looking.then(
      (result) => {
        waiting.delete(this);
        result.outcome === "granted" ? this.#granted(result) : this.#refused(result);
      },
      (error: unknown) => {
        waiting.delete(this);
        looks.wasEndedWith(error) ? this.#cancelled(error) : this.#failed(error);
      },
    );
  }

  #granted(grant: Grant): void {
    const { holdings, queues, callbacks, onAcquired, mixedCapacities } = this.#context;
    if (grant.hasMore) {
      queues.wakeFirst(this.key);
    }
    if (grant.otherCapacity != null) {
      mixedCapacities.found(this.key, this.terms.share?.capacity as number, grant.otherCapacity);
    }
    let lease: Lease;
    try {
      lease = holdings.hold(this.claim, grant);
    } catch (error) {
      this.#failed(error);
      return;
    }
    const { lock } = lease;
    this.#ended("granted", lock, null, lease.grantedAt);
    if (onAcquired !== null) {
      callbacks.call(() => onAcquired(lock));
    }
    this.#resolve(lock);
  }

  #refused(result: NotGranted): void {
    const { claims, holdings, waiting } = this.#context;
    // In a deadlock it holds something that others wait for. Asked while it is still in the queue itself, and can be ended.
    if (result.outcome === "timeout" && this.terms.queues && holdings.size > 0) {
      this.#isTimedOut = true;
      waiting.add(this);
      void claims.backend.findDeadlock(this.key).then((deadlock) => {
        if (waiting.delete(this)) {
          this.#endRefused(result, deadlock);
        }
      });
    } else {
      this.#endRefused(result, null);
    }
  }

  #endRefused(result: NotGranted, deadlock: readonly string[] | null): void {
    this.#cleanUp();
    this.#ended(this.terms.waitMs > 0 ? "timed-out" : "held", null, null);
    if (this.#isTry) {
      this.#resolve(result);
    } else {
      this.#reject(this.#context.toError(this.key, this.terms, result, deadlock));
    }
  }

  #cancelled(error: unknown): void {
    this.#ended("cancelled", null, error);
    this.#cleanUp();
    this.#reject(error);
  }

  #failed(error: unknown): void {
    this.#cleanUp(); // before it is explained: `close` waits for the last word
    const late = delayed(error);
    if (late === null) {
      this.#endFailed(error);
    } else {
      void this.#context.claims.backend.explain(late).then((explained) => this.#endFailed(explained));
    }
  }

  #endFailed(error: unknown): void {
    this.#ended("failed", null, error);
    this.#reject(error);
  }

  #cleanUp(): void {
    if (this.claim.isUnfinished) {
      this.#context.background.add(this.claim.lastWord());
    }
  }

  #ended(outcome: AcquireOutcome, lock: Lock | null, error: unknown, at: Instant = this.#context.clock.now()): void {
    this.#stopListening?.();
    const waitedMs = at.monotonicMs - this.claim.startedAt.monotonicMs;
    this.#context.observer.acquireEnded(this.claim, outcome, waitedMs, lock, error);
    this.#context.activity.endCall();
  }
}
