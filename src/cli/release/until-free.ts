import type { ForceReleaseResult } from "../../api/force-release.js";
import type { LeaseInfo } from "../../api/lease-info.js";
import type { Locker } from "../../locker/locker.js";
import { after, msUntil, now, sleep } from "../../runtime/clock.js";

const EVERY_MS = 250;

export interface Waited {
  readonly isFree: boolean;
  /** What has the key now; null when nothing has. */
  readonly info: LeaseInfo | null;
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
  for (;;) {
    const info = await locker.check(key);
    if (hasLetGo(info, fences)) return { isFree: true, info };
    const leftMs = msUntil(deadline);
    if (leftMs <= 0) return { isFree: false, info };
    await sleep(Math.min(EVERY_MS, leftMs), { keepsAlive: true });
  }
}

function hasLetGo(info: LeaseInfo | null, fences: ReadonlySet<bigint>): boolean {
  if (info === null) return true;
  if (info.state === "blocked") return false;
  const isBlocked = info.blockingPid !== null || info.blockingTransaction !== null;
  if (info.state === "orphaned" || info.state === "expired") return !isBlocked;
  // granted anew, or others share it
  return info.fence !== null && !fences.has(info.fence) && !info.holders.some(({ fence }) => fences.has(fence));
}
