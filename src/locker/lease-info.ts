import type { LeaseInfo } from "../api/lease-info.js";
import type { JsonValue } from "../api/metadata.js";
import type { HolderInfo } from "../errors/errors.js";
import type { Holder, KeyState } from "../store/messages.js";

/** Null when the key is free. isFirstOurs: whether the grant that it tells of first is one of this process. */
export function toLeaseInfo(
  key: string,
  state: KeyState,
  isFirstOurs: boolean,
  toInfo: (holder: Holder) => HolderInfo | null,
  instance: string | null,
): LeaseInfo | null {
  if (state.state === "free") {
    return null;
  }
  const holders: readonly HolderInfo[] = state.holders.flatMap((holder) => toInfo(holder) ?? []);
  const data = {
    key,
    state: state.state,
    mode: state.mode,
    owner: state.owner,
    holders,
    isThisProcess: isFirstOurs || holders.some(({ isThisProcess }) => isThisProcess),
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

/** Whether an acquire without `shared` or `capacity` would have to wait. */
export function isKept({ state, isBlocked }: KeyState): boolean {
  return isBlocked || state === "held" || state === "revoked" || state === "cooling";
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
