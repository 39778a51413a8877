// P10: a grant that nobody was told of does not stay, and nothing is left of who has closed everything.
import type { LeftLease } from "./entries.js";
import type { History } from "./history.js";
import { decidedAt, grantOf, type Hold, type KeyHistory } from "./keys.js";
import type { Handle, Process } from "./processes.js";
import { SLACK } from "./times.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey } from "./words.js";

/** After all faults are healed: a connection, and the last words of an acquire. */
const RESOLVED = 30_000_000;
/** In which an answer arrives that nobody wants any more, and is answered. */
const ENOUGH = 1_500_000;
/** What a fault leaves behind for a while. */
const AROUND = 5_000_000;
/** An entry that was being extended when its owner left lapses by itself. */
const LAPSES = 3_500_000;

export function checkOrphans(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const hold of key.holds) if (hold.handles.length === 0) checkOrphan(history, key, hold, report);
  }
  for (const lease of history.left.leases) checkLeftLease(history, lease, report);
  checkLeftWaiters(history, report);
}

function checkOrphan(history: History, key: KeyHistory, hold: Hold, report: Report): void {
  const { times } = history;
  const first = grantOf(hold);
  const process = history.processOfRow(first);
  // without a session it may be of SQL that did not read its answer, which is not the library's to release
  if (process?.hello?.client !== "node" || process.isKilled || first.sessionId === null) {
    report.unsure("P10", "grants that nobody was told of, of processes that were killed or are not known");
    return;
  }
  const last = hold.versions.at(-1) ?? first;
  const since = times.monotonic(decidedAt(hold), first.node);
  const until = times.monotonic(last.expiresAt ?? last.at, last.node);
  if (since === null || until === null) {
    report.unsure("P10", "grants that nobody was told of, at a time that is not known");
    return;
  }
  report.checked("P10", "grants that nobody was told of");
  const isReleased = hold.end !== undefined && hold.end.fence === first.fence;
  const isOver = history.end >= until;
  const healed = history.quiet && history.quiet.t + RESOLVED;
  const what = `${sayKey(key.key)}: ${sayHold(history, hold)} was told to nobody`;
  const renewal = hold.versions.find((row) => {
    const t =
      row === first || row.renewedAt === first.renewedAt ? null : times.monotonic(row.renewedAt ?? row.at, row.node);
    return t !== null && !isAsking(process, key, t);
  });
  if (renewal !== undefined) {
    report.object(
      "P10",
      `${what}, and was renewed at ${times.sayWall(renewal.renewedAt, renewal.node)}, when nobody asked for it any more`,
      [first, renewal],
    );
  } else if (!isReleased && healed !== undefined && healed < until && history.end >= healed) {
    report.object("P10", `${what}, and still stood at ${times.say(healed)}, long after the last fault`, [
      first,
      last,
      history.quiet,
    ]);
  } else if (!isReleased && isOver && isUndisturbed(history, process, since, until)) {
    report.object("P10", `${what}, and stood until it expired at ${times.say(until)}, with no fault about`, [
      first,
      last,
    ]);
  }
}

/** Whether a call of this process may still be about this key. */
function isAsking(process: Process, key: KeyHistory, t: number): boolean {
  return key.calls.some(({ process: asking, entry, settled }) => {
    return asking === process && entry.t <= t + SLACK && (settled === undefined || settled.t + RESOLVED >= t);
  });
}

/** It had all the time to say that it does not want it. */
function isUndisturbed(history: History, process: Process, from: number, to: number): boolean {
  const took = to - from;
  if (process.end < to || took < ENOUGH || process.stoodStill(from, to) > took / 5) return false;
  return !history
    .faultsBetween(from - AROUND, to)
    .some(({ begin: { on } }) => on.length === 0 || on.includes(process.name));
}

function checkLeftLease(history: History, lease: LeftLease, report: Report): void {
  const hold = history.keys.get(lease.key)?.hold(BigInt(lease.fence));
  const handle = hold?.handles.at(-1);
  const process = handle?.process ?? history.processOfRow(lease);
  if (process?.bye === undefined || process.hello?.client !== "node") {
    report.unsure("P10", "leases that were left by processes that did not close");
    return;
  }
  const until = lease.expiresAt === null ? null : history.times.monotonic(lease.expiresAt, lease.node);
  if (until === null || until <= process.bye.t) {
    report.unsure("P10", "leases that were left and had expired");
    return;
  }
  if (handle && mayStay(handle)) {
    report.unsure("P10", "leases that were handed over, or are not the library's");
    return;
  }
  report.object(
    "P10",
    `${process.name} had closed everything at ${history.times.say(process.bye.t)}, and left ${sayKey(lease.key)} locked with fence ${lease.fence}, until ${history.times.say(until)}`,
    [handle?.answer, process.bye, lease],
  );
}

/** It was detached, so that it stays for another; or it was acquired by SQL, which nobody closes. */
function mayStay({ call, calls }: Handle): boolean {
  return call.entry.by === "SQL" || calls.some(({ entry }) => entry.call === "detach");
}

function checkLeftWaiters(history: History, report: Report): void {
  for (const entry of history.left.waiters) {
    const process = history.processOfRow(entry);
    const until = history.times.monotonic(entry.aliveUntil, entry.node);
    if (process?.bye === undefined || until === null) {
      report.unsure("P10", "entries of the queue that were left by processes that did not close");
      continue;
    }
    report.checked("P10", "entries of the queue that were left");
    if (until <= process.bye.t + LAPSES) continue;
    report.object(
      "P10",
      `${process.name} had closed everything at ${history.times.say(process.bye.t)}, and still stands in line for ${sayKey(entry.key)} until ${history.times.say(until)}`,
      [process.bye, entry],
    );
  }
  for (const process of history.processes.values())
    if (process.bye) report.checked("P10", "processes of which nothing may be left");
}
