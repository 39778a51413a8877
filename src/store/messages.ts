import type { SweepResult } from "../api/results.js";
import type { LockMode } from "../api/share-options.js";
import type { ShareTerms } from "../config/share.js";
import type { LeaseholdError, LossReason } from "../errors/errors.js";
import type { Instant } from "../runtime/clock.js";
import type { TallyStats } from "./counts.js";

// What a locker asks its backend, and what that answers.

/** Names one grant. */
export interface GrantId {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
}

/** The terms of a grant. */
export interface GrantTerms {
  readonly owner: string;
  readonly ttlMs: number;
  readonly minHoldMs: number;
  /** `Infinity` when unbounded. */
  readonly maxHoldMs: number;
  /** JSON text in `json`. */
  readonly metadata: { readonly json: string | null };
  /** Null: it has the key for itself. */
  readonly share: ShareTerms | null;
  /** Whether it joins the queue when it is not granted. */
  readonly queues: boolean;
  /** Equal for equal terms: attempts of one sort share a statement that has a scalar for each term. */
  readonly sort: string;
}

/**
 * A first attempt. It is answered by its own methods: at 50,000 a second, a promise and a request for each would cost more than the
 * attempt.
 */
export interface FirstAttempt {
  readonly key: string;
  readonly token: string;
  readonly terms: GrantTerms;
  readonly startedAt: Instant;
  /** From this moment on the server does nothing. */
  readonly deadline: Instant;
  onAnswer(answer: AcquireAnswer): void;
  onFailure(error: LeaseholdError): void;
}

export interface PendingRelease {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
  readonly isShared: boolean;
  /**
   * Called when it was sent and later requests are sure to reach the server after it. Not called where that is not sure. Returns whether
   * another process is believed to be next in the queue, and should be told at once.
   */
  onSent(): boolean;
  onAnswer(answer: ReleaseAnswer): void;
  onFailure(error: LeaseholdError): void;
}

export interface PendingRenewal {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
  /** Null: proves the lease and leaves its expiry as it is. */
  readonly askedTtlMs: number | null;
  onAnswer(answer: RenewAnswer): void;
  onFailure(error: LeaseholdError): void;
}

export interface DetachRequest extends GrantId {
  readonly ttlMs: number;
}

export interface AdoptRequest extends GrantId {
  /** The token from then on. */
  readonly newToken: string;
  readonly terms: Pick<GrantTerms, "owner" | "ttlMs" | "maxHoldMs">;
  /** From this moment of its own clock on the server does nothing. */
  readonly notAfterMs: number;
}

export interface AcquireRequest {
  readonly key: string;
  readonly token: string;
  readonly terms: GrantTerms;
  /** From this moment of its own clock on the server does nothing. */
  readonly notAfterMs: number;
  /** The one from an earlier answer. */
  readonly ticket: Ticket | null;
}

/** Asks for several keys at once, each with a token of its own. */
export interface AcquireAllRequest {
  /** Different keys, in the order of their bytes (decision 26). */
  readonly items: readonly QueueEntry[];
  /** Of each. They do not queue. */
  readonly terms: GrantTerms;
  /** From this moment of its own clock on the server does nothing. */
  readonly notAfterMs: number;
  /** Whether the longest run from the first key on that can be granted is granted. Otherwise all are, or none. */
  readonly takesPrefix: boolean;
}

/** An entry in the queue of a key. */
export interface QueueEntry {
  readonly key: string;
  readonly token: string;
}

export interface KeepEntriesRequest {
  readonly entries: readonly QueueEntry[];
  readonly notAfterMs: number;
}

/** What a waiter is given when it joins a queue. It keeps its position by it, even if its entry is lost. */
export interface Ticket {
  /** The lower ones are served first. */
  readonly number: bigint;
  /** Proves that the server gave this ticket to this token (decision 18). */
  readonly proof: bigint;
}

export type AcquireAnswer =
  | ({ readonly outcome: "granted" } & Grant)
  | {
      readonly outcome: "queued";
      readonly ticket: Ticket;
      readonly lookInMs: number | null;
      readonly holder: Holder | null;
    }
  | { readonly outcome: "held"; readonly holder: Holder | null }
  | {
      readonly outcome: "busy";
      readonly ticket: Ticket | null;
      readonly holder: Holder | null;
      readonly blockingPid: number | null;
    }
  /** Arrived after `notAfterMs`. */
  | { readonly outcome: "late" }
  /** The session was not seen alive: nothing was done. */
  | { readonly outcome: "unproven" };

/** The first of several keys that was not granted. */
export interface Missing {
  /** Its place among those that were asked for. */
  readonly index: number;
  readonly answer: Extract<AcquireAnswer, { outcome: "held" | "busy" }>;
}

export type AcquireAllAnswer =
  | {
      readonly outcome: "answered";
      /** Those of the first keys; of all, or of none, unless a prefix would do. */
      readonly grants: readonly Grant[];
      /** Null: all were granted. */
      readonly missing: Missing | null;
    }
  | { readonly outcome: "late" }
  | { readonly outcome: "unproven" };

export interface Proof {
  /** The local moment until which the lease is sure to last, less a margin for drift. */
  readonly until: Instant;
  readonly expiresAtMs: number;
  /** The session under which the request was sent. */
  readonly incarnation: number;
}

export interface Grant extends Proof {
  readonly fence: bigint;
  readonly acquiredAtMs: number;
  /** Null when the key was free, and in the answer to a repeated request. */
  readonly takeover: Takeover | null;
  /** Of a share: others of the queue fit beside it, and may be granted theirs now. */
  readonly hasMore?: boolean;
  /** Of a part of a semaphore: the smallest capacity that others were granted theirs under, if that is another one. */
  readonly otherCapacity?: number | null;
  /** How long ago it was granted, of one that was adopted. */
  readonly ageMs?: number;
}

/** From whom a key was taken without a release. */
export interface Takeover {
  readonly owner: string | null;
  readonly fence: bigint;
  readonly sessionId: number | null;
  /** expired: its lease had expired · orphaned: its process was confirmed dead before that */
  readonly reason: "expired" | "orphaned";
  /** When its lease expired, or when its process was last seen alive (null when that is no longer known). */
  readonly sinceMs: number | null;
}

export interface Holder {
  readonly owner: string | null;
  readonly fence: bigint;
  /** What it takes of the key's capacity; null: not told. */
  readonly weight: number | null;
  readonly sessionId: number | null;
  readonly expiresAtMs: number;
}

export interface AbandonRequest {
  readonly key: string;
  readonly token: string;
  /** Whether its lock was held. Then the minimum hold counts, as with a release. */
  readonly wasHeld: boolean;
  /** Whether an attempt had no answer. Then `busy` may also mean that the attempt is about to commit. */
  readonly isDoubted: boolean;
}

/** released: freed now · expired: freed, but it had already expired · gone: no longer ours · busy: another transaction has locked the row */
export interface ReleaseAnswer {
  readonly outcome: "released" | "expired" | "gone" | "busy";
  readonly reason: LossReason | null;
  /**
   * Whether the next waiter is of this process, which has to wake it. Left out when there is none, or it is not known. Null: the backend finds
   * out, and wakes it.
   */
  readonly isNextOurs?: boolean | null;
}

export type RenewAnswer =
  | ({ readonly outcome: "renewed" } & Proof)
  | { readonly outcome: "lost"; readonly reason: LossReason }
  | { readonly outcome: "busy" }
  | { readonly outcome: "unproven" };

export type AdoptAnswer =
  | AdoptedAnswer
  | { readonly outcome: "lost"; readonly reason: LossReason }
  /** It is tied to somebody's session, which may be alive: its holder has not let go of it. */
  | { readonly outcome: "attached"; readonly owner: string | null }
  | { readonly outcome: "busy"; readonly blockingPid: number | null }
  | { readonly outcome: "late" }
  | { readonly outcome: "unproven" };

export interface AdoptedAnswer extends Proof {
  readonly outcome: "adopted";
  /** When it was granted, long before it was adopted perhaps. */
  readonly acquiredAtMs: number;
  /** How long ago that was, by the server's clock. */
  readonly ageMs: number;
  /** How it shares the key; null: it is exclusive. */
  readonly share: ShareTerms | null;
  /** When it ends, renewed or not; null: no limit. */
  readonly maxHoldUntilMs: number | null;
  /** JSON text. */
  readonly metadata: string | null;
}

export interface KeyState {
  readonly state: "free" | "held" | "revoked" | "cooling" | "blocked" | "orphaned" | "expired";
  /** Null: it is free, or the grant is in an open transaction. */
  readonly mode: LockMode | null;
  /** This and what follows is of the first of its holders, or of who had it last. */
  readonly owner: string | null;
  readonly fence: bigint | null;
  readonly sessionId: number | null;
  /** The oldest first: who holds it, or held it until that ended. Empty when it was released. */
  readonly holders: readonly Holder[];
  readonly isSessionAlive: boolean | null;
  readonly acquiredAtMs: number | null;
  /** When the key is free at the latest; null while an open transaction is all that keeps it. */
  readonly expiresAtMs: number | null;
  readonly remainingMs: number | null;
  readonly metadata: string | null;
  readonly waiters: number;
  /** Whether an open transaction keeps the key, also one that cannot be told. */
  readonly isBlocked: boolean;
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}

/** What one process has counted over some time. It has a row of its own. */
export interface CountersRow {
  /** A UUID that nobody else knows. */
  readonly id: string;
  readonly sequence: number;
  readonly counts: TallyStats;
}

/** Part of a sweep, in a transaction of its own. */
export interface SweepBatch extends SweepResult {
  /** Whether a limit of the batch was reached. */
  readonly hasMore: boolean;
}

export interface ForceReleaseRequest {
  readonly key: string;
  readonly fence: bigint | null;
  readonly isImmediate: boolean;
}

export interface ForceReleaseAnswer {
  readonly outcome: "revoked" | "released" | "gone" | "busy";
  /** When the key is free at the latest; null when it is free now. */
  readonly freeAtMs: number | null;
  /** Whom it was taken from. */
  readonly holders: readonly Holder[];
  /** Whether an open transaction keeps the key beyond that, also one that cannot be told, or has its row locked (busy). */
  readonly isBlocked: boolean;
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}
