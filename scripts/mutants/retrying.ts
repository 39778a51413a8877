// `retry`, its ready-made strategies, and minimum holds that are drawn.
import type { Mutant } from "./mutant.js";

const loop = ["test/unit/acquire/retrying.test.ts"];
const strategies = ["test/unit/backoff.test.ts"];
const options = ["test/unit/options/acquire-options.test.ts"];

export const retrying: readonly Mutant[] = [
  {
    name: "retry: stands in the queue all the same",
    file: "src/config/resolve-options.ts",
    edits: [["const queues = waitMs > 0 && retry === null;", "const queues = waitMs > 0;"]],
    tests: [...options, ...loop],
  },
  {
    name: "retry: is bounded by the locker's waitMs",
    file: "src/config/resolve-options.ts",
    edits: [["isOwn ? Number.POSITIVE_INFINITY : defaults.waitMs", "defaults.waitMs"]],
    tests: [...options, ...loop],
  },
  {
    name: "retry: without the delay",
    file: "src/acquire/retrying.ts",
    edits: [["await looks.pause(Math.min(delayMs, leftMs));", "await looks.pause(Math.min(delayMs, leftMs, 1));"]],
    tests: loop,
  },
  {
    name: "retry: a delay may be longer than what is left of waitMs",
    file: "src/acquire/retrying.ts",
    edits: [["await looks.pause(Math.min(delayMs, leftMs));", "await looks.pause(delayMs);"]],
    tests: loop,
  },
  {
    name: "retry: waitMs is never over",
    file: "src/acquire/retrying.ts",
    edits: [["refused !== null && leftMs <= 0", "refused !== null && leftMs < -1e9"]],
    tests: loop,
  },
  {
    name: "retry: the strategy is asked for a call that was ended",
    file: "src/acquire/retrying.ts",
    edits: [["    looks.refuseIfEnded();\n", ""]],
    tests: loop,
  },
  {
    name: "retry: a delay that is none is taken",
    file: "src/acquire/retrying.ts",
    edits: [["Number.isFinite(value) && value >= 0", "value === value"]],
    tests: loop,
  },
  {
    name: "retry: an outage counts as a key that is taken",
    file: "src/acquire/retrying.ts",
    edits: [
      [
        "        throw failure;\n",
        '        return { outcome: "exhausted", holder: null, blockingPid: null, tries };\n',
      ],
    ],
    tests: loop,
  },
  {
    name: "retry: the end of an outage is not told",
    file: "src/acquire/retrying.ts",
    edits: [["        looks.onRecovered();\n", ""]],
    tests: loop,
  },
  {
    name: "retry: a silent first attempt is no try",
    file: "src/acquire/retrying.ts",
    edits: [["first.failure !== null && looks.clock.isPast(first.deadline)", "false as boolean"]],
    tests: loop,
  },
  {
    name: "retry: tries take no turns",
    file: "src/acquire/local-queues.ts",
    edits: [["    return this.#turns.take(ask);\n", "    return ask();\n"]],
    tests: loop,
  },
  {
    name: "retry: who is in the way is not asked",
    file: "src/acquire/retrying.ts",
    edits: [['refused.outcome === "busy" ? await looks.findBlocker() : null', "refused.blockingPid"]],
    tests: loop,
  },
  {
    name: "retry: a try is drawn out by asking a busy key again",
    file: "src/acquire/try-once.ts",
    edits: [[" || leftMs <= pauseMs", ""]],
    tests: loop,
  },
  {
    name: "retry: a pause goes on after the end",
    file: "src/acquire/looks.ts",
    edits: [["        this.#interrupt.abort();\n      }\n", "      }\n"]],
    tests: loop,
  },
  {
    name: "acquire: a grant in the moment of its end is left to its TTL",
    file: "src/claim/claim.ts",
    edits: [["return this.#isGranted || ", "return "]],
    tests: loop,
  },
  {
    name: "backoff: grows beyond all bounds",
    file: "src/config/backoff.ts",
    edits: [["Math.min(firstMs * growth(attempt), maxDelayMs)", "firstMs * growth(attempt)"]],
    tests: strategies,
  },
  {
    name: "backoff: random beyond the longest delay",
    file: "src/config/backoff.ts",
    edits: [["1 - jitter * random()", "1 + jitter * random()"]],
    tests: strategies,
  },
  {
    name: "backoff: one retry too many",
    file: "src/config/backoff.ts",
    edits: [["if (attempt > retries) {", "if (attempt > retries + 1) {"]],
    tests: strategies,
  },
  {
    name: "backoff: a first delay above 30 s is cut",
    file: "src/config/backoff.ts",
    edits: [["Math.max(MAX_DELAY_MS, firstMs)", "MAX_DELAY_MS"]],
    tests: strategies,
  },
  {
    name: "minimum hold: drawn once for all calls without options",
    file: "src/locker/store-locker.ts",
    edits: [['const isDrawn = typeof options.minHoldMs !== "number";', "const isDrawn = false as boolean;"]],
    tests: ["test/loss/min-hold.test.ts"],
  },
  {
    name: "minimum hold: never the longest",
    file: "src/config/min-hold.ts",
    edits: [["(max - min + 1)", "(max - min)"]],
    tests: options,
  },
  {
    name: "first attempts: one sort, whatever was drawn",
    file: "src/config/resolve-options.ts",
    edits: [["sortOf({ ...lease, minHoldMs, share, queues })", "sortOf({ ...lease, share, queues } as never)"]],
    tests: options,
  },
  {
    name: "locks: of every key",
    file: "src/hold/holdings.ts",
    edits: [["key === undefined ? locks : locks.filter((lock) => lock.key === key)", "locks"]],
    tests: ["test/api/lock-outcomes.test.ts"],
  },
  {
    name: "keepAlive: what has stopped one stops a later one",
    file: "src/hold/renewals.ts",
    edits: [["if (renewal.started === number) {", "if (number > 0) {"]],
    tests: ["test/unit/renewals.test.ts"],
  },
];
