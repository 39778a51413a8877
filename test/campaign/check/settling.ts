// P13: every call settles, in the time that its options promise and a little. P12: what must be refused is, with its own error.
import type { History } from "./history.js";
import { type Call, nameOf } from "./processes.js";
import type { Report } from "./verdict.js";

/** "And a little", on a busy machine, beside a tenth of the bound. */
const A_LITTLE_MS = 5_000;

export function checkSettling(history: History, report: Report): void {
  for (const process of history.processes.values()) {
    for (const call of process.calls.values()) {
      checkCall(history, call, report);
      checkRefusal(call, report);
    }
  }
}

function checkCall(history: History, call: Call, report: Report): void {
  const { process, entry, settled } = call;
  const { times } = history;
  if (settled === undefined && process.isKilled) {
    report.unsure("P13", "calls of processes that were killed");
    return;
  }
  const until = settled?.t ?? Math.max(process.end, history.quiet ? history.end : process.end);
  const tookMs = (until - entry.t) / 1_000;
  const stoodMs = process.stoodStill(entry.t, until) / 1_000 + stalledMs(history, process.name, entry.t, until);
  const allowedMs = entry.boundMs * 1.1 + A_LITTLE_MS + stoodMs * 1.1;
  if (settled === undefined) {
    if (process.bye === undefined && process.exit === undefined && tookMs <= allowedMs) {
      report.unsure("P13", "calls that were still within their time when the log ended");
      return;
    }
    report.checked("P13", "calls");
    report.object("P13", `the ${nameOf(call)} never settled: it began at ${times.say(entry.t)}`, [
      entry,
      process.bye,
      process.exit,
    ]);
    return;
  }
  report.checked("P13", "calls");
  if (tookMs <= allowedMs) return;
  const stood = stoodMs > 0 ? `, of which the process stood still for ${Math.round(stoodMs)} ms` : "";
  report.object(
    "P13",
    `the ${nameOf(call)} took ${Math.round(tookMs)} ms${stood}; its options promise ${Math.round(entry.boundMs)} ms`,
    [entry, settled],
  );
}

/** A process of which no lag is told, for its client has no event loop: how long faults made it stand still. */
function stalledMs(history: History, process: string, from: number, to: number): number {
  if (history.processes.get(process)?.hello?.client === "node") return 0;
  let sum = 0;
  for (const { begin, until } of history.faultsBetween(from, to)) {
    if (!stalls.has(begin.fault) || !begin.on.includes(process)) continue;
    sum += Math.min(until, to) - Math.max(begin.t, from);
  }
  return sum / 1_000;
}

const stalls: ReadonlySet<string> = new Set(["freeze", "block"]);

function checkRefusal(call: Call, report: Report): void {
  const { entry, settled } = call;
  if (entry.mustFail === undefined || settled === undefined) return;
  if (settled.outcome === "error" && (settled.code === "unavailable" || settled.code === "closed")) {
    report.unsure("P12", "set-ups that could not be looked at");
    return;
  }
  report.checked("P12", "set-ups that must be refused");
  if (settled.outcome === "error" && settled.code === entry.mustFail) return;
  const what =
    settled.outcome === "error" ? `failed with ${settled.code}: ${settled.message}` : `ended as ${settled.outcome}`;
  report.object("P12", `the ${nameOf(call)} must fail with ${entry.mustFail}, and ${what}`, [entry, settled]);
}
