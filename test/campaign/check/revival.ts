// P5: nothing comes back to life. After an expiry, a release or a loss no renewal succeeds, no handle believes again, and no
// heartbeat goes on.
import type { GrantRow } from "./entries.js";
import type { History } from "./history.js";
import type { Hold, KeyHistory } from "./keys.js";
import { type Call, type Handle, nameOf } from "./processes.js";
import { SLACK } from "./times.js";
import type { Report } from "./verdict.js";
import { sayHandle, sayHold, sayKey } from "./words.js";

/** How long a renewal may be under way that was sent before the end: what hangs in the network, and in the server. */
const UNDER_WAY = 20_000_000;
/** Detach and adopt look at the clock, and again when they write. */
const DESCHEDULED = 1_000_000;

export function checkRevival(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const hold of key.holds) checkVersions(history, key, hold, report);
    for (const handle of key.handles) checkHandle(history, key, handle, report);
  }
}

function checkVersions(history: History, key: KeyHistory, hold: Hold, report: Report): void {
  let before: GrantRow | undefined;
  for (const row of hold.versions) {
    if (before !== undefined) checkVersion(history, key, hold, before, row, report);
    before = row;
  }
  const { end } = hold;
  const revived = end && hold.versions.find(({ id, node }) => node === end.node && id > end.id);
  if (end && revived) {
    report.object("P5", `${sayKey(key.key)}: ${sayHold(history, hold)} had ended, and came back to life`, [
      end,
      revived,
    ]);
  }
}

function checkVersion(
  history: History,
  key: KeyHistory,
  hold: Hold,
  before: GrantRow,
  row: GrantRow,
  report: Report,
): void {
  const { times } = history;
  const what = `${sayKey(key.key)}: ${sayHold(history, hold)}`;
  const isExtended = (row.expiresAt ?? 0) > (before.expiresAt ?? 0);
  if (row.maxHoldUntil !== null && (row.expiresAt ?? 0) > row.maxHoldUntil) {
    report.object("P8", `${what} was renewed beyond its maximum hold`, [before, row]);
  }
  if (!isExtended && row.token === before.token) return;
  if (!times.isBeforeStep(row.at, row.node)) {
    report.unsure("P5", "renewals after a server's clock was set");
    return;
  }
  const moment = row.renewedAt ?? row.at;
  const late = moment - (before.expiresAt ?? Number.POSITIVE_INFINITY);
  report.checked("P5", "renewals against the end of what they renew");
  if (late >= 0) {
    if (late < DESCHEDULED && isHandedOver(key, before, row)) {
      report.unsure("P5", "leases that were handed over in the moment of their end");
    } else {
      report.object(
        "P5",
        `${what} was renewed at ${times.sayWall(moment, row.node)}, after it had expired at ${times.sayWall(before.expiresAt, before.node)}`,
        [before, row],
      );
    }
  }
  if (before.revokedAt !== null) {
    report.object(
      "P5",
      `${what} was renewed at ${times.sayWall(moment, row.node)}, after it was taken away by force at ${times.sayWall(before.revokedAt, before.node)}`,
      [before, row],
    );
  }
}

function isHandedOver(key: KeyHistory, before: GrantRow, row: GrantRow): boolean {
  if (before.token !== row.token) return true;
  return key.calls.some(({ entry: { call } }) => call === "detach" || call === "sql");
}

function checkHandle(history: History, key: KeyHistory, handle: Handle, report: Report): void {
  const end = endOf(handle);
  if (end === undefined) return;
  const { times } = history;
  report.checked("P5", "handles that ended");
  const believing = handle.beliefs.find(({ t, held, asserts }) => t > end.t && (held || asserts));
  if (believing) {
    report.object(
      "P5",
      `${sayHandle(handle)} ${end.how} at ${times.say(end.t)}, and believed at ${times.say(believing.t)} that it holds ${sayKey(key.key)}`,
      [handle.answer, end.entry, believing],
    );
  }
  for (const call of handle.calls) {
    const { entry, settled } = call;
    if (entry.t <= end.t || entry.isStale === true || (entry.call !== "renew" && entry.call !== "detach")) continue;
    report.checked("P5", "calls with handles that had ended");
    if (settled?.outcome !== "done") continue;
    report.object(
      "P5",
      `${sayHandle(handle)} ${end.how} at ${times.say(end.t)}, and the ${nameOf(call)} was done after that`,
      [end.entry, entry, settled],
    );
  }
  checkHeartbeats(history, key, handle, end, report);
}

interface End {
  readonly t: number;
  readonly how: string;
  readonly entry: NonNullable<Handle["lost"]> | NonNullable<Call["settled"]>;
}

/** The first after which nothing may be believed. */
function endOf({ lost, askedBack, calls, process }: Handle): End | undefined {
  let end: End | undefined = lost && { t: lost.t, how: "was lost", entry: lost };
  const closing = process.closes.find(({ entry, settled }) => {
    return askedBack !== undefined && entry.t <= askedBack.t && settled?.outcome === "done" && settled.t >= askedBack.t;
  });
  if (closing?.settled && (end === undefined || closing.settled.t < end.t)) {
    end = { t: closing.settled.t, how: "was closed", entry: closing.settled };
  }
  for (const { entry, settled } of calls) {
    if (entry.isStale === true || settled?.outcome !== "done" || (end && settled.t >= end.t)) continue;
    if (entry.call === "release") end = { t: settled.t, how: "was released", entry: settled };
    else if (entry.call === "detach") end = { t: settled.t, how: "was detached", entry: settled };
  }
  return end;
}

/** The rows of the grant go on being renewed, long after the last renewal that can have been under way. */
function checkHeartbeats(history: History, key: KeyHistory, handle: Handle, end: End, report: Report): void {
  if (end.how === "was detached" || !history.times.isKnown) return;
  const hold = key.hold(handle.fence);
  const isAlone = hold?.handles.length === 1; // adopted by nobody
  if (hold === undefined || !isAlone) return;
  const from = end.t + UNDER_WAY + handle.process.stoodStill(end.t, Number.POSITIVE_INFINITY);
  const own = key.calls.filter(({ entry }) => entry.isStale === true || entry.call === "sql");
  const beat = hold.versions.find(({ renewedAt, node }) => {
    const t = renewedAt === null ? null : history.times.monotonic(renewedAt, node);
    return (
      t !== null &&
      t > from &&
      !own.some(({ entry, settled }) => entry.t - SLACK < t && t < (settled?.t ?? Number.POSITIVE_INFINITY))
    );
  });
  if (beat === undefined) return;
  report.object(
    "P5",
    `${sayHandle(handle)} ${end.how} at ${history.times.say(end.t)}, and was still renewed at ${history.times.sayWall(beat.renewedAt, beat.node)}`,
    [end.entry, beat],
  );
}
