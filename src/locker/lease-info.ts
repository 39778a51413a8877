import type { LeaseInfo } from "../api/lease-info.js";
import type { JsonValue } from "../api/metadata.js";
import type { HolderInfo } from "../errors/errors.js";
import type { KeyState } from "../store/messages.js";

/** Null when the key is free. */
export function toLeaseInfo(
  key: string,
  state: KeyState,
  isThisProcess: boolean,
  instance: string | null,
): LeaseInfo | null {
  if (state.state === "free") {
    return null;
  }
  const data = {
    key,
    state: state.state,
    owner: state.owner,
    holders: holdersOf(state, isThisProcess),
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
    instance,
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
  const isGranted = state !== "cooling" && state !== "blocked" && fence !== null;
  return isGranted ? [{ owner, fence, isThisProcess, expiresAt: toDate(expiresAtMs) }] : [];
}

/** Whether an acquire would have to wait. */
export function isKept({ state, isBlocked }: KeyState): boolean {
  return isBlocked || state === "held" || state === "revoked" || state === "cooling";
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
