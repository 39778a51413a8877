// P4: whoever has lost a lock can neither renew nor release it, nor what was granted after it. So a grant that ends before its
// time was ended by its own holder, or by force.
import type { GrantRow } from "./entries.js";
import type { History } from "./history.js";
import { grantOf, type Hold, type KeyHistory } from "./keys.js";
import { type Call, type Handle, nameOf } from "./processes.js";
import { lifeOf } from "./sessions.js";
import { SLACK } from "./times.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey } from "./words.js";

/** What was sent right before a loss was told. */
const BEFORE_LOSS = 2_000_000;

export function checkStale(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    // of a set, or by SQL
    const anonymous = key.calls.filter(
      ({ entry }) => entry.lock === undefined && (entry.call === "release" || entry.call === "sql"),
    );
    const forces = key.calls.filter(({ entry }) => entry.call === "forceRelease" || entry.call === "sql");
    for (const hold of key.holds) checkEnd(history, key, hold, { anonymous, forces }, report);
  }
  for (const process of history.processes.values()) {
    for (const call of process.calls.values()) if (call.entry.isStale === true) checkCall(history, call, report);
  }
}

function checkEnd(
  history: History,
  key: KeyHistory,
  hold: Hold,
  { anonymous, forces }: { readonly anonymous: readonly Call[]; readonly forces: readonly Call[] },
  report: Report,
): void {
  const revoked = firstRevoked(hold);
  if (revoked !== undefined) checkForce(history, key, hold, revoked, forces, report);
  const { end } = hold;
  const last = hold.versions.at(-1);
  // replaced: whether its session was dead is asked where the next grant is looked at
  if (end === undefined || last === undefined || end.fence !== String(hold.fence)) return;
  if (end === revoked || isByGrant(key, end)) return;
  if (last.expiresAt === null || last.expiresAt <= (end.releasedAt ?? end.at)) return;
  const t = history.times.monotonic(end.at, end.node);
  if (t === null) {
    report.unsure("P4", "ends of grants whose time is not known");
    return;
  }
  report.checked("P4", "ends of live grants");
  if (hold.handles.length === 0) {
    report.checked("P4", "ends of grants that nobody was told of");
    return;
  }
  if (hold.handles.some((handle) => mayHaveReleased(handle, anonymous, t))) return;
  // Whoever asks for a key removes the shares of the dead from it, also when it is not granted itself.
  if (end.op === "D" && last.kind === "share" && lifeOf(history, last, end.at, end.node).is !== "alive") return;
  // by force once more: at once, or because the holder had died meanwhile
  if (revoked !== undefined && mayBeForced(history, key, forces, t)) return;
  if (isGivenBack(key, hold, t)) return;
  // It was released on a server that was replaced by one that had not heard of that. A last word of its claim comes later, and repeats it.
  if (key.lostVersions(hold.fence).some(({ token, op }) => token === null || op === "D")) return;
  report.object(
    "P4",
    `${sayKey(key.key)}: ${sayHold(history, hold)} was ${end.op === "D" ? "deleted" : "released"} at ${history.times.say(t)}, when none of its holders was about to release it`,
    [grantOf(hold), end, ...intruders(key, hold, t)],
  );
}

/** It was adopted by a call that nobody wanted any more. */
function isGivenBack(key: KeyHistory, { versions, handles }: Hold, t: number): boolean {
  const tokens = new Set(versions.map(({ token }) => token));
  return (
    tokens.size > handles.length && key.calls.some((call) => call.entry.call === "adopt" && mayBeUnderWay(call, t))
  );
}

/** Who was about to release something of this key at that time, for the evidence. */
function intruders(key: KeyHistory, hold: Hold, t: number): readonly Call["entry"][] {
  const own = new Set(hold.handles.map(({ process }) => process));
  return key.calls
    .filter((call) => !own.has(call.process) && call.entry.call !== "acquire" && mayBeUnderWay(call, t))
    .map(({ entry }) => entry)
    .slice(0, 3);
}

/** A share that the transaction of another grant removed. */
function isByGrant(key: KeyHistory, end: GrantRow): boolean {
  return end.op === "D" && key.holds.some((hold) => grantOf(hold).xid === end.xid);
}

function mayHaveReleased(handle: Handle, others: readonly Call[], t: number): boolean {
  const { process, call, told, lost } = handle;
  if (t <= told + SLACK) return true; // given back by the call itself
  if (call.entry.call === "lead" && mayBeUnderWay(call, t)) return true;
  if (lost !== undefined && t >= lost.t - BEFORE_LOSS) return true;
  // the longest hold counts from when it was asked for, and may be over before the call tells of the grant
  const { maxHoldMs } = call.entry;
  if (maxHoldMs !== undefined && t >= call.entry.t + maxHoldMs * 1_000 - SLACK) return true;
  if (process.closes.some((call) => mayBeUnderWay(call, t))) return true;
  return [...handle.calls, ...others].some((one) => {
    const { entry } = one;
    return entry.isStale !== true && (entry.call === "release" || entry.call === "sql") && mayBeUnderWay(one, t);
  });
}

/** What failed or was cut off with its process may reach the server much later. */
function mayBeUnderWay({ entry, settled }: Call, t: number): boolean {
  if (t < entry.t - SLACK) return false;
  return settled === undefined || settled.outcome === "error" || t <= settled.t + SLACK;
}

function firstRevoked(hold: Hold): GrantRow | undefined {
  const version = hold.versions.find(({ revokedAt }) => revokedAt !== null);
  if (version !== undefined) return version;
  const { end } = hold;
  return end !== undefined && end.revokedAt !== null && end.fence === String(hold.fence) ? end : undefined;
}

function checkForce(
  history: History,
  key: KeyHistory,
  hold: Hold,
  row: GrantRow,
  forces: readonly Call[],
  report: Report,
): void {
  const t = history.times.monotonic(row.at, row.node);
  if (t === null) {
    report.unsure("P4", "releases by force whose time is not known");
    return;
  }
  report.checked("P4", "releases by force");
  if (mayBeForced(history, key, forces, t)) return;
  report.object(
    "P4",
    `${sayKey(key.key)}: ${sayHold(history, hold)} was taken away by force at ${history.times.say(t)}, and nobody had asked for that`,
    [grantOf(hold), row],
  );
}

function mayBeForced(history: History, { key }: KeyHistory, forces: readonly Call[], t: number): boolean {
  if (forces.some((call) => mayBeUnderWay(call, t))) return true;
  return history
    .faultsBetween(t - SLACK, t + SLACK)
    .some(({ begin }) => begin.fault === "forced release" && (begin.key === undefined || begin.key === key));
}

const needsLock: ReadonlySet<string> = new Set(["renew", "release", "detach", "adopt", "transaction", "sql"]);

/** It was made long after the grant had ended, so that nothing can come of it. */
function checkCall(history: History, call: Call, report: Report): void {
  const { entry, settled, process } = call;
  if (settled === undefined || !needsLock.has(entry.call)) return;
  report.checked("P4", "calls by fences and tokens that had ended");
  if (settled.outcome !== "done") return;
  if (history.times.firstStepAt <= settled.t) {
    report.unsure("P4", "calls by what a clock that was set back may have brought to life");
    return;
  }
  const handle = entry.lock === undefined ? undefined : process.handles.get(entry.lock);
  const hold = handle && history.keys.get(handle.grant.key)?.hold(handle.fence);
  const until = hold && lastMoment(history, hold);
  if (hold && (until === null || until === undefined || until >= entry.t - SLACK)) {
    report.unsure("P4", "calls by fences and tokens that the server had not forgotten yet");
    return;
  }
  report.object("P4", `the ${nameOf(call)} was done, by what had ended long before`, [
    hold && grantOf(hold),
    hold?.end ?? hold?.versions.at(-1),
    entry,
    settled,
  ]);
}

/** Until when the server can have held it for alive. */
function lastMoment(history: History, hold: Hold): number | null {
  const last = hold.versions.at(-1);
  const { end } = hold;
  const wall = Math.min(last?.expiresAt ?? Number.POSITIVE_INFINITY, end?.committedAt ?? Number.POSITIVE_INFINITY);
  return history.times.monotonic(wall, (end ?? last)?.node ?? "");
}
