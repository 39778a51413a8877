import type { Findings } from "./findings.js";
import type { Belief, Grant, History } from "./history.js";
import { epochOf, groupBy, nameOf } from "./judge-parts.js";

/**
 * One holder at a time: no two processes believe at once, but those who share; of a semaphore, no more than its capacity. And
 * nothing comes back to life: nobody believes in a lock after its loss was told.
 */
export function judgeBeliefs({ beliefs, losses }: History, findings: Findings): void {
  for (const of of groupBy(beliefs, ({ grant }) => grant.key).values()) judgeKey(of, findings);
  const lostAt = new Map(losses.map(({ grant, at }) => [nameOf(grant), at]));
  for (const { grant, to } of beliefs) {
    const at = lostAt.get(nameOf(grant));
    if (at !== undefined && to > at)
      findings.violation("exclusion", `${nameOf(grant)} was held ${ms(to - at)} after its loss`);
  }
}

function judgeKey(beliefs: readonly Belief[], findings: Findings): void {
  const pairs = new Set<string>();
  let current: Belief[] = [];
  for (const belief of [...beliefs].sort((a, b) => a.from - b.from)) {
    current = current.filter(({ to }) => to >= belief.from);
    for (const other of current) {
      if (other.grant.fence === belief.grant.fence && other.grant.worker === belief.grant.worker) continue;
      if (mayShare(other.grant, belief.grant)) continue;
      const names = [nameOf(other.grant), nameOf(belief.grant)].sort().join(" and ");
      if (pairs.has(names)) continue;
      pairs.add(names);
      const overlap = ms(Math.min(other.to, belief.to) - belief.from);
      const what = `${names} were both held, for ${overlap}`;
      findings.limited("believers", "exclusion", what, epochOf(other.grant) !== epochOf(belief.grant));
    }
    current.push(belief);
    judgeCapacity(current, findings);
  }
}

/** The parts of a semaphore, each of weight 1. */
function judgeCapacity(current: readonly Belief[], findings: Findings): void {
  const parts = current.filter(({ grant }) => grant.mode === "semaphore");
  const capacity = Math.min(...parts.map(({ grant }) => grant.capacity ?? Number.POSITIVE_INFINITY));
  if (parts.length <= capacity) return;
  const [first] = parts;
  const epochs = new Set(parts.map(({ grant }) => epochOf(grant)));
  findings.limited(
    "believers",
    "exclusion",
    `${first?.grant.key}: ${parts.length} parts of ${capacity} were held at once`,
    epochs.size > 1,
  );
}

function mayShare(one: Grant, other: Grant): boolean {
  return one.mode !== "exclusive" && other.mode !== "exclusive";
}

function ms(duration: number): string {
  return `${Math.round(duration)} ms`;
}
