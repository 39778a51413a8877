import type { Instant } from "./clock.js";
import type { TallyStats } from "./counters/tally.js";
import type { LeaseholdError, LossReason } from "./errors.js";
import type { ConnectionStates, ServerState } from "./inspect/store-state.js";

/**
 * The port between the client and the leases. It speaks in single requests; how they are batched and sent is the store's.
 * Every method rejects with a LeaseholdError, UnavailableError when asking again may help.
 */
export interface Store {
  /** Brings the schema up to date. Safe when many processes do it at once. */
  migrate(options: MigrateOptions): Promise<void>;
  /** Connects and runs every refusal of an unsafe set-up. Later calls are cheap. */
  open(timeoutMs: number): Promise<void>;
  acquire(request: AcquireRequest): Promise<AcquireAnswer>;
  /**
   * Keeps places in lines for as long as a look does. Resolves to those that are there no more. Null when nothing could be done in the
   * name of this process. Bounded by `notAfterMs` as an acquire is.
   */
  stay(request: StayRequest): Promise<readonly Place[] | null>;
  release(request: ReleaseRequest): Promise<ReleaseAnswer>;
  /** Ends an acquire by its token alone: takes it out of the line, and frees what it was granted. */
  abandon(request: AbandonRequest): Promise<ReleaseAnswer>;
  renew(request: RenewRequest): Promise<RenewAnswer>;
  check(key: string): Promise<KeyState>;
  forceRelease(request: ForceReleaseRequest): Promise<ForceReleaseAnswer>;
  /** One batch of the sweeper, unless somebody else did one less than `quietMs` ago. */
  sweep(quietMs: number): Promise<SweepBatch>;
  /** Writes the counts of one row over what it had; a sequence that is not larger than the row's changes nothing. */
  flushCounters(row: CountersRow): Promise<void>;
  /** Raises a resource's mark to this fence; `stale` when it is higher already, `unknown` when no grant can have had that fence. */
  checkFence(resource: string, fence: bigint): Promise<"passed" | "stale" | "unknown">;
  /** Who holds the key, asked on no connection that the user's own transactions may keep busy. */
  holderOf(key: string): Promise<Holder | null>;
  /** Names the database of the leases: a guard elsewhere is refused. Null before the first `open`. */
  readonly place: string | null;
  /** Learns `place` again. */
  findPlace(): Promise<void>;
  ping(): Promise<{ readonly ms: number; readonly serverVersion: string }>;
  /** What this process knows of its connections. Asks nobody. */
  readonly connections: ConnectionStates;
  /** What the server says of itself and of the schema, whatever state that is in. */
  describeServer(): Promise<ServerState>;
  /** An estimate of the server's time at a local moment that is never ahead of it; null before the first answer. */
  serverTimeAt(instant: Instant): number | null;
  readonly presence: Presence;
  /** Gives every connection back. The next request opens them again. */
  rest(): Promise<void>;
  /** Gives every connection back for good: what is asked afterwards rejects with ClosedError. Postgres is told, if that takes no longer than `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

export interface MigrateOptions {
  /** Roles that may lock afterwards, without any right to the tables. Default: only the role that migrates. */
  readonly grantTo?: string | readonly string[] | undefined;
}

/** What the process's session says about its leases. */
export interface Presence {
  /** Counts the sessions that stood. A lease is proven by what was sent under the current one. 0 without presence. */
  readonly incarnation: number;
  /** Whether a heartbeat that succeeded was sent so recently that nobody can have confirmed this process dead. */
  readonly isBelieved: boolean;
  /** The session's number, as in the rows of the leases; null when there is none. */
  readonly sessionId: number | null;
}

export interface StoreEvents {
  /** Somebody who waits here may be next. */
  onWake(): void;
  /** A new session stands: what is held must be renewed under it, and who waits should look. */
  onReconnected(): void;
  onError(error: unknown): void;
  /** The server said something that nobody had asked for. */
  onNotice(notice: { readonly [field: string]: string | undefined }): void;
  /** Something that was asked failed, whether or not it is asked again. Whoever asked hears of it, too. */
  onFailure(error: LeaseholdError): void;
}

export interface AcquireRequest {
  readonly key: string;
  readonly token: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly minHoldMs: number;
  readonly maxHoldMs: number | null;
  /** JSON text. */
  readonly metadata: string | null;
  /** The server does nothing from this moment of its own clock on. */
  readonly notAfterMs: number;
  /** Whether to stand in line when the key is not granted. */
  readonly waits: boolean;
  /** The one from an earlier answer. */
  readonly ticket: Ticket | null;
}

/** Somebody who waits. */
export interface Place {
  readonly key: string;
  readonly token: string;
}

export interface StayRequest {
  readonly places: readonly Place[];
  readonly notAfterMs: number;
}

/** A place in a line. */
export interface Ticket {
  /** The lower ones are served first. */
  readonly place: bigint;
  /** Shows the store that the place was given by it, and to this token. */
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
  /** The local moment until which the lease surely lasts, margin included. */
  readonly until: Instant;
  readonly expiresAtMs: number;
  /** The session under which this was asked. */
  readonly incarnation: number;
}

export interface Grant extends Proof {
  readonly fence: bigint;
  readonly acquiredAtMs: number;
  /** Null when the key was free; also in the answer to a repeated request. */
  readonly takeover: Takeover | null;
}

/** From whom a key was taken without a release. */
export interface Takeover {
  readonly owner: string | null;
  readonly fence: bigint;
  readonly sessionId: number | null;
  /** expired: its lease had run out · orphaned: its process was confirmed dead before that */
  readonly reason: "expired" | "orphaned";
  /** When its lease ran out, or when its process was last seen alive (null when that is not known any more). */
  readonly sinceMs: number | null;
}

export interface Holder {
  readonly owner: string | null;
  readonly fence: bigint;
  readonly sessionId: number | null;
  readonly expiresAtMs: number;
}

export interface ReleaseRequest {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
}

export interface AbandonRequest {
  readonly key: string;
  readonly token: string;
  /** Whether it was held: then the minimum hold counts, as with a release. */
  readonly wasHeld: boolean;
  /** Whether an attempt had no answer. Then `busy` also says that it may still be on its way to its commit. */
  readonly isDoubted: boolean;
}

/** released: freed now · expired: freed, but it had expired before · gone: not ours any more · busy: somebody locks the row */
export interface ReleaseAnswer {
  readonly outcome: "released" | "expired" | "gone" | "busy";
  readonly reason: LossReason | null;
}

export interface RenewRequest {
  readonly key: string;
  readonly token: string;
  readonly fence: bigint;
  /** null: proves the lease and leaves its expiry. */
  readonly ttlMs: number | null;
}

export type RenewAnswer =
  | ({ readonly outcome: "renewed" } & Proof)
  | { readonly outcome: "lost"; readonly reason: LossReason }
  | { readonly outcome: "busy" }
  | { readonly outcome: "unproven" };

export interface KeyState {
  readonly state: "free" | "cooling" | "held" | "orphaned" | "expired";
  readonly owner: string | null;
  readonly fence: bigint | null;
  readonly sessionId: number | null;
  readonly isSessionAlive: boolean | null;
  readonly acquiredAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly remainingMs: number | null;
  readonly metadata: string | null;
  readonly waiters: number;
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}

/** What one process has counted for some time, in a row of its own. */
export interface CountersRow {
  /** A UUID that nobody else knows. */
  readonly id: string;
  readonly sequence: number;
  readonly counts: TallyStats;
}

/** What one sweep has done. */
export interface SweepResult {
  /** Sessions that were told that somebody of theirs is next. */
  readonly woken: number;
  readonly leasesPurged: number;
  readonly waitersPurged: number;
  readonly sessionsPurged: number;
  readonly countersPurged: number;
  /** Another sweeper was at work, and this one left the rest to it. */
  readonly isBusy: boolean;
}

/** A part of a sweep, in a transaction of its own. */
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
  readonly fence: bigint | null;
  readonly owner: string | null;
  readonly expiresAtMs: number | null;
  readonly blockingPid: number | null;
}
