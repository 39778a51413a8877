import type { Facts } from "./facts.js";
import type { Finding } from "./finding.js";
import { settingsFindings } from "./settings.js";
import { setupFindings } from "./setup.js";
import { stateFindings } from "./state.js";
import { trustFindings } from "./trust.js";

/** What the facts mean, in the order in which to read them. */
export function findingsIn(facts: Facts): readonly Finding[] {
  return [...setupFindings(facts), ...trustFindings(facts), ...settingsFindings(facts), ...stateFindings(facts)].filter(
    (finding) => finding !== null,
  );
}

export function hasProblem(findings: readonly Finding[]): boolean {
  return findings.some(({ level }) => level === "problem");
}
