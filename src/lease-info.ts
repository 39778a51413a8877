import type { JsonValue } from "./metadata.js";
import type { KeyState } from "./store.js";

/**
 * What `check` says about a key that is not free. `held`: granted. `cooling`: released, but kept from everybody until its
 * minimum hold is over. `blocked`: released, but a transaction that guarded it is open still; or about to be granted for the first
 * time, in a transaction that is not committed. `orphaned`: its holder's process is
 * confirmed dead. `expired`: nobody renewed it. The last two are granted to the next who asks, once no open transaction
 * guards them any more (`blockingPid`).
 */
export interface LeaseInfo {
  readonly key: string;
  readonly state: "held" | "cooling" | "blocked" | "orphaned" | "expired";
  /** The holder as it named itself; while cooling or blocked, the last one. */
  readonly holder: string | null;
  readonly isThisProcess: boolean;
  /** Null while the key's first grant sits in an open transaction. */
  readonly fence: bigint | null;
  readonly acquiredAt: Date | null;
  /** When the key is free at the latest, by the server's clock. */
  readonly expiresAt: Date | null;
  readonly remainingMs: number;
  /** Whether the holder's session is connected. False while `held`: it died just now, or connects again. Null without presence. */
  readonly isSessionAlive: boolean | null;
  readonly metadata: JsonValue;
  readonly waiters: number;
  /** The backend whose transaction keeps the row locked, if one does and it can be known. */
  readonly blockingPid: number | null;
  /** The name of a prepared transaction that keeps the row locked: it has no backend, and ends with COMMIT or ROLLBACK PREPARED alone. */
  readonly blockingTransaction: string | null;
  /** JSON-safe: the fence is a decimal string. */
  toJSON(): Readonly<Record<string, unknown>>;
}

export function toLeaseInfo(key: string, state: KeyState, isThisProcess: boolean): LeaseInfo | null {
  const isBlocked = state.blockingPid !== null || state.blockingTransaction !== null;
  if (state.state === "free" && !isBlocked) {
    return null;
  }
  const isReleased = state.state === "free";
  const data = {
    key,
    state: state.state === "free" ? "blocked" : state.state,
    holder: state.owner,
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
    value: () => ({ ...data, fence: data.fence?.toString() ?? null }),
  }) as LeaseInfo;
}

/** Whether an acquire would have to wait. */
export function isKept({ state, blockingPid, blockingTransaction }: LeaseInfo): boolean {
  return state === "held" || state === "cooling" || blockingPid !== null || blockingTransaction !== null;
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
