import type { Lock } from "../api/lock.js";
import type { Claim } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { LeaseLostError, type LossReason, NotHeldError } from "../errors/errors.js";
import { allowManyListeners } from "../runtime/abort-listeners.js";
import { after, type Clock, type Instant, msBetween, type Timer } from "../runtime/clock.js";
import type { Linked } from "../runtime/linked-list.js";
import type { Backend, Presence } from "../store/backend.js";
import type { Grant, Proof } from "../store/messages.js";
import type { Renewal } from "./renewal.js";

/** Who is told what becomes of a lease. */
export interface LeaseOwner {
  /** Called once, when it is lost. */
  lost(lease: Lease, error: LeaseLostError): void;
  /** Called once, when it is neither held nor being released any more. */
  ended(lease: Lease): void;
}

/** detached: this handle has ended, and the lease goes on elsewhere. */
export type LeasePhase = "held" | "releasing" | "released" | "detached" | "lost";

/**
 * What this process believes of one grant.
 *
 * held -> releasing -> released, held -> detached, or held -> lost. While held it can be unproven: past the heartbeat's bound, or under a session that
 * is not the one it was last proven under. Nobody can say then whether it is lost, so it counts as not held.
 */
export class Lease implements Linked<Lease> {
  readonly key: string;
  readonly token: string;
  /** What it was granted to, for the last word. Kept here and never by key, so that an old handle does not reach a newer grant. */
  readonly claim: Claim;
  readonly fence: bigint;
  readonly terms: ResolvedAcquireOptions;
  readonly acquiredAtMs: number;
  readonly grantedAt: Instant;
  ttlMs: number;
  /** The handle that the user has. */
  lock!: Lock;
  readonly #clock: Clock;
  readonly #presence: Presence;
  readonly #owner: LeaseOwner;
  #phase: LeasePhase = "held";
  #until: Instant;
  #expiresAtMs: number;
  #incarnation: number;
  #loss: LeaseLostError | null = null;
  #closing: LeaseLostError | null = null;
  #controller: AbortController | null = null;
  /** Fields of the registry that it is in, see Holdings. */
  previous: Lease | null = null;
  next: Lease | null = null;
  expiryTimer: Timer | null = null;
  /** How it is renewed, see Renewals. Null: it never was. */
  renewal: Renewal<Lease> | null = null;

  /** `at`: now. */
  constructor(
    claim: Claim,
    grant: Grant,
    at: Instant,
    backend: Pick<Backend, "clock" | "presence">,
    owner: LeaseOwner,
  ) {
    const { clock, presence } = backend;
    this.key = claim.key;
    this.token = claim.token;
    this.claim = claim;
    this.fence = grant.fence;
    this.terms = claim.terms;
    this.ttlMs = claim.terms.ttlMs;
    this.acquiredAtMs = grant.acquiredAtMs;
    this.grantedAt = grant.ageMs === undefined ? at : after(at, -grant.ageMs);
    this.#clock = clock;
    this.#presence = presence;
    this.#owner = owner;
    this.#until = grant.until;
    this.#expiresAtMs = grant.expiresAtMs;
    this.#incarnation = grant.incarnation;
  }

  get phase(): LeasePhase {
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
    return this.phase === "held" && this.isProven;
  }

  get remainingMs(): number {
    return this.isHeld ? Math.max(0, this.#clock.msUntil(this.#until)) : 0;
  }

  /** What it is now, as a grant to another handle. */
  get grant(): Grant {
    return {
      fence: this.fence,
      acquiredAtMs: this.acquiredAtMs,
      takeover: this.claim.takeover,
      until: this.#until,
      expiresAtMs: this.#expiresAtMs,
      incarnation: this.#incarnation,
      ageMs: this.heldMs,
    };
  }

  /** Milliseconds since the grant. */
  get heldMs(): number {
    return this.#clock.elapsedMs(this.grantedAt);
  }

  /** Milliseconds until it expires, whatever its phase. */
  get msLeft(): number {
    return this.#clock.msUntil(this.#until);
  }

  /** Whether it was proven under the session that stands, and that one is believed. */
  get isProven(): boolean {
    return this.#presence.isBelieved && this.#incarnation === this.#presence.incarnation;
  }

  /** Fires on loss, and on nothing else. Made when first read: most locks are held without one. */
  get signal(): AbortSignal {
    this.#expireIfPast();
    if (this.#controller === null) {
      this.#controller = new AbortController();
      // A body may pass it to any number of fetches at a time.
      allowManyListeners(this.#controller.signal);
      const reason = this.#loss ?? this.#closing;
      if (reason !== null) {
        this.#controller.abort(reason);
      }
    }
    return this.#controller.signal;
  }

  /** Whether somebody has read `signal`, and may listen to it. */
  get isWatched(): boolean {
    return this.#controller !== null;
  }

  assertHeld(): void {
    // reading the phase notices an expiry
    if (this.phase !== "held") {
      throw this.whyEnded();
    }
    if (!this.isProven) {
      throw this.notHeld("whether it is still ours is being asked: the connection to Postgres was interrupted");
    }
  }

  /**
   * `at`: now.
   * @throws {LeaseLostError} @throws {NotHeldError} when it is known not to be held; not while that is only unproven
   */
  refuseUnlessHeld(at: Instant = this.#clock.now()): void {
    if (msBetween(at, this.#until) <= 0) {
      this.#expire();
    }
    if (this.#phase !== "held") {
      throw this.whyEnded();
    }
  }

  /** Why it is held no more. */
  whyEnded(): NotHeldError {
    return (
      this.#loss ??
      this.notHeld(this.#phase === "detached" ? "it was detached, and goes on elsewhere" : "it was released")
    );
  }

  notHeld(why: string): NotHeldError {
    return new NotHeldError({
      key: this.key,
      fence: this.fence,
      message: `The lock ${JSON.stringify(this.key)} (fence ${this.fence}) is not held: ${why}.`,
    });
  }

  /** Takes an answer that says: granted or renewed. Of a lease that has not ended. */
  prove(proof: Proof): void {
    if (this.#clock.msUntil(proof.until) > this.#clock.msUntil(this.#until)) {
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
    this.#loss = new LeaseLostError({ key: this.key, fence: this.fence, reason });
    this.#controller?.abort(this.#loss);
    this.#owner.lost(this, this.#loss);
    this.#owner.ended(this);
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

  startRelease(): void {
    this.#phase = "releasing";
  }

  /** It goes on elsewhere. */
  endDetached(): void {
    this.#phase = "detached";
    this.#owner.ended(this);
  }

  endRelease(loss: LossReason | null): void {
    if (loss === null) {
      this.#phase = "released";
      this.#owner.ended(this);
      return;
    }
    this.#phase = "held";
    this.lose(loss);
  }

  /** Notices that it has expired, if no timer could. */
  #expireIfPast(): void {
    if (this.#phase === "held" && this.#clock.isPast(this.#until)) {
      this.#expire();
    }
  }

  #expire(): void {
    const { maxHoldMs } = this.terms;
    this.lose(this.#expiresAtMs >= this.acquiredAtMs + maxHoldMs ? "max-hold" : "expired");
  }

  /** The local moment `ms` from now, or the lease's own deadline if that comes first. */
  within(ms: number): Instant {
    const deadline = after(this.#clock.now(), ms);
    return this.#clock.msUntil(deadline) < this.#clock.msUntil(this.#until) ? deadline : this.#until;
  }
}
