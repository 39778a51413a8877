import type { Findings } from "./findings.js";
import type { Call, History, Stall } from "./history.js";
import { groupBy } from "./judge-parts.js";

/** "Every call settles, within requestTimeoutMs and a little": so much is a little. */
export const A_LITTLE_MS = 1_000;

/** A process that stood still itself is given the time for which it did. */
export function judgeCalls({ calls, stalls }: History, findings: Findings): void {
  const stallsOf = groupBy(stalls, ({ worker }) => worker);
  for (const call of calls) {
    const { name, worker, from, to, until, limitMs } = call;
    if (until - from <= limitMs + A_LITTLE_MS) continue;
    const took = until - from - stoodStill(call, stallsOf.get(worker) ?? []);
    if (took <= limitMs + A_LITTLE_MS) continue;
    const what = to === null ? "had not settled" : "settled";
    findings.violation(
      "settling",
      `${name} of ${worker} ${what} after ${Math.round(took)} ms, its limit is ${limitMs}`,
    );
  }
}

function stoodStill({ from, until }: Call, stalls: readonly Stall[]): number {
  return stalls.reduce((sum, stall) => sum + Math.max(0, Math.min(stall.to, until) - Math.max(stall.from, from)), 0);
}
