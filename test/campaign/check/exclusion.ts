// P1, as Postgres sees it: at each grant, nothing that stands in its way was alive. Shares of one key stand beside each other as
// long as the sum of their weights is at most the least of their capacities.
import type { GrantRow } from "./entries.js";
import type { History } from "./history.js";
import { decidedAt, grantOf, type Hold, type KeyHistory } from "./keys.js";
import { lifeOf } from "./sessions.js";
import type { Report } from "./verdict.js";
import { sayHold, sayKey, sayRow } from "./words.js";

export function checkExclusion(history: History, report: Report): void {
  for (const key of history.keys.values()) {
    for (const hold of key.holds) checkGrant(history, key, hold, report);
  }
}

function checkGrant(history: History, { key }: KeyHistory, hold: Hold, report: Report): void {
  const first = grantOf(hold);
  const moment = decidedAt(hold);
  if (history.limits.has("clock-step") && !history.times.isBeforeStep(first.at, first.node)) {
    report.unsure("P1", "grants after a server's clock was set");
    return;
  }
  const weights: GrantRow[] = [];
  for (const old of hold.standing) {
    const isAmongShares = old.kind === "share" && hold.kind === "share";
    const standing = howItStands(old, moment);
    if (standing === "cooling" && isAmongShares)
      weights.push(old); // kept by a minimum hold
    else if (standing === "cooling") {
      report.object(
        "P1",
        `${sayKey(key)} was granted to ${sayHold(history, hold)} in the minimum hold of ${sayRow(old)}, which lasts until ${history.times.sayWall(old.holdUntil, old.node)}`,
        [old, first],
      );
    }
    if (standing !== "held") continue;
    const life = lifeOf(history, old, moment, first.node);
    if (life.is === "unknown") {
      report.unsure("P1", "takeovers from sessions of which the rows do not tell whether they were dead");
    } else if (life.is === "dead") {
      report.checked("P1", "takeovers from dead sessions");
    } else if (isAmongShares) {
      weights.push(old);
    } else {
      report.object(
        "P1",
        `${sayKey(key)} was granted to ${sayHold(history, hold)} while ${sayRow(old)} held it until ${history.times.sayWall(old.expiresAt, old.node)}${life.row ? ", and its session was alive" : ""}`,
        [old, life.row, first],
      );
    }
  }
  report.checked("P1", "grants against what stood on the key");
  if (hold.kind === "share") checkSum(history, key, hold, weights, report);
}

function checkSum(history: History, key: string, hold: Hold, others: readonly GrantRow[], report: Report): void {
  const first = grantOf(hold);
  const all = [...others, first];
  const sum = all.reduce((total, { weight }) => total + (weight ?? 1), 0);
  const least = Math.min(...all.map(({ capacity }) => capacity ?? Number.POSITIVE_INFINITY));
  if (Number.isFinite(least)) report.checked("P1", "sums of weights against a capacity");
  if (sum <= least) return;
  report.object(
    "P1",
    `${sayKey(key)} was shared by ${all.length} holders with a weight of ${sum} together, and a capacity of ${least}, when it was granted to ${sayHold(history, hold)}`,
    all,
  );
}

function howItStands(row: GrantRow, moment: number): "held" | "cooling" | "free" {
  if (row.kind === "share" ? row.releasedAt !== null : row.token === null) {
    return row.holdUntil !== null && row.holdUntil > moment ? "cooling" : "free";
  }
  return row.expiresAt !== null && row.expiresAt > moment ? "held" : "free";
}
