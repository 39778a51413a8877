import type { LockMode } from "../api/share-options.js";
import type { AcquireRequest, AdoptedAnswer, GrantedAnswer, Holder, KeyState, Takeover } from "../api/store.js";
import type { LossReason } from "../errors/errors.js";
import type { MemoryProcess } from "./memory-process.js";

/** A grant: the lease of a key, or one of the shares of it. */
export interface MemoryLease {
  readonly token: string;
  /** Only its minimum hold is left of it. */
  isReleased: boolean;
  readonly fence: bigint;
  readonly mode: LockMode;
  readonly capacity: number | null;
  readonly weight: number;
  readonly owner: string;
  /** Whose death frees it before it expires. */
  process: MemoryProcess;
  readonly acquiredAtMs: number;
  expiresAtMs: number;
  /** 0: it has no minimum hold. */
  readonly minHoldUntilMs: number;
  /** Null: no limit. */
  readonly maxHoldUntilMs: number | null;
  readonly metadata: string | null;
  isRevoked: boolean;
}

/** What a request is granted. */
export function newLease(
  { token, mode, capacity, weight, owner, ttlMs, minHoldMs, maxHoldMs, metadata }: AcquireRequest,
  process: MemoryProcess,
  fence: bigint,
  nowMs: number,
): MemoryLease {
  const maxHoldUntilMs = maxHoldMs === null ? null : nowMs + maxHoldMs;
  return {
    token,
    isReleased: false,
    fence,
    mode,
    capacity,
    weight,
    owner,
    process,
    acquiredAtMs: nowMs,
    expiresAtMs: atMost(nowMs + ttlMs, maxHoldUntilMs),
    minHoldUntilMs: minHoldMs === 0 ? 0 : nowMs + minHoldMs,
    maxHoldUntilMs,
    metadata,
    isRevoked: false,
  };
}

/** The earlier of the two. */
export function atMost(ms: number, limitMs: number | null): number {
  return limitMs === null ? ms : Math.min(ms, limitMs);
}

/** Whether its key can be granted: the only predicate for that. */
export function isGrantable({ isReleased, expiresAtMs, minHoldUntilMs, process }: MemoryLease, nowMs: number): boolean {
  return isReleased ? nowMs >= minHoldUntilMs : nowMs >= expiresAtMs || nowMs >= process.orphanedAtMs;
}

/** When that will be, at the latest. */
export function freeAtMs({ isReleased, expiresAtMs, minHoldUntilMs, process }: MemoryLease): number {
  return isReleased ? minHoldUntilMs : Math.min(expiresAtMs, process.orphanedAtMs);
}

/** Why its holder lost it; null: it has it. */
export function lossReason(lease: MemoryLease, nowMs: number): LossReason | null {
  if (lease.isRevoked) {
    return "forced";
  }
  return nowMs < lease.expiresAtMs ? null : expiryReason(lease, nowMs);
}

/** What ended a lease that has expired. */
export function expiryReason({ isRevoked, maxHoldUntilMs }: MemoryLease, nowMs: number): LossReason {
  if (isRevoked) {
    return "forced";
  }
  return maxHoldUntilMs !== null && nowMs >= maxHoldUntilMs ? "max-hold" : "expired";
}

/** What becomes of it, seen for itself. */
export function stateOf(lease: MemoryLease, nowMs: number): KeyState["state"] {
  if (lease.isReleased) return nowMs >= lease.minHoldUntilMs ? "free" : "cooling";
  if (nowMs >= lease.expiresAtMs) return "expired";
  if (nowMs >= lease.process.orphanedAtMs) return "orphaned";
  return lease.isRevoked ? "revoked" : "held";
}

export function adopted(lease: MemoryLease, nowMs: number): AdoptedAnswer {
  const { mode, capacity, weight, acquiredAtMs, expiresAtMs, maxHoldUntilMs, metadata } = lease;
  return { outcome: "adopted", mode, capacity, weight, acquiredAtMs, nowMs, expiresAtMs, maxHoldUntilMs, metadata };
}

export function granted(
  lease: MemoryLease,
  nowMs: number,
  takeover: Takeover | null = null,
  hasMore = false,
  otherCapacity: number | null = null,
): GrantedAnswer {
  const { fence, acquiredAtMs, expiresAtMs } = lease;
  return { outcome: "granted", fence, acquiredAtMs, nowMs, expiresAtMs, takeover, hasMore, otherCapacity };
}

/** From whom a lease that can be granted is taken; null when it was released. */
export function takeoverOf(lease: MemoryLease, nowMs: number): Takeover | null {
  const { isReleased, owner, fence, expiresAtMs, process } = lease;
  if (isReleased) {
    return null;
  }
  return nowMs >= expiresAtMs
    ? { owner, fence, reason: "expired", sinceMs: expiresAtMs }
    : { owner, fence, reason: "orphaned", sinceMs: process.diedAtMs };
}

/** Who has the key, or had it last and keeps it by its minimum hold. */
export function holderOf(lease: MemoryLease): Holder {
  const { isReleased, owner, fence, weight, expiresAtMs, minHoldUntilMs } = lease;
  return { owner, fence, weight, expiresAtMs: isReleased ? minHoldUntilMs : expiresAtMs };
}
