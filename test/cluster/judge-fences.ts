import type { Findings } from "./findings.js";
import type { Grant } from "./history.js";
import { epochOf, groupBy, nameOf } from "./judge-parts.js";

/**
 * Fences rise in real time: who asked for a key after another grant of it was heard of has a larger fence. Among those who share the
 * key their order means nothing.
 */
export function judgeFences(grants: readonly Grant[], findings: Findings): void {
  for (const of of groupBy(grants, ({ key }) => key).values()) {
    const heard = [...of].sort((a, b) => a.at - b.at);
    const asked = [...of].sort((a, b) => a.asked - b.asked);
    let next = 0;
    let largest: Grant | undefined;
    let largestExclusive: Grant | undefined;
    for (const grant of asked) {
      for (let before = heard[next]; before !== undefined && before.at < grant.asked; before = heard[++next]) {
        if (largest === undefined || before.fence > largest.fence) largest = before;
        if (before.mode === "exclusive" && (largestExclusive === undefined || before.fence > largestExclusive.fence)) {
          largestExclusive = before;
        }
      }
      const bound = grant.mode === "exclusive" ? largest : largestExclusive;
      if (bound === undefined || grant.fence > bound.fence) continue;
      const what = `${nameOf(grant)} was granted after ${nameOf(bound)}`;
      findings.limited("oldGrants", "fences", what, epochOf(grant) < epochOf(bound));
    }
  }
}
