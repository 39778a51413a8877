// Faults in what is counted, and in how it gets into the database.
import type { Mutant } from "./mutant.js";

const stats = ["test/counters/stats.test.ts"];
const flushing = ["test/counters/flushing.test.ts"];
const table = ["test/counters/table.test.ts"];
const definition = ["test/counters/definition.test.ts"];
const tally = ["test/unit/counters/tally.test.ts"];
const hotKeys = ["test/unit/counters/hot-keys.test.ts"];
const histogram = ["test/unit/counters/histogram.test.ts"];

export const counters: readonly Mutant[] = [
  {
    name: "counters: a late flush overwrites a later one",
    file: "src/sql/counters/flush_counters.sql",
    edits: [["where c.sequence < excluded.sequence;", "where c.sequence <> excluded.sequence;"]],
    tests: flushing,
  },
  {
    name: "counters: a row is begun anew although its last flush may be lost",
    file: "src/locker/flushing.ts",
    edits: [
      ["if (this.#isWritten || this.#clock.isPast(", "if (this.#clock.isPast(this.#begunAt) || this.#clock.isPast("],
    ],
    tests: flushing,
  },
  {
    name: "counters: a row is written on for ever",
    file: "src/locker/flushing.ts",
    edits: [["this.#counters.beginRow();\n      this.#id = randomUUID();", "return;"]],
    tests: flushing,
  },
  {
    name: "counters: a reset forgets what is not flushed",
    file: "src/observe/counters/counters.ts",
    edits: [
      [
        "this.#own = new Tally();\n    this.#sinceMs",
        "this.#own = new Tally();\n    this.#unflushed = new Tally();\n    this.#sinceMs",
      ],
    ],
    tests: flushing,
  },
  {
    name: "counters: close() does not flush",
    file: "src/locker/lifecycle.ts",
    edits: [[", flushing.end()]", "]"]],
    tests: flushing,
  },
  {
    name: "counters: an idle locker does not flush",
    file: "src/locker/lifecycle.ts",
    edits: [["background.add(flushing.flush());\n      return;", ""]],
    tests: flushing,
  },
  {
    name: "counters: of old rows the largest is kept, not the sum",
    file: "src/sql/counters/_purge_counters.sql",
    edits: [["sum(g.:counter)", "max(g.:counter)"]],
    tests: table,
  },
  {
    name: "counters: negative ones pass",
    file: "src/sql/counters/flush_counters.sql",
    edits: [["(@ < 0 || @ > $most)", "(@ > $most)"]],
    tests: table,
  },
  {
    name: "counters: the sum of old rows can be overwritten",
    file: "src/sql/counters/flush_counters.sql",
    edits: [["if p_id = '00000000-0000-0000-0000-000000000000'\n     or array_ndims", "if array_ndims"]],
    tests: table,
  },
  {
    name: "counters: a later flush leaves the counts as they were",
    file: "src/sql/counters/flush_counters.sql",
    edits: [[":counter = excluded.:counter,", ":counter = c.:counter,"]],
    tests: definition,
  },
  {
    name: "counters: takeovers are flushed under each other's reason",
    file: "src/store/counter-columns.ts",
    edits: [
      [
        "byColumn(takeoverCounters, counts.takenOver,",
        "byColumn(takeoverCounters, { expired: counts.takenOver.orphaned, orphaned: counts.takenOver.expired },",
      ],
    ],
    tests: definition,
  },
  {
    name: "counters: those of a prefix do not add up",
    file: "src/observe/counters/prefixes.ts",
    edits: [["addTo(this.counts, other.counts);\n", ""]],
    tests: tally,
  },
  {
    name: "counters: contended at each look",
    file: "src/observe/counters/counters.ts",
    edits: [["if (isContended) {", 'if (isContended || outcome === "granted") {']],
    tests: stats,
  },
  {
    name: "counters: every takeover is from an expired lease",
    file: "src/observe/counters/counters.ts",
    edits: [
      [
        "if (takeover !== null) {\n          tally.takenOver[takeover.reason] += 1;",
        "if (takeover !== null) {\n          tally.takenOver.expired += 1;",
      ],
    ],
    tests: stats,
  },
  {
    name: "hot keys: a newcomer begins at one",
    file: "src/observe/counters/hot-keys.ts",
    edits: [["count: least.count + 1, excess: least.count,", "count: 1, excess: 0,"]],
    tests: hotKeys,
  },
  {
    name: "hot keys: added up, what is missing on one side had none",
    file: "src/observe/counters/hot-keys.ts",
    edits: [["const floors = [this.#floor, other.#floor] as const;", "const floors = [0, 0] as const;"]],
    tests: hotKeys,
  },
  {
    name: "histogram: a bound is outside of its bucket",
    file: "src/observe/counters/histogram.ts",
    edits: [["Math.clz32(Math.ceil(ms) - 1)", "Math.clz32(Math.ceil(ms))"]],
    tests: histogram,
  },
  {
    name: "takeover: whose it was is not told",
    file: "src/sql/leases/acquire_one.sql",
    edits: [
      [
        "if lease.token is not null then\n          holder := lease.owner;",
        "if false then\n          holder := lease.owner;",
      ],
    ],
    tests: ["test/inspect/takeover.test.ts"],
  },
];
