import type { LeaseInfo } from "../api/lease-info.js";
import type { JsonValue } from "../api/metadata.js";
import type { KeyState } from "../store/store.js";

/** Null when the key is free. */
export function toLeaseInfo(key: string, state: KeyState, isThisProcess: boolean): LeaseInfo | null {
  if (state.state === "free") {
    return null;
  }
  const data = {
    key,
    state: state.state,
    holder: state.owner,
    isThisProcess,
    fence: state.fence,
    acquiredAt: toDate(state.acquiredAtMs),
    expiresAt: toDate(state.expiresAtMs),
    remainingMs: state.remainingMs ?? 0,
    isSessionAlive: state.isSessionAlive,
    metadata: state.metadata === null ? null : (JSON.parse(state.metadata) as JsonValue),
    waiters: state.waiters,
    blockingPid: state.blockingPid,
    blockingTransaction: state.blockingTransaction,
  };
  return Object.defineProperty(data, "toJSON", {
    value: () => ({ ...data, fence: data.fence?.toString() ?? null }),
  }) as LeaseInfo;
}

/** Whether an acquire would have to wait. */
export function isKept({ state, isBlocked }: KeyState): boolean {
  return isBlocked || state === "held" || state === "revoked" || state === "cooling";
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
