import type { Capabilities } from "../api/capabilities.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { PingResult, SweepResult } from "../api/results.js";
import type { LeaseholdError, LossReason, UnavailableError } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";
import type { ConnectionStates, ServerState, StoreState } from "./backend-state.js";
import type { TallyStats } from "./counts.js";

/**
 * The port between the client and the leases. A request is about one key; how requests are batched and sent is up to the backend.
 * Every method rejects with a LeaseholdError: with UnavailableError when asking again may help.
 */
export interface Backend {
  /** The time of the locker. */
  readonly clock: Clock;
  /** Whether a grant of a key means that earlier ones have ended. Not so with `noop`, which excludes nobody. */
  readonly excludes: boolean;
  /** Brings the schema up to date. Safe when many processes do it at once. */
  migrate(options: MigrateOptions): Promise<void>;
  /** Connects, and refuses every unsafe setup. Later calls are cheap. A role without any right is told the one that it needs. */
  open(timeoutMs: number, right?: Right): Promise<void>;
  /** Whether it was ready once. Until then it may be the address that is wrong, and asking again will not help. */
  readonly wasReady: boolean;
  /** Who waits for what, if waiting for this key has put this process into a deadlock. Never rejects; null as well when it is not known. */
  findDeadlock(key: string): Promise<readonly string[] | null>;
  /** The error of a request that was delayed, with where it went and, if that is soon found out, what was in its way. */
  explain(error: UnavailableError): Promise<UnavailableError>;
  /** Whether an attempt could be sent now: the backend is connected and checked, and knows the server's time. */
  readonly isReady: boolean;
  /**
   * Why a call that is made here could never be sent, whatever Postgres does. Null: it could. Null in place of the method: so it is for
   * every call.
   */
  readonly refuseHere: (() => UnavailableError | null) | null;
  /** Sends the first attempt of an acquire. The answer, or the failure, goes to the object itself. */
  attempt(attempt: FirstAttempt): void;
  /** Sends a later attempt of an acquire, or the look of a waiter. */
  acquire(request: AcquireRequest): Promise<AcquireAnswer>;
  /**
   * Keeps entries in queues for as long as a look does (3 s). Resolves to the entries that are gone, or to null when the session was not
   * seen alive and nothing was done. Bounded by `notAfterMs`, like an acquire.
   */
  keepEntries(request: KeepEntriesRequest): Promise<readonly QueueEntry[] | null>;
  /** Frees a grant by token and fence. The answer, or the failure, goes to the object itself. */
  release(release: PendingRelease): void;
  /** Ends an acquire by its token alone: removes it from the queue, and frees what it was granted (rule 8). */
  abandon(request: AbandonRequest): Promise<ReleaseAnswer>;
  /** The answer, or the failure, goes to the object itself. */
  renew(renewal: PendingRenewal): void;
  /** A renewal that takes the lease off this process's session: from then on it lives by its TTL, whatever becomes of this process. */
  detach(request: DetachRequest): Promise<RenewAnswer>;
  /** Gives a grant a new token, which nobody else knows, and this process's session (decision 25). Asked again it is the same adoption. */
  adopt(request: AdoptRequest): Promise<AdoptAnswer>;
  check(key: string): Promise<KeyState>;
  forceRelease(request: ForceReleaseRequest): Promise<ForceReleaseAnswer>;
  /** Runs one batch of the sweeper, unless somebody else ran one less than `quietMs` ago. */
  sweep(quietMs: number): Promise<SweepBatch>;
  /** Overwrites the counts of one row. Does nothing if the row already has this sequence or a later one. */
  flushCounters(row: CountersRow): Promise<void>;
  /** Raises a resource's mark to this fence. `stale`: it is higher already. `unknown`: no grant can have had this fence. */
  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale" | "unknown">;
  /** Who holds the key. Sent over the renewals connection, which the user's own transactions cannot keep busy. */
  holderOf(key: string): Promise<Holder | null>;
  /** Identifies the database of the leases: a guard in another one is refused. Null before the first `open`. */
  readonly databaseId: string | null;
  /** Reads `databaseId` again. */
  findDatabaseId(): Promise<void>;
  ping(): Promise<PingResult>;
  /** What this process knows about its connections. Sends nothing to Postgres. Null for a store that has none. */
  readonly connections: ConnectionStates | null;
  /** What the server says about itself and the schema, whatever state the schema is in. */
  describeServer(): Promise<ServerState | StoreState>;
  capabilities(): Promise<Capabilities>;
  /** @throws {UnsupportedError} when transactions cannot be guarded with leases that are kept here */
  refuseGuard(): void;
  /** The server's time at a local moment: an estimate that is never ahead of it. Null before the first answer. */
  serverTimeAt(instant: Instant): number | null;
  readonly presence: Presence;
  /** Closes every connection. The next request opens them again. */
  rest(): Promise<void>;
  /** Closes every connection for good: later requests reject with ClosedError. Tells Postgres first, if that takes no longer than `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

/** What a role may be granted: to take locks, or to take them from others, too. */
export type Right = "usage" | "admin";

/** What the session of this process means for its leases. */
export interface Presence {
  /** Number of sessions registered so far. Only answers to requests sent under the current one prove a lease. 0 without presence. */
  readonly incarnation: number;
  /** Whether the last successful heartbeat was sent so recently that nobody can have confirmed this process dead. */
  readonly isBelieved: boolean;
  /** The session's number, as in the rows of the leases; null when there is none. */
  readonly sessionId: number | null;
}

export interface BackendEvents {
  /** Called when a waiter of this process for this key may be next; null: for any key. */
  onWake(key: string | null): void;
  /** Called when a new session is active: leases must be renewed under it, and waiters should look. */
  onReconnected(): void;
  /** Called when a grant is known to have ended, before a renewal has found out. */
  onLost(grant: GrantId, reason: LossReason): void;
  /** Called with what fails in the background. */
  onError(error: unknown): void;
  /** Called with each that a migration waits for: no outage, so one does not stand for the next. */
  onWait(error: UnavailableError): void;
  /** A notice from the server. */
  onNotice(notice: { readonly [field: string]: string | undefined }): void;
  /** A request failed, whether or not it is retried. The caller is notified separately. */
  onFailure(error: LeaseholdError): void;
}

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
  /** From this moment on the server does nothing. */
  readonly deadline: Instant;
  onAnswer(answer: AcquireAnswer): void;
  onFailure(error: LeaseholdError): void;
}

export interface PendingRelease {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
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
  /** Whether the next waiter is of this process, which has to wake it. Left out when there is none, or it is not known. */
  readonly isNextOurs?: boolean;
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
  /** When it ends, renewed or not; null: no limit. */
  readonly maxHoldUntilMs: number | null;
  /** JSON text. */
  readonly metadata: string | null;
}

export interface KeyState {
  readonly state: "free" | "held" | "revoked" | "cooling" | "blocked" | "orphaned" | "expired";
  readonly owner: string | null;
  readonly fence: bigint | null;
  readonly sessionId: number | null;
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
