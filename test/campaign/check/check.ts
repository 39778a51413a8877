// The checker of the campaign: reads what a round has left behind and says which promises it broke. It shares no code with the
// library or with what tests it. What it cannot be sure of it leaves out, and counts.
import { readFileSync } from "node:fs";
import type { Entry } from "../log.js";
import { checkBelief } from "./belief.js";
import { checkExclusion } from "./exclusion.js";
import { checkFences } from "./fences.js";
import { History } from "./history.js";
import { checkIndependence } from "./independence.js";
import { checkLeaks } from "./leaks.js";
import { checkLine } from "./line.js";
import { checkLoss } from "./loss.js";
import { checkOrphans } from "./orphans.js";
import { checkRecovery } from "./recovery.js";
import { checkRevival } from "./revival.js";
import { checkSettling } from "./settling.js";
import { checkStale } from "./stale.js";
import { Report, type Verdict } from "./verdict.js";
import { checkWrites } from "./writes.js";

export type { PromiseName, Verdict, Violation } from "./verdict.js";

const checks: readonly ((history: History, report: Report) => void)[] = [
  checkExclusion,
  checkBelief,
  checkFences,
  checkWrites,
  checkStale,
  checkRevival,
  checkIndependence,
  checkLine,
  checkRecovery,
  checkLoss,
  checkOrphans,
  checkSettling,
  checkLeaks,
];

/** Checks one round: its entries, those of each process in the order in which they were written, or the names of its log files. */
export function check(log: Iterable<Entry> | readonly string[]): Verdict {
  const report = new Report();
  const history = new History(entriesOf(log, report), report);
  for (const run of checks) run(history, report);
  return report.verdict();
}

function* entriesOf(log: Iterable<Entry | string>, report: Report): Iterable<Entry> {
  for (const item of log) {
    if (typeof item === "string") yield* read(item, report);
    else yield item;
  }
}

function* read(file: string, report: Report): Iterable<Entry> {
  const lines = readFileSync(file, "utf8").split("\n");
  const last = lines.pop(); // empty, unless its writer was killed in the middle of a line
  if (last !== "") report.unsure("log", "last lines that were cut off");
  for (const [at, line] of lines.entries()) {
    let entry: Entry;
    try {
      entry = JSON.parse(line);
    } catch {
      report.object("log", `line ${at + 1} of ${file} is not JSON: ${line.slice(0, 80)}`, []);
      continue;
    }
    yield entry;
  }
}
