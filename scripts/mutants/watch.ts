// Faults in what a locker tells of itself: debug, channels, OpenTelemetry.
import type { Mutant } from "./mutant.js";

const debug = ["test/inspect/debug.test.ts"];
const secrets = ["test/inspect/secrets.test.ts"];
const hooks = ["test/inspect/hooks.test.ts"];
const otel = ["test/inspect/otel.test.ts"];

export const watch: readonly Mutant[] = [
  {
    name: "debug: what others wrote is shown with the tokens in it",
    file: "src/observe/recent-errors.ts",
    edits: [['"[uuid]"', '"$&"']],
    tests: secrets,
  },
  {
    name: "debug: what others wrote is shown with the password in it",
    file: "src/observe/recent-errors.ts",
    edits: [['replaceAll(password, "[hidden]")', 'replaceAll(password, "$&")']],
    tests: secrets,
  },
  {
    name: "debug: start-up parameters are shown",
    file: "src/locker/describe-options.ts",
    edits: [['describeValue(value) : "[hidden]"', "describeValue(value) : JSON.stringify(value)"]],
    tests: debug,
  },
  {
    name: "debug: it waits for a silent server without end",
    file: "src/locker/debug.ts",
    edits: [["await withTimeoutOf(backend.clock, asking, options.requestTimeoutMs)", "await asking"]],
    tests: debug,
  },
  {
    name: "debug: a pooler's server process is shown",
    file: "src/postgres/connection/lane.ts",
    edits: [["open !== null && seemsDirect(open.hello)", "open !== null"]],
    tests: debug,
  },
  {
    name: "debug: a role that lacks a right is told nothing",
    file: "src/postgres/schema/server-state.ts",
    edits: [["if (sqlState(error) === null) {", "if (error !== null) {"]],
    tests: debug,
  },
  {
    name: "debug: prepared transactions are passed over",
    file: "src/postgres/schema/server-state.ts",
    edits: [["from pg_catalog.pg_prepared_xacts p where", "from pg_catalog.pg_prepared_xacts p where false and"]],
    tests: debug,
  },
  {
    name: "debug: an error that comes again fills the list",
    file: "src/observe/recent-errors.ts",
    edits: [["return a.name === b.name && a.code", "return a === b && a.code"]],
    tests: debug,
  },
  {
    name: "lost: a lock that somebody else holds counts as untouched",
    file: "src/claim/claim.ts",
    edits: [['outcome !== "gone" ? "ours" : reason', 'outcome === "gone" || outcome !== "gone" ? "ours" : reason']],
    tests: ["test/inspect/recently-lost.test.ts"],
  },
  {
    name: "lost: it is remembered for ever",
    file: "src/observe/recently-lost.ts",
    edits: [["at.monotonicMs < GRACE_MS", "at.monotonicMs < Number.POSITIVE_INFINITY"]],
    tests: ["test/inspect/recently-lost.test.ts"],
  },
  {
    name: "release: one that comes too late does not say that the lock was forced away",
    file: "src/sql/leases/_free_leases.sql",
    edits: [
      [
        "when l.expires_at > x.at then null\n        when l.revoked_at is not null then 'forced'",
        "when l.expires_at > x.at then null",
      ],
    ],
    tests: ["test/inspect/recently-lost.test.ts"],
  },
  {
    name: "hooks: messages are made for nobody",
    file: "src/observe/hooks/publisher.ts",
    edits: [["if (channels.release.hasSubscribers) {", "if (channels.release !== null) {"]],
    tests: hooks,
  },
  {
    name: "hooks: the lock itself is the result of a trace",
    file: "src/observe/hooks/trace.ts",
    edits: [["return toResult(value);", "return value;"]],
    tests: hooks,
  },
  {
    name: "hooks: what runs the operation can run it twice",
    file: "src/observe/hooks/trace.ts",
    edits: [["running ??= work();", "running = work();"]],
    tests: hooks,
  },
  {
    name: "hooks: what should run the operation and throws keeps it from running",
    file: "src/observe/hooks/trace.ts",
    edits: [["process.nextTick(() => {\n      throw error;\n    });", "throw error;"]],
    tests: hooks,
  },
  {
    name: "otel: milliseconds for seconds",
    file: "src/otel/metrics.ts",
    edits: [["duration.record(waitedMs / 1_000,", "duration.record(waitedMs,"]],
    tests: otel,
  },
  {
    name: "otel: keys are named though nobody allowed it",
    file: "src/otel/key-names.ts",
    edits: [["return () => null;", "return (key) => key;"]],
    tests: otel,
  },
  {
    name: "otel: messages that name the key are recorded",
    file: "src/otel/spans.ts",
    edits: [
      ["if (error instanceof LeaseholdError) {", 'if (error instanceof LeaseholdError && error.code === "closed") {'],
    ],
    tests: otel,
  },
  {
    name: "otel: the body is not within the span",
    file: "src/otel/spans.ts",
    edits: [["runInside(operation, span);", ""]],
    tests: otel,
  },
  {
    name: "otel: the end of a lock that was not counted is counted",
    file: "src/otel/active-counts.ts",
    edits: [
      [
        "if (count !== undefined) {\n      count.count -= 1;",
        "if (count === undefined) {\n      for (const one of this.#counts.values()) one.count -= 1;\n    } else {\n      count.count -= 1;",
      ],
    ],
    tests: otel,
  },
];
