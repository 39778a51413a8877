// What a fault cost, in figures.
import type { Fault } from "./faults.js";
import type { Verdict } from "./findings.js";
import type { FaultFacts, Grant, History, Mode, Route } from "./history.js";

/** Of the locks that were held when the fault began, and that are held until the end unless they are lost. */
export interface Kept {
  readonly kept: number;
  readonly of: number;
}

export interface FaultReport extends Verdict {
  readonly fault: string;
  readonly mode: Mode;
  readonly seconds: number;
  /** The longest time without a grant, from the fault on. */
  readonly gapMs: Readonly<Record<Route, number>>;
  /** By `ttlMs` in seconds. */
  readonly kept: Readonly<Record<"30" | "60", Kept>>;
  /** How often the holder of such a lock was told what. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly grants: number;
  readonly writes: Readonly<Record<"committed" | "refused" | "unknown", number>>;
  readonly calls: number;
  /** Grants of the leader's key after the fault. */
  readonly leaders: number;
}

export function measure(fault: Fault, facts: FaultFacts, history: History, verdict: Verdict): FaultReport {
  const { grants, attempts, calls } = history;
  const long = grants.filter(({ key }) => key.startsWith("long:"));
  const standing = long.filter((grant) => isBelieved(grant, history, facts.from));
  const isLost = (grant: Grant) =>
    history.losses.some((loss) => loss.grant.fence === grant.fence && same(loss.grant, grant));
  const keptOf = (ttl: string): Kept => {
    const all = standing.filter(({ key }) => key.includes(`:${ttl}s`));
    return { kept: all.filter((grant) => !isLost(grant)).length, of: all.length };
  };
  const told = history.losses.filter(({ grant }) => standing.some((one) => same(one, grant)));
  const outcomes = (outcome: string) => attempts.filter((attempt) => attempt.outcome === outcome).length;
  return {
    fault: fault.name,
    mode: facts.mode,
    seconds: (facts.to - facts.from) / 1_000,
    gapMs: { haproxy: longestGap(grants, "haproxy", facts), hosts: longestGap(grants, "hosts", facts) },
    kept: { "30": keptOf("30"), "60": keptOf("60") },
    reasons: count(told.map(({ reason }) => reason)),
    grants: grants.length,
    writes: { committed: outcomes("committed"), refused: outcomes("refused"), unknown: outcomes("unknown") },
    calls: calls.length,
    leaders: grants.filter(({ key, at }) => key === "leader:jobs" && at > facts.from).length,
    violations: verdict.violations,
    counts: verdict.counts,
    limits: verdict.limits,
  };
}

export function longestGap(grants: readonly Grant[], route: Route, { from, to }: FaultFacts): number {
  const times = grants.filter((grant) => grant.route === route).map(({ at }) => at);
  const before = Math.max(from - 1_000, ...times.filter((at) => at <= from));
  const within = times.filter((at) => at > from && at < to).sort((a, b) => a - b);
  let [last, longest] = [before, 0];
  for (const at of [...within, to]) {
    longest = Math.max(longest, at - last);
    last = at;
  }
  return longest;
}

/** It was held at this moment, or a moment before: looks are 5 ms apart. */
function isBelieved(grant: Grant, { beliefs }: History, at: number): boolean {
  return beliefs.some((belief) => same(belief.grant, grant) && belief.from <= at && belief.to >= at - 200);
}

function same(one: Grant, other: Grant): boolean {
  return one.key === other.key && one.fence === other.fence && one.worker === other.worker;
}

function count(all: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const one of all) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
}
