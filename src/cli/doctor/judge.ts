import type { Facts } from "./facts.js";
import type { Finding } from "./finding.js";
import { judgeSettings } from "./settings.js";
import { judgeSetup } from "./setup.js";
import { judgeState } from "./state.js";
import { judgeTrust } from "./trust.js";

/** What to make of the facts, in the order in which to read it. */
export function judge(facts: Facts): readonly Finding[] {
  return [...judgeSetup(facts), ...judgeTrust(facts), ...judgeSettings(facts), ...judgeState(facts)].filter(
    (finding) => finding !== null,
  );
}

export function hasProblem(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === "problem");
}
