import { type LeaseholdError, UnavailableError } from "../errors/errors.js";
import type { Background } from "../runtime/background.js";
import { after, type Instant } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import type { Deadlines, Timed } from "../runtime/linked-list.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import type { Backend } from "../store/backend.js";
import type { PendingRelease, ReleaseAnswer } from "../store/messages.js";
import { delayed, retry } from "../store/retry.js";
import type { Lease } from "./lease.js";

const FIRST_RETRY_MS = 5;
const MAX_RETRY_MS = 200;

/** Wakes waiters of this process when their key is released. */
export interface HandOver {
  /**
   * Called when the release was sent. Returns who is next: `here`, a waiter of this process, which looks now; `elsewhere`, because
   * another process was next the last time, and must be told; null when no waiter is known.
   */
  releaseSent(key: string): "here" | "elsewhere" | null;
  /** `hasLooked`: whether `releaseSent` returned "here". `isNextOurs`: see ReleaseAnswer. */
  releaseAnswered(key: string, hasLooked: boolean, isNextOurs: boolean | null | undefined): void;
}

/** What all releases of a locker share. */
export interface ReleaseContext {
  readonly backend: Backend;
  readonly background: Background;
  readonly deadlines: Deadlines<Release>;
  readonly requestTimeoutMs: number;
  readonly handOver: HandOver;
  /** Called once, when the lease is released or found lost. */
  ended(lease: Lease, heldMs: number): void;
}

/**
 * One release that somebody awaits. Usually one statement settles it. Otherwise it is tried again until `requestTimeoutMs` have passed,
 * and after that in the background, by the claim's last word.
 */
export class Release implements PendingRelease, Timed<Release> {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
  readonly isShared: boolean;
  readonly beganAtMs: number;
  previous: Release | null = null;
  next: Release | null = null;
  readonly #lease: Lease;
  readonly #context: ReleaseContext;
  readonly #heldMs: number;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  /** Whether the next waiter was woken when the release was sent. */
  #isWakeSent = false;

  /** `at`: now. */
  constructor(
    lease: Lease,
    context: ReleaseContext,
    at: Instant,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.key = lease.key;
    this.token = lease.token;
    this.fence = lease.fence;
    this.isShared = lease.terms.share !== null;
    this.beganAtMs = at.monotonicMs;
    this.#lease = lease;
    this.#context = context;
    this.#heldMs = this.beganAtMs - lease.grantedAt.monotonicMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { claim } = this.#lease;
    claim.wasHeld = true;
    // So that `close` does not take the connection away before it is done.
    this.#context.background.beginCall();
    const refused = this.#context.backend.refuseHere?.() ?? null;
    if (refused !== null) {
      this.#fail(refused); // the last word frees it once the transaction has ended
    } else if (claim.isCertain) {
      this.#context.deadlines.add(this);
      this.#context.backend.release(this);
    } else {
      void this.#tryAgain(null, false);
    }
  }

  /** The look of the next waiter of this process follows on the same connection, so it need not wait for our answer. */
  onSent(): boolean {
    const { share } = this.#lease.terms;
    if (share !== null && share.capacity === null) {
      return false; // other readers may go on, and then nobody is next
    }
    const looks = this.#context.handOver.releaseSent(this.key);
    this.#isWakeSent = looks === "here";
    return looks === "elsewhere";
  }

  onAnswer(answer: ReleaseAnswer): void {
    if (!this.#context.deadlines.remove(this)) {
      return;
    }
    if (answer.outcome === "busy") {
      void this.#tryAgain(null, false);
    } else {
      this.#settle(answer, false);
    }
  }

  onFailure(error: LeaseholdError): void {
    if (!this.#context.deadlines.remove(this)) {
      return;
    }
    if (error instanceof UnavailableError) {
      void this.#tryAgain(error, error.outcome === "unknown");
    } else {
      this.#fail(error);
    }
  }

  onTimeout(): void {
    const cause = new RequestTimeout(`no answer within ${this.#context.requestTimeoutMs} ms`);
    this.#fail(new UnavailableError({ outcome: "unknown", cause }));
  }

  /** `isRepeated`: an earlier attempt had no answer, and may have released it. */
  async #tryAgain(failure: UnavailableError | null, isRepeated: boolean): Promise<void> {
    this.#isWakeSent = false;
    let mayHaveReleased = isRepeated;
    const { clock } = this.#context.backend;
    try {
      const answer = await retry({
        clock,
        attempt: async (leftMs) => {
          try {
            const found = await withTimeoutOf(clock, this.#ask(), leftMs);
            return found.outcome === "busy" ? undefined : found;
          } catch (error) {
            mayHaveReleased ||= !(error instanceof UnavailableError) || error.outcome === "unknown";
            throw error;
          }
        },
        deadline: after(clock.now(), this.#context.requestTimeoutMs - (clock.monotonicNowMs() - this.beganAtMs)),
        firstMs: FIRST_RETRY_MS,
        maxMs: MAX_RETRY_MS,
        failure,
        exhausted: () => rowLocked(this.key),
      });
      this.#settle(answer, mayHaveReleased);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Releases by token and fence, or by the token alone if an attempt of the claim may have been granted twice (rule 8). */
  #ask(): Promise<ReleaseAnswer> {
    const { claim } = this.#lease;
    const { backend, background } = this.#context;
    if (claim.isUnresolved) {
      background.add(claim.lastWord());
    } else if (!claim.isCertain) {
      return claim.abandon();
    }
    const { key, token, fence, isShared } = this;
    return new Promise((resolve, reject) => {
      backend.release({ key, token, fence, isShared, onSent: () => false, onAnswer: resolve, onFailure: reject });
    });
  }

  #settle({ outcome, reason, isNextOurs }: ReleaseAnswer, isRepeated: boolean): void {
    const lease = this.#lease;
    // The grant is gone. Unless an unanswered attempt of ours or the last word freed it, it was lost.
    const isUnexplained = outcome === "gone" && !isRepeated && !lease.claim.hasLastWord;
    lease.endRelease(outcome === "expired" || isUnexplained ? (reason ?? "expired") : null);
    this.#end(isNextOurs);
    this.#callEnded();
    if (lease.loss === null) {
      this.#resolve();
    } else {
      this.#reject(lease.loss);
    }
  }

  #fail(error: unknown): void {
    this.#isWakeSent = false;
    this.#lease.endRelease(null);
    this.#context.background.add(this.#lease.claim.lastWord());
    this.#end(undefined);
    const late = delayed(error);
    if (late === null) {
      this.#rejectWith(error);
    } else {
      void this.#context.backend.explain(late).then((explained) => this.#rejectWith(explained));
    }
  }

  #end(isNextOurs: boolean | null | undefined): void {
    this.#context.ended(this.#lease, this.#heldMs);
    this.#context.handOver.releaseAnswered(this.key, this.#isWakeSent, isNextOurs);
  }

  #rejectWith(error: unknown): void {
    this.#callEnded();
    this.#reject(error);
  }

  #callEnded(): void {
    this.#context.background.endCall();
  }
}

function rowLocked(key: string): UnavailableError {
  return new UnavailableError({
    outcome: "not-sent",
    message: `The row of ${quote(key)} is locked by another transaction: it could not be released. The release is tried again in the background until the lease expires.`,
  });
}
