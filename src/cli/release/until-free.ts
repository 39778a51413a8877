import type { ForceReleaseResult } from "../../api/force-release.js";
import type { LeaseInfo } from "../../api/lease-info.js";
import type { Locker } from "../../locker/locker.js";
import { after, msUntil, now, sleep } from "../../runtime/clock.js";

const EVERY_MS = 250;

export interface Waited {
  readonly isFree: boolean;
  /** What has the key now; null when nothing has. */
  readonly info: LeaseInfo | null;
  /** Whether somebody shares the key who shared it at the first look, too: it was not free in between. */
  readonly isShared: boolean;
}

/** Looks until what was taken has let go of the key, or for `waitMs`. The next in the queue may have it by then. */
export async function waitUntilFree(
  locker: Locker,
  key: string,
  { holders }: ForceReleaseResult,
  waitMs: number,
): Promise<Waited> {
  const fences = new Set(holders.map(({ fence }) => fence));
  const deadline = after(now(), waitMs);
  let others: readonly bigint[] | null = null;
  for (;;) {
    const info = await locker.check(key);
    const sharing = othersOf(info, fences);
    others ??= sharing;
    const isShared = sharing.some((fence) => others?.includes(fence));
    if (hasLetGo(info, fences)) return { isFree: true, info, isShared };
    const leftMs = msUntil(deadline);
    if (leftMs <= 0) return { isFree: false, info, isShared };
    await sleep(Math.min(EVERY_MS, leftMs), { keepsAlive: true });
  }
}

/** The grants of those who share the key, without these. */
export function othersOf(info: LeaseInfo | null, fences: ReadonlySet<bigint>): readonly bigint[] {
  if (info === null || info.mode === "exclusive") return [];
  return info.holders.map(({ fence }) => fence).filter((fence) => !fences.has(fence));
}

function hasLetGo(info: LeaseInfo | null, fences: ReadonlySet<bigint>): boolean {
  if (info === null) return true;
  if (info.state === "blocked") return false;
  const isBlocked = info.blockingPid !== null || info.blockingTransaction !== null;
  if (info.state === "orphaned" || info.state === "expired") return !isBlocked;
  // granted anew, or others share it
  return info.fence !== null && !fences.has(info.fence) && !info.holders.some(({ fence }) => fences.has(fence));
}
