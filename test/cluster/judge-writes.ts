import type { Findings } from "./findings.js";
import { type Attempt, accounts, counters, type FinalState, type History, openingBalance } from "./history.js";
import { groupBy } from "./judge-parts.js";

/**
 * A stale holder cannot write, no write is lost, money is neither made nor destroyed, what was answered as committed is there, and what
 * was refused is not.
 */
export function judgeWrites({ attempts, grants }: History, { rows, balances }: FinalState, findings: Findings): void {
  const ofId = groupBy(rows, ({ id }) => id);
  const attemptOf = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  const lost = attempts.filter(({ id }) => !ofId.has(id));
  for (const { id, outcome } of lost) {
    if (outcome === "committed")
      findings.limited("lostWrites", "answers", `${id} was answered as committed, and is not there`);
  }
  for (const [id, written] of ofId) {
    const attempt = attemptOf.get(id);
    if (attempt?.outcome === "refused") findings.violation("answers", `${id} was refused, and is there`);
    if (attempt?.kind === "transfer" && written.length !== 2)
      findings.violation("money", `of ${id} there is only a part`);
  }

  const lostValues = valuesOf(lost);
  for (const [key, unordered] of groupBy(rows, (row) => row.key)) {
    const written = [...unordered].sort((a, b) => a.version - b.version);
    let stood = openingOf(key);
    let fence = 0n;
    for (const row of written) {
      if (row.was !== stood) {
        // what it had read may have gone with the old primary
        const isFromLost = attemptOf.get(row.id)?.kind !== "transfer" && lostValues.has(`${key} ${row.was}`);
        const what = `${row.id} wrote ${key} from ${row.was}, but ${stood} stood there: a write is lost`;
        findings.limited("fromLost", "lost updates", what, isFromLost);
      }
      if (row.fence < fence)
        findings.violation("stale commits", `${row.id} wrote ${key} with fence ${row.fence} after ${fence}`);
      fence = row.fence;
      stood = row.value;
    }
    if (balances[key] !== stood)
      findings.violation("lost updates", `${key} is ${balances[key]}, its writes add up to ${stood}`);
  }

  const laterGrants = groupBy(grants, ({ key }) => key);
  for (const { id, key, fence } of rows) {
    const from = attemptOf.get(id)?.from;
    if (from === undefined) continue;
    const next = laterGrants.get(key)?.find((grant) => grant.fence > fence && grant.at < from);
    if (next !== undefined) {
      findings.violation(
        "stale commits",
        `${id} began to write ${key} with fence ${fence} after ${next.worker} had fence ${next.fence}`,
      );
    }
  }

  const total = accounts.reduce((sum, key) => sum + (balances[key] ?? 0), 0);
  const opening = openingBalance * accounts.length;
  if (total !== opening) findings.violation("money", `there are ${total} of ${opening} in the accounts`);
}

function openingOf(key: string): number {
  return counters.includes(key) ? 0 : openingBalance;
}

function valuesOf(attempts: readonly Attempt[]): ReadonlySet<string> {
  return new Set(attempts.flatMap(({ values }) => Object.entries(values).map(([key, value]) => `${key} ${value}`)));
}
