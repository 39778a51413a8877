import type { AcquireRequest, Holder, KeyState } from "../api/store.js";
import { freeAtMs, holderOf, isGrantable, type MemoryLease, stateOf } from "./memory-lease.js";
import type { MemoryShares } from "./memory-shares.js";

/** Which of several counts: as long as one is held the key is, and so on. */
const states = ["held", "revoked", "cooling", "orphaned", "expired", "free"] as const;

/** What check says of a key, given all that there is of it, the oldest first. */
export function stateOfKey(all: readonly MemoryLease[], nowMs: number): Omit<KeyState, "nowMs" | "waiters"> {
  const each = all.map((lease) => stateOf(lease, nowMs));
  const state = states.find((one) => each.includes(one)) ?? "free";
  const kept = all.filter((lease) => !isGrantable(lease, nowMs));
  // Those that have ended are told of a key that nobody has any more.
  const isOver = state === "expired" || state === "orphaned";
  const [first] = isOver ? all : kept;
  if (state === "free" || first === undefined) {
    return { state: "free", mode: "exclusive", holders: [], acquiredAtMs: null, freeAtMs: null, metadata: null };
  }
  const shown = (isOver ? all : kept).filter(({ isReleased }) => !isReleased);
  return {
    state,
    mode: first.mode,
    holders: shown.map(holderOf),
    acquiredAtMs: (shown[0] ?? first).acquiredAtMs,
    freeAtMs: isOver ? null : Math.max(...kept.map(freeAtMs)),
    metadata: shown[0]?.metadata ?? null,
  };
}

/** Who is in the way of a request, and when to look again: of several, who wants the key alone when the last has ended, who shares it with the first. */
export function blockingOf(
  { mode }: Pick<AcquireRequest, "mode">,
  lease: MemoryLease | undefined,
  shares: MemoryShares | undefined,
  nowMs: number,
): { readonly holder: Holder | null; readonly lookInMs: number | null } {
  if (lease !== undefined) {
    return { holder: holderOf(lease), lookInMs: freeAtMs(lease) - nowMs };
  }
  let holder: Holder | null = null;
  let lookAtMs: number | null = null;
  for (const share of shares ?? []) {
    if (!isGrantable(share, nowMs)) {
      const endMs = freeAtMs(share);
      holder ??= holderOf(share);
      lookAtMs = lookAtMs === null ? endMs : (mode === "exclusive" ? Math.max : Math.min)(lookAtMs, endMs);
    }
  }
  return { holder, lookInMs: lookAtMs === null ? null : lookAtMs - nowMs };
}
