// P6: different keys have nothing to do with each other. A row that a stranger keeps open holds up its own key alone, and a key
// that nobody holds is granted.
import type { FaultSpan, History } from "./history.js";
import { decidedAt, grantOf, type KeyHistory } from "./keys.js";
import { type Call, nameOf } from "./processes.js";
import type { Report } from "./verdict.js";

/** So far around a refusal nothing may have happened to its key. */
const AROUND = 200_000;
/** What failed or was cut off with its process may go on for so long in the server. */
const UNNOTICED = 15_000_000;
const LONG_MS = 2_000;
/** So many calls make a usual time. */
const ENOUGH = 20;

export function checkIndependence(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const call of key.calls) if (isRefusal(call)) checkRefusal(history, key, call, report);
  }
  const usual = usualTimes(history);
  for (const span of history.faults) {
    if (keepsRow.has(span.begin.fault) && span.begin.key !== undefined)
      checkHeldUp(history, span, span.begin.key, usual, report);
  }
}

function isRefusal({ entry, settled }: Call): boolean {
  return entry.call === "tryAcquire" && entry.keys.length === 1 && settled?.outcome === "nothing";
}

/** Refused, although nobody had, wanted, kept or guarded that key: because of another one. */
function checkRefusal(history: History, key: KeyHistory, call: Call, report: Report): void {
  const { entry, settled } = call;
  const from = entry.t - AROUND;
  const to = (settled?.t ?? entry.t) + AROUND;
  if (!history.times.isKnown || !history.hasRows) return;
  if (isOccupied(history, key, from, to)) {
    report.checked("P6", "refusals while somebody held the key or stood in line for it");
    return;
  }
  const isDisturbed =
    from < history.times.origin || // what the key was before is not known
    history.times.firstStepAt < to ||
    history.hasServerBegun(from, to) ||
    history.faultsBetween(from, to).some(({ begin: { on, key: of } }) => {
      return on.includes(call.process.name) || (on.length === 0 && (of === undefined || of === key.key));
    });
  const isAsked = key.calls.some((other) => {
    return other !== call && !readsOnly.has(other.entry.call) && other.entry.t <= to && endOf(other) >= from;
  });
  if (isDisturbed || isAsked) {
    report.unsure("P6", "refusals of keys whose row others may have locked");
    return;
  }
  report.object(
    "P6",
    `the ${nameOf(call)} was refused, and nobody held that key, stood in line for it or asked for it`,
    [entry, settled, key.rows.findLast((row) => (history.times.monotonic(row.at, row.node) ?? to) < from)],
  );
}

const readsOnly: ReadonlySet<string> = new Set(["check", "isLocked"]);

/** Whether somebody may have had it or stood in line for it between these times, or changed its row. */
function isOccupied(history: History, key: KeyHistory, from: number, to: number): boolean {
  const overlaps = (node: string, since: number, until: number): boolean => {
    const [begin, end] = [history.times.monotonic(since, node), history.times.monotonic(until, node)];
    return begin === null || end === null || (begin <= to && end >= from);
  };
  const isHeld = key.holds.some((hold) => {
    const { end } = hold;
    const last = end ?? hold.versions.at(-1) ?? grantOf(hold);
    const until = end ? Math.max(end.committedAt ?? end.at, end.holdUntil ?? 0) : (last.expiresAt ?? last.at);
    return overlaps(last.node, decidedAt(hold), until);
  });
  return (
    isHeld ||
    key.rows.some(({ node, at, committedAt }) => overlaps(node, at, committedAt ?? at)) ||
    key.line.some(({ op, node, at, aliveUntil }) => overlaps(node, at, op === "D" ? at : aliveUntil))
  );
}

function endOf({ process, settled }: Call): number {
  if (settled === undefined) return process.isKilled ? process.end + UNNOTICED : Number.POSITIVE_INFINITY;
  return settled.outcome === "error" ? settled.t + UNNOTICED : settled.t;
}

const keepsRow: ReadonlySet<string> = new Set(["row lock", "uncommitted insert", "prepared guard"]);
const waitsForNothing: ReadonlySet<string> = new Set(["tryAcquire", "renew", "release", "check", "isLocked"]);

/** How long a call of a name takes of which all others are faster: the slowest of twenty, in milliseconds. */
function usualTimes(history: History): ReadonlyMap<string, number> {
  const times = new Map<string, number[]>();
  for (const process of history.processes.values()) {
    for (const { entry, settled } of process.calls.values()) {
      if (settled === undefined || !waitsForNothing.has(entry.call)) continue;
      const known = times.get(entry.call) ?? [];
      known.push((settled.t - entry.t) / 1_000);
      times.set(entry.call, known);
    }
  }
  const usual = new Map<string, number>();
  for (const [call, all] of times) {
    if (all.length < ENOUGH) continue;
    all.sort((one, other) => one - other);
    usual.set(call, all[Math.floor(all.length * 0.95)] ?? 0);
  }
  return usual;
}

/** Calls about other keys, while somebody keeps the row of one and nothing else is wrong. */
function checkHeldUp(
  history: History,
  span: FaultSpan,
  key: string,
  usual: ReadonlyMap<string, number>,
  report: Report,
): void {
  const { begin, until } = span;
  if (until - begin.t < LONG_MS * 1_000 || !Number.isFinite(until)) return;
  const others = history.faultsBetween(begin.t - 25 * AROUND, until).filter((other) => other !== span);
  if (others.length > 0) {
    report.unsure("P6", "rows that were kept open while something else went wrong");
    return;
  }
  for (const process of history.processes.values()) {
    for (const call of process.calls.values()) {
      const { entry, settled } = call;
      const ms = usual.get(entry.call);
      if (
        ms === undefined ||
        entry.t < begin.t ||
        entry.t > until ||
        entry.keys.length === 0 ||
        entry.keys.includes(key)
      )
        continue;
      report.checked("P6", "calls while the row of another key was kept open");
      const tookMs = ((settled?.t ?? history.end) - entry.t) / 1_000;
      const stoodMs = process.stoodStill(entry.t, settled?.t ?? history.end) / 1_000;
      if (tookMs - stoodMs <= LONG_MS + 20 * ms || (settled === undefined && process.isKilled)) continue;
      report.object(
        "P6",
        `the ${nameOf(call)} took ${Math.round(tookMs)} ms, while a stranger kept the row of ${JSON.stringify(key)}`,
        [begin, entry, settled, span.end],
      );
    }
  }
}
