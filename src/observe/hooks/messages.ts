import type { LossReason } from "../../errors/errors.js";
import type { SweepResult } from "../../store/store.js";
import type { AcquireOutcome } from "../observer.js";

/** What every message on a channel of `node:diagnostics_channel` says. No message holds a token. */
export interface LockMessage {
  /** Tells the lockers of a process apart: 1 for the first that was made. */
  readonly lockerId: number;
  /** The full key, prefix included. */
  readonly key: string;
  /** The option `owner`; default `host name:process id`. */
  readonly owner: string;
}

/** On `leasehold:acquire`: a call that acquires has come to its end, whatever that is. */
export interface AcquireMessage extends LockMessage {
  /**
   * `granted` · `held`: it did not wait, and somebody had the key · `timed-out`: not within `waitMs` · `cancelled`: by its signal,
   * or by `close` · `failed`: with any other error.
   */
  readonly outcome: AcquireOutcome;
  /** Milliseconds from the call to its end. */
  readonly waitedMs: number;
  /** Whether the key was not granted at the first look. */
  readonly isContended: boolean;
  /** A decimal number; null unless granted. */
  readonly fence: string | null;
  /** Null unless `cancelled` or `failed`; the signal's reason may be anything. */
  readonly error: unknown;
}

/** On `leasehold:release`: a lock was let go of by its holder or by `close`, also when Postgres has not answered yet. */
export interface ReleaseMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  /** Milliseconds from the grant to the release. */
  readonly heldMs: number;
}

/** On `leasehold:lost`: a held lock is lost. */
export interface LostMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  readonly reason: LossReason;
  /** Milliseconds from the grant to the loss. */
  readonly heldMs: number;
}

/** On `leasehold:takeover`, before `leasehold:acquire`: a key was granted here that its last holder had not released. */
export interface TakeoverMessage extends LockMessage {
  /** A decimal number: of the new grant. */
  readonly fence: string;
  /** `expired`: the lease had run out · `orphaned`: the holder's process was confirmed dead before that. */
  readonly reason: "expired" | "orphaned";
  readonly from: {
    readonly owner: string | null;
    /** A decimal number. */
    readonly fence: string;
  };
  /**
   * ISO 8601, by the server's clock: when the lease ran out, or when the dead process was last seen alive. Null when that is not
   * known any more.
   */
  readonly since: string | null;
}

/** On `leasehold:sweep`: this process has cleaned up. */
export interface SweepMessage extends SweepResult {
  /** Tells the lockers of a process apart: 1 for the first that was made. */
  readonly lockerId: number;
}

/** What a subscriber of a `start` channel may set. */
export interface Trace {
  /**
   * Runs the operation inside of something, such as a context that is no AsyncLocalStorage: it is called once, with what starts
   * the operation. Whoever finds it set calls the old one in the new one.
   */
  runIn?: (work: () => unknown) => unknown;
}

/** On the channels of `tracing:leasehold:acquire`: a call that acquires, from its start to its end. */
export interface AcquireTrace extends LockMessage, Trace {
  readonly ttlMs: number;
  /** How long it is willing to wait in the queue: 0 when it only tries; `Infinity` when there is no bound. */
  readonly waitMs: number;
  /** From `asyncStart` on, unless it failed: what was answered. `fence` is a decimal number, null unless granted. */
  result?: { readonly outcome: "granted" | "held"; readonly fence: string | null };
  /** From `error` on: what the call rejects with. */
  error?: unknown;
}

/** On the channels of `tracing:leasehold:with-lock`: `withLock` or `tryWithLock`, with its acquire, its body and its release. */
export interface WithLockTrace extends Trace {
  /** Tells the lockers of a process apart: 1 for the first that was made. */
  readonly lockerId: number;
  /** The full key, prefix included. */
  readonly key: string;
  /** From `asyncStart` on, unless it failed: whether the body ran. */
  result?: { readonly isAcquired: boolean };
  /** From `error` on: what the call rejects with. */
  error?: unknown;
}
