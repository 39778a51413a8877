import type { Acquisition } from "./acquisition.js";
import { after, type Instant, isPast, msUntil, now, startTimer, type Timer } from "./clock.js";
import { LeaseLostError, type LossReason, NotHeldError } from "./errors.js";
import type { CheckedMetadata } from "./metadata.js";
import type { Grant, Presence, Proof } from "./store.js";

/** What the holder asked for. */
export interface LeaseTerms {
  readonly owner: string;
  readonly ttlMs: number;
  readonly renewEveryMs: number;
  /** `Infinity` when unbounded. */
  readonly maxHoldMs: number;
  /** Null: `ttlMs`, at least 1,000. */
  readonly guardTimeoutMs: number | null;
  readonly metadata: CheckedMetadata;
}

export interface LeaseInit {
  readonly acquisition: Acquisition;
  readonly grant: Grant;
  readonly terms: LeaseTerms;
  readonly presence: Presence;
  readonly hasPresence: boolean;
  /** Called once, when the lease is lost. */
  readonly onLost: (lease: Lease, error: LeaseLostError) => void;
  /** Called once, when it is neither held nor being released any more. */
  readonly onEnd: () => void;
}

/**
 * What this process knows of one grant, and whether it may still believe in it.
 *
 * held → releasing → released, or held → lost. While held it can be unproven: past the heartbeat bound, or under a session
 * that is not the one it was last proven under. Nobody can say yet whether it is lost, so it counts as not held.
 */
export class Lease {
  readonly key: string;
  readonly token: string;
  /** What it was granted to: it says the last word. Kept here and never by key, so that an older handle does not reach a newer grant. */
  readonly acquisition: Acquisition;
  readonly fence: bigint;
  readonly terms: LeaseTerms;
  readonly acquiredAtMs: number;
  readonly grantedAt: Instant = now();
  ttlMs: number;
  readonly #presence: Presence;
  readonly #hasPresence: boolean;
  readonly #onLost: (lease: Lease, error: LeaseLostError) => void;
  readonly #onEnd: () => void;
  #phase: "held" | "releasing" | "released" | "lost" = "held";
  #until: Instant;
  #expiresAtMs: number;
  #incarnation: number;
  #timer: Timer | null = null;
  #loss: LeaseLostError | null = null;
  #closing: LeaseLostError | null = null;
  #controller: AbortController | null = null;

  constructor({ acquisition, grant, terms, presence, hasPresence, onLost, onEnd }: LeaseInit) {
    this.key = acquisition.key;
    this.token = acquisition.token;
    this.acquisition = acquisition;
    this.fence = grant.fence;
    this.terms = terms;
    this.ttlMs = terms.ttlMs;
    this.acquiredAtMs = grant.acquiredAtMs;
    this.#presence = presence;
    this.#hasPresence = hasPresence;
    this.#onLost = onLost;
    this.#onEnd = onEnd;
    this.#until = grant.until;
    this.#expiresAtMs = grant.expiresAtMs;
    this.#incarnation = grant.incarnation;
    this.#watch();
  }

  get phase(): "held" | "releasing" | "released" | "lost" {
    this.#expireIfPast();
    return this.#phase;
  }

  get loss(): LeaseLostError | null {
    return this.#loss;
  }

  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  /** Whether nobody else can have been granted the key, by the clocks alone. */
  get isHeld(): boolean {
    return this.phase === "held" && this.#isProven;
  }

  get remainingMs(): number {
    return this.isHeld ? Math.max(0, msUntil(this.#until)) : 0;
  }

  get #isProven(): boolean {
    return !this.#hasPresence || (this.#presence.isBelieved && this.#incarnation === this.#presence.incarnation);
  }

  /** Fires on loss, and on nothing else. Made when first read: most locks are held without one. */
  get signal(): AbortSignal {
    this.#expireIfPast();
    if (this.#controller === null) {
      this.#controller = new AbortController();
      const reason = this.#loss ?? this.#closing;
      if (reason !== null) {
        this.#controller.abort(reason);
      }
    }
    return this.#controller.signal;
  }

  assertHeld(): void {
    const { phase } = this;
    if (this.#loss !== null) {
      throw this.#loss;
    }
    if (phase !== "held") {
      throw this.notHeld("it was released");
    }
    if (!this.#isProven) {
      throw this.notHeld("whether it is still ours is being asked: the connection to Postgres was interrupted");
    }
  }

  notHeld(why: string): NotHeldError {
    return new NotHeldError({
      key: this.key,
      fence: this.fence,
      message: `The lock ${JSON.stringify(this.key)} (fence ${this.fence}) is not held: ${why}.`,
    });
  }

  /** Takes an answer that says: granted or renewed. What is over stays over. */
  prove(proof: Proof): void {
    if (this.phase !== "held") {
      return;
    }
    if (msUntil(proof.until) > msUntil(this.#until)) {
      this.#until = proof.until;
    }
    this.#expiresAtMs = Math.max(this.#expiresAtMs, proof.expiresAtMs);
    // An answer to what was asked before the last reconnect says nothing about now.
    if (proof.incarnation === this.#presence.incarnation) {
      this.#incarnation = proof.incarnation;
    }
  }

  lose(reason: LossReason): void {
    if (this.#phase !== "held") {
      return;
    }
    this.#phase = "lost";
    this.#timer?.cancel();
    this.#loss = new LeaseLostError({ key: this.key, fence: this.fence, reason });
    this.#controller?.abort(this.#loss);
    this.#onLost(this, this.#loss);
    this.#onEnd();
  }

  /** The locker is closing: the signal fires, while the lease stands until it is released. */
  announceClosing(): LeaseLostError {
    this.#closing ??= new LeaseLostError({ key: this.key, fence: this.fence, reason: "closed" });
    this.#controller?.abort(this.#closing);
    return this.#closing;
  }

  /** The locker releases it beneath its holder, for whom that is no ordinary release. */
  takeForClosing(): void {
    this.#loss ??= this.announceClosing();
  }

  /** False when it is not held any more, so that there is nothing to release. */
  startRelease(): boolean {
    if (this.phase !== "held") {
      return false;
    }
    this.#phase = "releasing";
    this.#timer?.cancel();
    return true;
  }

  endRelease(loss: LossReason | null): void {
    if (loss === null) {
      this.#phase = "released";
      this.#onEnd();
      return;
    }
    this.#phase = "held";
    this.lose(loss);
  }

  #expireIfPast(): void {
    if (this.#phase === "held" && isPast(this.#until)) {
      const { maxHoldMs } = this.terms;
      this.lose(this.#expiresAtMs >= this.acquiredAtMs + maxHoldMs ? "max-hold" : "expired");
    }
  }

  /** One timer for the whole hold: a renewal moves the deadline, and the timer finds that when it fires. */
  #watch(): void {
    this.#timer = startTimer(Math.max(1, msUntil(this.#until)), () => {
      if (this.phase === "held") {
        this.#watch();
      }
    });
  }

  /** The local moment `ms` from now, or the lease's own deadline if that comes first. */
  within(ms: number): Instant {
    const deadline = after(now(), ms);
    return msUntil(deadline) < msUntil(this.#until) ? deadline : this.#until;
  }
}
