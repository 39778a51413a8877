import type { AdoptedAnswer, GrantedAnswer, Holder, KeyState, Takeover } from "../api/store.js";
import type { LossReason } from "../errors/errors.js";
import type { MemoryProcess } from "./memory-process.js";

/** The lease of one key. */
export interface MemoryLease {
  /** Null: it was released, and the minimum hold keeps the key. */
  token: string | null;
  readonly fence: bigint;
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

/** Whether its key can be granted: the only predicate for that. */
export function isGrantable({ token, expiresAtMs, minHoldUntilMs, process }: MemoryLease, nowMs: number): boolean {
  return token === null ? nowMs >= minHoldUntilMs : nowMs >= expiresAtMs || nowMs >= process.orphanedAtMs;
}

/** When that will be, at the latest. */
export function freeAtMs({ token, expiresAtMs, minHoldUntilMs, process }: MemoryLease): number {
  return token === null ? minHoldUntilMs : Math.min(expiresAtMs, process.orphanedAtMs);
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

export function stateOf(lease: MemoryLease, nowMs: number): KeyState["state"] {
  if (lease.token === null) return nowMs >= lease.minHoldUntilMs ? "free" : "cooling";
  if (nowMs >= lease.expiresAtMs) return "expired";
  if (nowMs >= lease.process.orphanedAtMs) return "orphaned";
  return lease.isRevoked ? "revoked" : "held";
}

export function adopted(lease: MemoryLease, nowMs: number): AdoptedAnswer {
  const { acquiredAtMs, expiresAtMs, maxHoldUntilMs, metadata } = lease;
  return { outcome: "adopted", acquiredAtMs, nowMs, expiresAtMs, maxHoldUntilMs, metadata };
}

export function granted(lease: MemoryLease, nowMs: number, takeover: Takeover | null): GrantedAnswer {
  const { fence, acquiredAtMs, expiresAtMs } = lease;
  return { outcome: "granted", fence, acquiredAtMs, nowMs, expiresAtMs, takeover };
}

/** From whom a lease that can be granted is taken; null when it was released. */
export function takeoverOf(lease: MemoryLease, nowMs: number): Takeover | null {
  const { token, owner, fence, expiresAtMs, process } = lease;
  if (token === null) {
    return null;
  }
  return nowMs >= expiresAtMs
    ? { owner, fence, reason: "expired", sinceMs: expiresAtMs }
    : { owner, fence, reason: "orphaned", sinceMs: process.diedAtMs };
}

/** Who has the key, or had it last and keeps it by its minimum hold. */
export function holderOf({ token, owner, fence, expiresAtMs, minHoldUntilMs }: MemoryLease): Holder {
  return { owner, fence, expiresAtMs: token === null ? minHoldUntilMs : expiresAtMs };
}
