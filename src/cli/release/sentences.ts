// What `release --force` says.
import type { ForceReleaseResult } from "../../api/force-release.js";
import type { LeaseInfo } from "../../api/lease-info.js";
import { formatDuration, formatTime } from "../duration.js";
import { printable } from "../printable.js";

interface Blocking {
  readonly blockingPid: number | null;
  readonly blockingTransaction: string | null;
}

/** What was done, and when the key will be free. */
export function taken(key: string, result: ForceReleaseResult, isImmediate: boolean): string {
  const who = result.holders.map(({ owner }) => named(owner)).join(", ");
  const what = printable(key);
  const first =
    result.outcome === "revoked"
      ? `${what}: revoked; free when its holder ${who} notices, at the latest at ${time(result.freeAt)}.`
      : isImmediate && who !== ""
        ? `${what}: released; its holder ${who} may still believe that it has the lock.`
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
export function afterwards(key: string, info: LeaseInfo | null): string {
  return info === null || info.state === "expired" || info.state === "orphaned"
    ? `${printable(key)}: free.`
    : `${printable(key)}: free, and granted to ${named(info.owner)} since.`;
}

/** When the time for --wait is up. */
export function stillKept(key: string, info: LeaseInfo | null): string {
  const notYet = `${printable(key)} is not free yet`;
  const open = info === null ? null : openTransaction(info);
  if (info === null) return notYet;
  if (open !== null || info.state === "blocked")
    return `${notYet}: ${open ?? "an open transaction"} keeps it until that ends`;
  return `${notYet}: its holder ${named(info.owner)} has not noticed; it will be in ${formatDuration(info.remainingMs)} at the latest`;
}

function openTransaction({ blockingPid, blockingTransaction }: Blocking): string | null {
  if (blockingPid !== null) return `the open transaction of server process ${blockingPid}`;
  return blockingTransaction === null ? null : `the prepared transaction ${printable(blockingTransaction)}`;
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
