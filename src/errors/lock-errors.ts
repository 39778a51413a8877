import { quote } from "../runtime/describe.js";
import { brand, type ErrorData, identified, LeaseholdError } from "./base.js";

/** Who holds a key, as far as Postgres has said. */
export interface HolderInfo {
  /** The `owner` option of the holder; null when it gave none. */
  readonly owner: string | null;
  /** The fence of the holder's grant. */
  readonly fence: bigint;
  /** What it takes of the key's capacity; 1 unless it is part of a semaphore. Null when that was not told: `check` tells it. */
  readonly weight: number | null;
  /** Whether the holder is this very locker's process. */
  readonly isThisProcess: boolean;
  /** When the lease ends unless it is renewed, by the server's clock; null when that is not known. */
  readonly expiresAt: Date | null;
}

/**
 * Why a held lock was lost:
 * - `expired`: it was not renewed in time, and its TTL ran out;
 * - `taken`: Postgres no longer knows the grant, another holder may have it;
 * - `max-hold`: it was held for `maxHoldMs`;
 * - `forced`: an operator took it away with `forceRelease`;
 * - `closed`: the locker was closed.
 */
export type LossReason = "expired" | "taken" | "max-hold" | "forced" | "closed";

/** What `NotAcquiredError` is made of. */
export interface NotAcquiredData extends ErrorData {
  /** The full key. */
  readonly key: string;
  /** Who has it. Default null. */
  readonly holder?: HolderInfo | null | undefined;
  /** The server process whose open transaction is in the way. Default null. */
  readonly blockingPid?: number | null | undefined;
}

/** The key could not be locked: another holder has it, or somebody's open transaction has locked its row. */
export class NotAcquiredError extends LeaseholdError {
  static {
    brand(NotAcquiredError, "NotAcquiredError");
  }

  override readonly code: "not-acquired" | "wait-timeout" | "retries-exhausted" | "reentry" = "not-acquired";
  /** The full key, prefix included. */
  readonly key: string;
  /** Who held the key at the last look; null when nobody did, or when it could not be read. */
  readonly holder: HolderInfo | null;
  /** The server process whose open transaction has locked the key's row; null when there is none, or it is not known. */
  readonly blockingPid: number | null;

  constructor(data: NotAcquiredData) {
    const {
      key,
      holder = null,
      blockingPid = null,
      message,
      cause,
    } = identified(new.target.prototype.name, data, "key");
    super(
      message ??
        `Could not lock ${quote(key)}${standing(holder, blockingPid)}. Try again later, or wait in the queue with acquire or withLock.`,
      cause,
    );
    this.key = key;
    this.holder = holder;
    this.blockingPid = blockingPid;
  }
}

/** What `WaitTimeoutError` is made of. */
export interface WaitTimeoutData extends NotAcquiredData {
  /** How long the call was willing to wait, in milliseconds. Default 10,000. */
  readonly waitMs?: number | undefined;
  /** Whether this process itself holds the key. Default false. */
  readonly isHeldHere?: boolean | undefined;
  /** Whether it asked for the key alone while this process shared it. Default false. */
  readonly isUpgrade?: boolean | undefined;
  /** Whether it asked for a share of the key: `shared` or `capacity`. Default false. */
  readonly isShare?: boolean | undefined;
  /** Who waits for what. Default null. */
  readonly deadlock?: readonly string[] | null | undefined;
}

/** The key was not granted within `waitMs`. The call has left the queue. */
export class WaitTimeoutError extends NotAcquiredError {
  static {
    brand(WaitTimeoutError, "WaitTimeoutError");
  }

  override readonly code = "wait-timeout" as const;
  /** How long the call was willing to wait, in milliseconds. */
  readonly waitMs: number;
  /** Whether this process itself held the key while it waited. */
  readonly isHeldHere: boolean;
  /** Who waits for what, one sentence for each, when the key is part of a deadlock; else null. Known of processes with presence. */
  readonly deadlock: readonly string[] | null;

  constructor(data: WaitTimeoutData) {
    const {
      waitMs = 10_000,
      isHeldHere = false,
      isUpgrade = false,
      isShare = false,
      deadlock = null,
      message,
      ...rest
    } = identified(new.target.prototype.name, data, "key");
    const advice = isUpgrade
      ? "This process itself shares the key (shared or capacity), and waits for it alone: a lock is never upgraded. Release the share first, and read again what it protected."
      : deadlock !== null
        ? "Acquire several keys in the same order everywhere."
        : isShare
          ? "A share also waits for everybody who is ahead of it in the queue, such as one who wants the key alone. Raise waitMs if that is too short."
          : isHeldHere
            ? 'This process itself holds the key, and locks are not reentrant: pass the lock on to the code that needs it, or release it first. createLocker({ reentry: "throw" }) finds the place where it waits for itself, if that is in the body of a withLock.'
            : "Raise waitMs if that is too short; above the holder's ttlMs it outlasts a holder that hangs.";
    const circle = deadlock === null ? "" : ` It is part of a deadlock: ${deadlock.join("; ")}.`;
    const waited = `Waited ${waitMs} ms for ${quote(rest.key)}${standing(rest.holder, rest.blockingPid)}`;
    super({ ...rest, message: message ?? `${waited}.${circle} ${advice}` });
    this.waitMs = waitMs;
    this.isHeldHere = isHeldHere;
    this.deadlock = deadlock;
  }
}

/** What `RetriesExhaustedError` is made of. */
export interface RetriesExhaustedData extends NotAcquiredData {
  /** How often the key was tried. Default 1. */
  readonly attempts?: number | undefined;
}

/** The call had a `retry`, and that strategy gave up: the key was taken at every try. */
export class RetriesExhaustedError extends NotAcquiredError {
  static {
    brand(RetriesExhaustedError, "RetriesExhaustedError");
  }

  override readonly code = "retries-exhausted" as const;
  /** How often the key was tried. */
  readonly attempts: number;

  constructor(data: RetriesExhaustedData) {
    const { attempts = 1, message, ...rest } = identified(new.target.prototype.name, data, "key");
    const tried = `Tried ${attempts === 1 ? "once" : `${attempts} times`} to lock ${quote(rest.key)}${standing(rest.holder, rest.blockingPid)}`;
    const advice = "Let the retry strategy go on for longer, or leave it out to wait in the queue.";
    super({ ...rest, message: message ?? `${tried}. ${advice}` });
    this.attempts = attempts;
  }
}

/** What `ReentryError` is made of. */
export interface ReentryData extends ErrorData {
  /** The full key. */
  readonly key: string;
  /** Who has it. Default null. */
  readonly holder?: HolderInfo | null | undefined;
}

/**
 * The code that asks for the key runs in the body of a `withLock` that holds it, and would wait for itself; under a share as soon as somebody
 * waits in between. Pass that lock on, or set `reentry: "wait"` if the body does not await this call.
 */
export class ReentryError extends NotAcquiredError {
  static {
    brand(ReentryError, "ReentryError");
  }

  override readonly code = "reentry" as const;

  constructor(data: ReentryData) {
    const { key, holder, message, cause } = identified(new.target.prototype.name, data, "key");
    const advice =
      'Locks are not reentrant: pass that lock on to the code that needs it. If the body does not await this call, give it the option reentry: "wait" (lead: give that to createLocker).';
    super({
      key,
      holder,
      cause,
      message:
        message ?? `The body that asks for ${quote(key)} runs under a lock on it, and may wait for itself. ${advice}`,
    });
  }
}

/** What `NotHeldError` is made of. */
export interface NotHeldData extends ErrorData {
  /** The full key. */
  readonly key: string;
  /** The fence of the grant. Default null: there was none. */
  readonly fence?: bigint | null | undefined;
}

/** The lock is not held, or cannot be proven to be held right now: what it protects must not be touched. */
export class NotHeldError extends LeaseholdError {
  static {
    brand(NotHeldError, "NotHeldError");
  }

  override readonly code: "not-held" | "lease-lost" = "not-held";
  /** The full key, prefix included. */
  readonly key: string;
  /** The fence of the grant that this is about; null when there was none. */
  readonly fence: bigint | null;

  constructor(data: NotHeldData) {
    const { key, fence = null, message, cause } = identified(new.target.prototype.name, data, "key");
    super(message ?? `The lock on ${grant(key, fence)} is not held. Acquire it again before going on.`, cause);
    this.key = key;
    this.fence = fence;
  }
}

/** What `LeaseLostError` is made of. */
export interface LeaseLostData extends NotHeldData {
  /** Default `expired`. */
  readonly reason?: LossReason | undefined;
}

/** A lock that was held is lost for good. Work done since then may have collided with that of the next holder. */
export class LeaseLostError extends NotHeldError {
  static {
    brand(LeaseLostError, "LeaseLostError");
  }

  override readonly code = "lease-lost" as const;
  /** Why it was lost. */
  readonly reason: LossReason;

  constructor(data: LeaseLostData) {
    const { reason = "expired", message, ...rest } = identified(new.target.prototype.name, data, "key");
    super({ ...rest, message: message ?? `Lost the lock on ${grant(rest.key, rest.fence)}: ${lossText[reason]}` });
    this.reason = reason;
  }
}

const lossText: Readonly<Record<LossReason, string>> = {
  expired:
    "it was not renewed in time and its TTL ran out. A blocked event loop, a suspended machine or a long outage does that; a larger ttlMs outlasts it.",
  taken: "Postgres no longer knows this grant, and another holder may have the key. Stop what it protected.",
  "max-hold": "it was held for maxHoldMs. Raise maxHoldMs if the work may take longer.",
  forced: "it was taken away with forceRelease. Stop what it protected.",
  closed: "the locker was closed. Wait for the work to end first, or give close() a drainMs.",
};

/** What `StaleFenceError` is made of. */
export interface StaleFenceData extends ErrorData {
  /** The key of the lock, or the resource of `checkFence`. */
  readonly key: string;
  /** The fence that was refused. Default 0. */
  readonly fence?: bigint | undefined;
  /** Who has the key now. Default null. */
  readonly holder?: HolderInfo | null | undefined;
}

/**
 * Postgres refused the writes of a grant that has ended: of a transaction under `lock.transaction` or `lock.guard`, or in
 * `locker.checkFence`. Nothing that the transaction wrote is kept.
 */
export class StaleFenceError extends LeaseholdError {
  static {
    brand(StaleFenceError, "StaleFenceError");
  }

  override readonly code = "stale-fence" as const;
  /** The key of the lock; of `checkFence`, the resource. */
  readonly key: string;
  /** The fence that was refused. */
  readonly fence: bigint;
  /** Who held the key right after; null when nobody did, or when it could not be asked. */
  readonly holder: HolderInfo | null;

  constructor(data: StaleFenceData) {
    const { key, fence = 0n, holder = null, message, cause } = identified(new.target.prototype.name, data, "key");
    const now = holder === null ? "" : `. The key is${standing(holder, null).slice(1)}`;
    const advice =
      "Nothing of this transaction is kept. Stop what the lock protected, or acquire it again and start over.";
    super(
      message ?? `Postgres refused the writes under ${grant(key, fence)}: that grant has ended${now}. ${advice}`,
      cause,
    );
    this.key = key;
    this.fence = fence;
    this.holder = holder;
  }
}

function grant(key: string, fence: bigint | null | undefined): string {
  return fence === null || fence === undefined ? quote(key) : `${quote(key)} (fence ${fence})`;
}

function standing(holder: HolderInfo | null | undefined, blockingPid: number | null | undefined): string {
  const held = holder
    ? `, held by ${holder.isThisProcess ? "this process, " : ""}${holder.owner === null ? "an unnamed owner" : quote(holder.owner)} (fence ${holder.fence})`
    : "";
  const blocked =
    blockingPid === null || blockingPid === undefined
      ? ""
      : `${held ? " and" : ","} blocked by the open transaction of server process ${blockingPid}`;
  return held + blocked;
}
