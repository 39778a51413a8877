// P9: whoever loses a lock is told, at the latest when it would have expired.
import type { History } from "./history.js";
import { grantOf, type Hold, type KeyHistory } from "./keys.js";
import type { Call, Handle } from "./processes.js";
import type { Report } from "./verdict.js";
import { sayHandle, sayKey } from "./words.js";

/** A timer on a busy machine. */
const A_LITTLE = 5_000_000;
/** How far around the end it is asked whether the process stood still. */
const AROUND = 30_000_000;

export function checkLoss(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const handle of key.handles) checkHandle(history, key, handle, report);
  }
}

function checkHandle(history: History, key: KeyHistory, handle: Handle, report: Report): void {
  const { process } = handle;
  const lost = handle.lost ?? handle.askedBack;
  const hold = key.hold(handle.fence);
  if (process.hello?.client !== "node" || handle.call.entry.by === "SQL" || hold === undefined) return;
  if (hold.handles.some((other) => other.told > handle.told)) {
    report.unsure("P9", "leases that were handed over");
    return;
  }
  const until = expiryOf(history, key, hold);
  if (until === null || history.isExclusionLimited(until, grantOf(hold).node)) {
    report.unsure("P9", "handles whose expiry is not known");
    return;
  }
  const deadline = until + A_LITTLE + process.stoodStill(until - AROUND, until + AROUND);
  if (lost !== undefined && lost.t <= deadline) {
    report.checked("P9", "losses that were told");
    return;
  }
  // an end of its own, asked for before it was time
  if (handle.calls.some(({ entry }) => ["release", "detach"].includes(entry.call) && entry.t <= deadline)) return;
  if (isEnding(key, handle, deadline)) return;
  const lastSeen = process.isKilled ? process.last : process.end;
  if (lastSeen < deadline) {
    report.unsure("P9", "handles of processes that ended before");
    return;
  }
  report.object(
    "P9",
    `${sayHandle(handle)} of ${sayKey(key.key)} expired at ${history.times.say(until)}, and ${lost ? `was told at ${history.times.say(lost.t)}` : "was never told"}`,
    [grantOf(hold), hold.versions.at(-1), hold.end, lost],
  );
}

/** The whole process closes, a set is released by one call, or the call that it came of ends it. */
function isEnding(key: KeyHistory, { process, call }: Handle, deadline: number): boolean {
  if (call.entry.call === "lead" && call.settled !== undefined && call.settled.t <= deadline) return true;
  const isInTime = ({ entry }: Call): boolean => entry.t <= deadline && entry.t >= call.entry.t;
  if (process.closes.some(isInTime)) return true;
  return key.calls.some((one) => {
    return one.process === process && one.entry.call === "release" && one.entry.lock === undefined && isInTime(one);
  });
}

/** The latest that the database ever granted, also what a server had that was replaced: on the monotonic clock. */
function expiryOf(history: History, key: KeyHistory, hold: Hold): number | null {
  let latest = Number.NEGATIVE_INFINITY;
  for (const { expiresAt, node } of [...hold.versions, ...key.lostVersions(hold.fence)]) {
    const t = expiresAt === null ? null : history.times.monotonic(expiresAt, node);
    if (t === null) return null;
    latest = Math.max(latest, t);
  }
  return latest;
}
