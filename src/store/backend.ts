import type { Capabilities } from "../api/capabilities.js";
import type { MigrateOptions } from "../api/migrate-options.js";
import type { PingResult } from "../api/results.js";
import type { ShareTerms } from "../config/share.js";
import type { LeaseholdError, LossReason, UnavailableError, UnsupportedError } from "../errors/errors.js";
import type { Clock, Instant } from "../runtime/clock.js";
import type { ConnectionStates, ServerState, StoreState } from "./backend-state.js";
import type {
  AbandonRequest,
  AcquireAllAnswer,
  AcquireAllRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptRequest,
  CountersRow,
  DetachRequest,
  FirstAttempt,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  GrantId,
  Holder,
  KeepEntriesRequest,
  KeyState,
  PendingRelease,
  PendingRenewal,
  QueueEntry,
  ReleaseAnswer,
  RenewAnswer,
  SweepBatch,
} from "./messages.js";

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
  /** Asks for several keys at once, without queueing for them. Null: one after the other is all that can be asked here. */
  readonly acquireAll: ((request: AcquireAllRequest) => Promise<AcquireAllAnswer>) | null;
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
  /** Why a key cannot be shared here. Null: it can. */
  refusalOfShare(share: ShareTerms): UnsupportedError | null;
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
