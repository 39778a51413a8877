// P8: what a process leaves behind when it dies is free soon, and in the end every key can be had. P7: a key that is free is
// granted to who waits for it.
import type { LineRow } from "./entries.js";
import type { History } from "./history.js";
import { decidedAt, grantOf, type Hold, type KeyHistory } from "./keys.js";
import { type Stay, staysOf } from "./line.js";
import type { Process } from "./processes.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey } from "./words.js";

const GENEROUS = 20_000_000;
/** Those ahead who die cost 3 s each, a look 1 s. */
const SOON = 10_000_000;

export function checkRecovery(history: History, report: Report): void {
  checkProbes(history, report);
  for (const key of history.keys.values()) {
    const stays = staysOf(key);
    if (stays.length === 0) continue;
    for (const [at, hold] of key.holds.entries()) {
      if (hold.kind !== "lease") continue;
      const next = key.holds[at + 1];
      checkDead(history, key, hold, next, stays, report);
      checkFree(history, key, hold, next, stays, report);
    }
  }
}

function checkProbes(history: History, report: Report): void {
  const { times } = history;
  for (const probe of history.probes) {
    report.checked("P8", "keys that were acquired at the end");
    if (probe.ms === null) {
      report.object(
        "P8",
        `${sayKey(probe.key)} could not be acquired at the end: ${probe.why ?? "no reason was given"}`,
        [probe],
      );
      continue;
    }
    const since = probe.t - probe.ms * 1_000;
    let until = since;
    for (const { versions, end } of history.keys.get(probe.key)?.holds ?? []) {
      const last = end ?? versions.at(-1);
      const wall = last && (end ? end.holdUntil : last.expiresAt);
      const t = last && wall !== null && wall !== undefined ? times.monotonic(wall, last.node) : null;
      if (t !== null && t < probe.t + 600_000_000) until = Math.max(until, t);
    }
    if (!times.isKnown || times.firstStepAt < probe.t) report.unsure("P8", "times of probes without a clock");
    else if (probe.t > until + GENEROUS) {
      report.object(
        "P8",
        `${sayKey(probe.key)} was acquired at the end after ${Math.round(probe.ms)} ms, and nothing kept it for longer than ${Math.round((until - since) / 1_000)} ms`,
        [probe, history.keys.get(probe.key)?.rows.at(-1)],
      );
    }
  }
}

/** The holder was killed, and somebody waits: the key is taken over when its heartbeat is too old, not at the TTL. */
function checkDead(
  history: History,
  key: KeyHistory,
  hold: Hold,
  next: Hold | undefined,
  stays: readonly Stay[],
  report: Report,
): void {
  const { times } = history;
  const last = hold.versions.at(-1);
  const process = hold.handles.at(-1)?.process;
  if (last === undefined || !process?.isKilled || process.exit === undefined || history.limits.has("no-presence"))
    return;
  if (last.sessionId === null || last.takeoverMs === null || last.takeoverMs === 0) return;
  const seen = history.sessions.get(last.sessionId)?.findLast(({ op }) => op !== "D");
  const seenAt = seen && times.monotonic(seen.seenAt, seen.node);
  if (seenAt === undefined || seenAt === null || last.committedAt === null) return;
  const from = process.exit.t;
  const due = Math.max(from, seenAt) + last.takeoverMs * 1_000 + SOON;
  const ended = hold.end && times.monotonic(hold.end.at, hold.end.node);
  const expires = times.monotonic(last.expiresAt ?? 0, last.node);
  if (expires === null || ended === null || (ended !== undefined && ended <= from) || expires <= due) return;
  const waiter = stays.find((stay) => isThere(history, stay, from, due));
  if (waiter === undefined || !isQuiet(history, process, waiter, key, from, due)) {
    report.unsure("P8", "killed holders whose key nobody waited for, undisturbed");
    return;
  }
  report.checked("P8", "killed holders whose key others waited for");
  const taken = next === undefined ? null : times.monotonic(decidedAt(next), grantOf(next).node);
  if (taken !== null && taken <= due) return;
  report.object(
    "P8",
    `${sayKey(key.key)}: ${sayHold(history, hold)} was killed at ${times.say(from)}, and nobody had its lock at ${times.say(due)}, though ${waiter.versions[0]?.owner} waited for it`,
    [last, process.exit, seen, waiter.versions[0], next && grantOf(next)],
  );
}

/** The key is free, and somebody waits: a lost wake-up, or nobody looks. */
function checkFree(
  history: History,
  key: KeyHistory,
  hold: Hold,
  next: Hold | undefined,
  stays: readonly Stay[],
  report: Report,
): void {
  const { times } = history;
  const last = hold.versions.at(-1);
  if (last === undefined || (next === undefined && hold.kind === "share")) return;
  const { end } = hold;
  const isReleased = end !== undefined && end.fence === String(hold.fence);
  const node = (end ?? last).node;
  const wall = isReleased ? Math.max(end.committedAt ?? end.at, end.holdUntil ?? 0) : last.expiresAt;
  const from = wall === null ? null : times.monotonic(wall, node);
  const taken = next === undefined ? history.end : times.monotonic(decidedAt(next), grantOf(next).node);
  if (from === null || taken === null) return;
  const due = from + SOON;
  const waiter = stays.find((stay) => isThere(history, stay, from, Math.min(due, taken)));
  if (waiter === undefined) return;
  if (taken <= due) {
    if (next !== undefined) report.checked("P7", "free keys that others waited for");
    return;
  }
  if (!isQuiet(history, undefined, waiter, key, from, due)) {
    report.unsure("P7", "free keys that were not granted while something was wrong");
    return;
  }
  report.object(
    "P7",
    `${sayKey(key.key)} was free since ${times.say(from)}, and nobody had it at ${times.say(due)}, though ${waiter.versions[0]?.owner} waited for it and nothing was wrong`,
    [end ?? last, waiter.versions[0], waiter.versions.at(-1), next && grantOf(next)],
  );
}

/** Whether a waiter stood in line all the time. */
function isThere(history: History, stay: Stay, from: number, to: number): boolean {
  const entry = stay.versions[0] as LineRow;
  const since = history.times.monotonic(entry.committedAt ?? entry.at, entry.node);
  if (since === null || since > from) return false;
  const left = stay.left && history.times.monotonic(stay.left.at, stay.left.node);
  if (left === null || (left !== undefined && left < to)) return false;
  let alive = Number.NEGATIVE_INFINITY;
  for (const row of stay.versions) {
    const t = history.times.monotonic(row.at, row.node);
    const until = history.times.monotonic(row.aliveUntil, row.node);
    if (t === null || until === null) return false;
    if (row !== entry && t > alive && t > from && alive < to) return false; // it had lapsed in between
    alive = Math.max(alive, until);
  }
  return alive >= to;
}

/** Nothing is wrong with the server, with this key, or with any of those who stand in line for it. */
function isQuiet(
  history: History,
  dead: Process | undefined,
  waiter: Stay,
  key: KeyHistory,
  from: number,
  to: number,
): boolean {
  const waiting = new Set<string>();
  for (const row of key.line) {
    if (BigInt(row.ticket) > waiter.ticket) continue;
    const t = history.times.monotonic(row.aliveUntil, row.node);
    if (t !== null && t < from) continue;
    const process = history.processOfRow(row);
    if (process === undefined) return false;
    if (process.stoodStill(from, to) > 500_000) return false;
    waiting.add(process.name);
  }
  const faults = history.faultsBetween(from - SOON, to).filter(({ begin: { fault, on } }) => {
    if (on.length === 0) return true;
    if (dead !== undefined && on.includes(dead.name)) return fault !== "kill";
    return on.some((name) => waiting.has(name));
  });
  if (faults.length > 0 || history.hasServerBegun(from - SOON, to)) return false;
  // an open transaction that guards the key keeps it, for as long as it may
  return !key.calls.some(({ entry, settled }) => {
    return (
      ["transaction", "sql"].includes(entry.call) &&
      entry.t <= to &&
      (settled?.outcome === "error" || (settled?.t ?? to) >= from)
    );
  });
}
