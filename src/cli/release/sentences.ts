// What `release --force` says.
import type { ForceReleaseResult } from "../../api/force-release.js";
import type { LeaseInfo } from "../../api/lease-info.js";
import type { HolderInfo } from "../../errors/errors.js";
import { formatDuration, formatTime } from "../duration.js";
import { printable } from "../printable.js";
import type { Waited } from "./until-free.js";

interface Blocking {
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}

interface Taken {
  readonly isImmediate: boolean;
  /** Whether others go on to share the key. */
  readonly isShared: boolean;
}

/** What was done, and when the key will be free. */
export function taken(key: string, result: ForceReleaseResult, { isImmediate, isShared }: Taken): string {
  const { holders } = result;
  const what = printable(key);
  const [who, notice, believe] =
    holders.length > 1
      ? [`its holders ${names(holders)}`, "notice", "believe that they have"]
      : [`its holder ${names(holders)}`, "notices", "believe that it has"];
  const first =
    result.outcome === "revoked"
      ? `${what}: ${isShared ? "a share is revoked; it ends" : "revoked; free"} when ${who} ${notice}, at the latest at ${time(result.freeAt)}.`
      : isImmediate && holders.length > 0
        ? `${what}: released; ${who} may still ${believe} the lock.`
        : `${what}: released.`;
  const open = openTransaction(result);
  return open === null ? first : `${first}\nBut ${open} guards it, and keeps it until that ends.`;
}

/** Why there was nothing to take. */
export function nothingTaken(key: string, fence: bigint | undefined, info: LeaseInfo | null): string {
  const nobody = `Nobody holds ${printable(key)}${fence === undefined ? "" : ` with fence ${fence}`}.`;
  switch (info?.state) {
    case "cooling":
      return `${nobody} Its minimum hold keeps it, until ${time(info.expiresAt)}.`;
    case "blocked":
      return `${nobody} ${capital(openTransaction(info) ?? "an open transaction")} keeps it until that ends.`;
    default:
      return nobody;
  }
}

/** After --wait. */
export function afterwards(key: string, { info, isShared }: Waited): string {
  if (info === null || info.state === "expired" || info.state === "orphaned") {
    return `${printable(key)}: free.`;
  }
  return isShared
    ? `${printable(key)}: let go; ${named(info.owner)} still has a share of it.`
    : `${printable(key)}: free, and granted to ${named(info.owner)} since.`;
}

/** When the time for --wait is up. */
export function stillKept(key: string, { holders }: ForceReleaseResult, info: LeaseInfo | null): string {
  const notYet = `${printable(key)} is not free yet`;
  const open = info === null ? null : openTransaction(info);
  if (info === null) return notYet;
  if (open !== null || info.state === "blocked")
    return `${notYet}: ${open ?? "an open transaction"} keeps it until that ends`;
  const deaf = info.holders.filter(({ fence }) => holders.some((holder) => holder.fence === fence));
  const [who, have] = deaf.length > 1 ? [`its holders ${names(deaf)}`, "have"] : [`its holder ${names(deaf)}`, "has"];
  return `${notYet}: ${who} ${have} not noticed; it will be in ${formatDuration(info.remainingMs)} at the latest`;
}

function openTransaction({ blockingPid, blockingTransaction }: Blocking): string | null {
  if (blockingPid !== null) return `the open transaction of server process ${blockingPid}`;
  return blockingTransaction === null ? null : `the prepared transaction ${printable(blockingTransaction)}`;
}

function names(holders: readonly HolderInfo[]): string {
  return holders.map(({ owner }) => named(owner)).join(", ");
}

function named(owner: string | null): string {
  return owner === null ? "(unnamed)" : printable(owner);
}

function time(free: Date | null): string {
  return free === null ? "(unknown)" : formatTime(free);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
