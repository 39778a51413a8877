// Faults in the checker of the campaign: histories that it no longer objects to. Each is one that a doctored history shows.
import type { Mutant } from "./mutant.js";

const folder = "test/campaign/check";
const by = (name: string): readonly string[] => [`${folder}/${name}.test.ts`];

export const checker: readonly Mutant[] = [
  {
    name: "checker: a grant beside another one is let pass (P1)",
    file: `${folder}/exclusion.ts`,
    edits: [
      [
        'return row.expiresAt !== null && row.expiresAt > moment ? "held" : "free";',
        'return row.expiresAt !== null && row.expiresAt > moment + 3e6 ? "held" : "free";',
      ],
    ],
    tests: by("exclusion"),
  },
  {
    name: "checker: weights are not added up (P1)",
    file: `${folder}/exclusion.ts`,
    edits: [["if (sum <= least) return;", "if (all.length <= least) return;"]],
    tests: by("exclusion"),
  },
  {
    name: "checker: any silent session counts as dead (P1)",
    file: `${folder}/sessions.ts`,
    edits: [["if (last.seenAt + lease.takeoverMs * 1_000 > moment)", "if (last.seenAt > moment)"]],
    tests: by("exclusion"),
  },
  {
    name: "checker: a session that came back is not seen (P1)",
    file: `${folder}/sessions.ts`,
    edits: [['op === "U" && pid === last.pid', 'op === "I" && pid === last.pid']],
    tests: by("exclusion"),
  },
  {
    name: "checker: belief is compared with what was committed later, too (P1)",
    file: `${folder}/belief.ts`,
    edits: [["step !== undefined && step.t <= belief.t;", "step !== undefined;"]],
    tests: by("exclusion"),
  },
  {
    name: "checker: belief after a release in the database is let pass (P1)",
    file: `${folder}/belief.ts`,
    edits: [["const end = hold && endOf(history, hold, token);", "const end = hold && endOf(history, hold, null);"]],
    tests: by("exclusion"),
  },
  {
    name: "checker: what assertHeld says is not asked (P1)",
    file: `${folder}/belief.ts`,
    edits: [["filter((belief) => belief.held || belief.asserts)", "filter((belief) => belief.held)"]],
    tests: by("exclusion"),
  },
  {
    name: "checker: fences are compared in the order of rows alone (P2)",
    file: `${folder}/fences.ts`,
    edits: [["    checkRealTime(history, key, report);\n", ""]],
    tests: by("fences"),
  },
  {
    name: "checker: equal fences are let pass (P2)",
    file: `${folder}/fences.ts`,
    edits: [["if (handle.fence > largest.fence) report", "if (handle.fence >= largest.fence) report"]],
    tests: by("fences"),
  },
  {
    name: "checker: a guarded write is compared with grants of leases alone (P3)",
    file: `${folder}/writes.ts`,
    edits: [['(isShare && hold.kind === "share")', 'hold.kind === "share" || isShare']],
    tests: by("writes"),
  },
  {
    name: "checker: a lost update is let pass when no clock tells the order (P3)",
    file: `${folder}/writes.ts`,
    edits: [["if (number >= 0) continue;", "if (number >= -1) continue;"]],
    tests: by("writes"),
  },
  {
    name: "checker: a stale release explains the end of another's grant (P4)",
    file: `${folder}/stale.ts`,
    edits: [["entry.isStale !== true && (entry.call", "(entry.call"]],
    tests: by("stale"),
  },
  {
    name: "checker: any release by force is taken for asked for (P4)",
    file: `${folder}/stale.ts`,
    edits: [
      ["if (forces.some((call) => mayBeUnderWay(call, t))) return true;", "if (forces.length >= 0) return true;"],
    ],
    tests: by("stale"),
  },
  {
    name: "checker: whose share vanished is not asked whether it lives (P4)",
    file: `${folder}/stale.ts`,
    edits: [['lifeOf(history, last, end.at, end.node).is !== "alive"', "lifeOf !== undefined"]],
    tests: by("stale"),
  },
  {
    name: "checker: nothing stale is looked at in a round in which a clock is set (P4)",
    file: `${folder}/stale.ts`,
    edits: [["history.times.firstStepAt <= settled.t", "history.times.firstStepAt < 1e18"]],
    tests: by("stale"),
  },
  {
    name: "checker: only the first time that a clock is set back is reckoned with",
    file: `${folder}/times.ts`,
    edits: [["Math.min(first?.wall ?? shown, shown)", "first?.wall ?? shown"]],
    tests: by("times"),
  },
  {
    name: "checker: any call explains a second locker's connections (P11)",
    file: `${folder}/leaks.ts`,
    edits: [['call === "close" || mustFail !== undefined;', "call !== undefined || mustFail !== undefined;"]],
    tests: by("leaks"),
  },
  {
    name: "checker: a renewal of what had expired is let pass (P5)",
    file: `${folder}/revival.ts`,
    edits: [["if (late >= 0) {", "if (late >= 1e9) {"]],
    tests: by("revival"),
  },
  {
    name: "checker: heartbeats after a loss are let pass (P5)",
    file: `${folder}/revival.ts`,
    edits: [["  checkHeartbeats(history, key, handle, end, report);\n", ""]],
    tests: by("revival"),
  },
  {
    name: "checker: a refusal is not asked for its reason (P6)",
    file: `${folder}/independence.ts`,
    edits: [["if (isOccupied(history, key, from, to)) {", "if (key.rows.length > 0) {"]],
    tests: by("independence"),
  },
  {
    name: "checker: the queue is read without its tickets (P7)",
    file: `${folder}/line.ts`,
    edits: [["(own !== undefined && stay.ticket >= own.ticket)", "own !== undefined"]],
    tests: by("line"),
  },
  {
    name: "checker: an entry that had lapsed keeps others away (P7)",
    file: `${folder}/line.ts`,
    edits: [["if (entry.aliveUntil > moment) return true;", "if (entry.aliveUntil > 0) return true;"]],
    tests: by("line"),
  },
  {
    name: "checker: a waiter at a free key is not missed (P7)",
    file: `${folder}/recovery.ts`,
    edits: [["      checkFree(history, key, hold, next, stays, report);\n", ""]],
    tests: by("line"),
  },
  {
    name: "checker: a killed holder's key may be kept until its TTL (P8)",
    file: `${folder}/recovery.ts`,
    edits: [["      checkDead(history, key, hold, next, stays, report);\n", ""]],
    tests: by("line"),
  },
  {
    name: "checker: a loss may be told late (P9)",
    file: `${folder}/loss.ts`,
    edits: [["if (lost !== undefined && lost.t <= deadline) {", "if (lost !== undefined) {"]],
    tests: by("loss"),
  },
  {
    name: "checker: an orphan may stand until it expires (P10)",
    file: `${folder}/orphans.ts`,
    edits: [["const ENOUGH = 1_500_000;", "const ENOUGH = 1_500_000_000;"]],
    tests: by("orphans"),
  },
  {
    name: "checker: connections are not counted (P11)",
    file: `${folder}/leaks.ts`,
    edits: [["const MOST_CONNECTIONS = 3;", "const MOST_CONNECTIONS = 4;"]],
    tests: by("leaks"),
  },
  {
    name: "checker: any error is the right one (P12)",
    file: `${folder}/settling.ts`,
    edits: [
      [
        'if (settled.outcome === "error" && settled.code === entry.mustFail) return;',
        'if (settled.outcome === "error") return;',
      ],
    ],
    tests: by("settling"),
  },
  {
    name: "checker: a call that never settles is let pass (P13)",
    file: `${folder}/settling.ts`,
    edits: [
      ["if (process.bye === undefined && process.exit === undefined && tookMs <= allowedMs) {", "if (tookMs > 0) {"],
    ],
    tests: by("settling"),
  },
  {
    name: "checker: a limit of the scene holds before anything happened",
    file: `${folder}/history.ts`,
    edits: [
      [
        'if (this.limits.has("clock-step") && t >= this.times.firstStepAt) return true;',
        "if (this.limits.size > 0) return true;",
      ],
    ],
    tests: ["test/campaign/check/exclusion.test.ts"],
  },
];
