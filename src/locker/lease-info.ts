import type { LeaseInfo } from "../api/lease-info.js";
import type { JsonValue } from "../api/metadata.js";
import type { HolderInfo } from "../errors/errors.js";
import type { KeyState } from "../store/store.js";

export function toLeaseInfo(key: string, state: KeyState, isThisProcess: boolean): LeaseInfo | null {
  const isBlocked = state.blockingPid !== null || state.blockingTransaction !== null;
  if (state.state === "free" && !isBlocked) {
    return null;
  }
  const isReleased = state.state === "free";
  const data = {
    key,
    state: state.state === "free" ? "blocked" : state.state,
    owner: state.owner,
    holders: holdersOf(state, isThisProcess),
    isThisProcess,
    fence: state.fence,
    acquiredAt: toDate(state.acquiredAtMs),
    expiresAt: isReleased ? null : toDate(state.expiresAtMs),
    remainingMs: isReleased ? 0 : (state.remainingMs ?? 0),
    isSessionAlive: state.isSessionAlive,
    metadata: state.metadata === null ? null : (JSON.parse(state.metadata) as JsonValue),
    waiters: state.waiters,
    blockingPid: state.blockingPid,
    blockingTransaction: state.blockingTransaction,
  };
  return Object.defineProperty(data, "toJSON", {
    value: () => ({
      ...data,
      fence: data.fence?.toString() ?? null,
      holders: data.holders.map((holder) => ({ ...holder, fence: holder.fence.toString() })),
    }),
  }) as LeaseInfo;
}

function holdersOf({ state, owner, fence, expiresAtMs }: KeyState, isThisProcess: boolean): readonly HolderInfo[] {
  const isGranted = state !== "free" && state !== "cooling" && fence !== null;
  return isGranted ? [{ owner, fence, isThisProcess, expiresAt: toDate(expiresAtMs) }] : [];
}

/** Whether an acquire would have to wait. */
export function isKept({ state, blockingPid, blockingTransaction }: LeaseInfo): boolean {
  return state === "held" || state === "cooling" || blockingPid !== null || blockingTransaction !== null;
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
