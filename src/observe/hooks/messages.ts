import type { SweepResult } from "../../api/results.js";
import type { LockMode } from "../../api/share-options.js";
import type { LossReason } from "../../errors/errors.js";
import type { AcquireOutcome } from "../observer.js";

/** The fields of every message on a channel of `node:diagnostics_channel`. No message contains a token. */
export interface LockMessage {
  /** Number of the locker in its process: 1 for the first that was made. */
  readonly lockerId: number;
  /** The full key, prefix included. */
  readonly key: string;
  /** The option `owner`; default `host name:process id`. */
  readonly owner: string;
  /** `exclusive`, `shared` (a read lock) or `semaphore`: how the lock was asked for. */
  readonly mode: LockMode;
  /** The name of the instance that the key is on; null without the option `instances`. */
  readonly instance: string | null;
}

/** On `leasehold:acquire`: a call that acquires has ended, in whatever way. */
export interface AcquireMessage extends LockMessage {
  /**
   * `granted` · `held`: the key was held, and the call did not wait · `timed-out`: not granted within `waitMs`, or before its `retry`
   * gave up · `cancelled`: by its signal, or by `close` · `failed`: any other error.
   */
  readonly outcome: AcquireOutcome;
  /** Milliseconds from the call until it ended. */
  readonly waitedMs: number;
  /** Whether the key was not granted at once. */
  readonly isContended: boolean;
  /** A decimal number. Null unless granted. */
  readonly fence: string | null;
  /** Null unless `cancelled` or `failed`. The signal's reason may be any value. */
  readonly error: unknown;
}

/** On `leasehold:release`: a lock was released by its holder or by `close`. Postgres may not have answered yet. */
export interface ReleaseMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  /** Milliseconds from the grant to the release. */
  readonly heldMs: number;
}

/** On `leasehold:detach`: a lock was detached, to go on elsewhere. */
export interface DetachMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  /** Milliseconds since the grant. */
  readonly heldMs: number;
}

/** On `leasehold:adopt`: a lock that was granted elsewhere goes on here. */
export interface AdoptMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  /** Milliseconds since the grant. */
  readonly heldMs: number;
}

/** On `leasehold:lost`: a held lock was lost. */
export interface LostMessage extends LockMessage {
  /** A decimal number. */
  readonly fence: string;
  /** Why, as in LeaseLostError. */
  readonly reason: LossReason;
  /** Milliseconds from the grant to the loss. */
  readonly heldMs: number;
}

/** On `leasehold:takeover`, before `leasehold:acquire`: this process was granted a key that its last holder had not released. */
export interface TakeoverMessage extends LockMessage {
  /** The fence of the new grant, a decimal number. */
  readonly fence: string;
  /** `expired`: the lease had expired · `orphaned`: the holder's process was confirmed dead before the lease expired. */
  readonly reason: "expired" | "orphaned";
  /** Who had the key before. */
  readonly from: {
    readonly owner: string | null;
    /** A decimal number. */
    readonly fence: string;
  };
  /**
   * ISO 8601, by the server's clock: when the lease expired, or when the dead process was last seen alive. Null if that
   * is no longer known.
   */
  readonly since: string | null;
}

/** On `leasehold:sweep`: this process has swept. */
export interface SweepMessage extends SweepResult {
  /** Number of the locker in its process: 1 for the first that was made. */
  readonly lockerId: number;
  /** The name of the instance that was swept; null without the option `instances`. */
  readonly instance: string | null;
}

/** What a subscriber of a `start` channel may set. */
export interface Trace {
  /**
   * Runs the operation inside something, such as a context that is not an AsyncLocalStorage. It is called once, with a
   * function that starts the operation. A subscriber that finds it already set must call the old one inside its own.
   */
  runIn?: (work: () => unknown) => unknown;
}

/** On the channels of `tracing:leasehold:acquire`: a call that acquires, from start to end. */
export interface AcquireTrace extends LockMessage, Trace {
  /** How long the grant is asked for, in milliseconds. */
  readonly ttlMs: number;
  /** The longest it waits or retries: 0 if it only tries, `Infinity` if there is no limit. */
  readonly waitMs: number;
  /** The result, set from `asyncStart` on unless the call failed. `fence` is a decimal number, null unless granted. */
  result?: { readonly outcome: "granted" | "held"; readonly fence: string | null };
  /** What the call rejects with, set from `error` on. */
  error?: unknown;
}

/**
 * On the channels of `tracing:leasehold:with-lock`: `withLock` or `tryWithLock`, with its acquire, its body and its release; `withLocks` and
 * `tryWithLocks`, too.
 */
export interface WithLockTrace extends Trace {
  /** Number of the locker in its process: 1 for the first that was made. */
  readonly lockerId: number;
  /** The full keys, prefix included: several for `withLocks`. */
  readonly keys: readonly string[];
  /** The name of the instance that they are on; null without the option `instances`, and for keys on several. */
  readonly instance: string | null;
  /** Whether the body ran, set from `asyncStart` on unless the call failed. */
  result?: { readonly isAcquired: boolean };
  /** What the call rejects with, set from `error` on. */
  error?: unknown;
}
