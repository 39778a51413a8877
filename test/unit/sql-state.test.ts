import { expect, test } from "vitest";
import { findSqlState } from "../../src/guard/sql-state.js";

const states = ["LH001", "25P01"] as const;
const withCode = (code: unknown) => Object.assign(new Error("refused"), { code });

test.each<[string, unknown, string | null]>([
  ["the driver's own error", withCode("LH001"), "LH001"],
  ["Drizzle's, around it", new Error("Failed query", { cause: withCode("LH001") }), "LH001"],
  ["one around that", new Error("a", { cause: new Error("b", { cause: withCode("25P01") }) }), "25P01"],
  ["Prisma's, with its engine", Object.assign(withCode("P2010"), { meta: { code: "LH001" } }), "LH001"],
  [
    "Prisma's, with a driver adapter",
    Object.assign(withCode("P2010"), {
      meta: { driverAdapterError: new Error("x", { cause: { kind: "postgres", originalCode: "LH001" } as never }) },
    }),
    "LH001",
  ],
  ["another state", withCode("40001"), null],
  ["the state in the text alone", new Error("LH001: the lease is not held any more"), null],
  ["no error at all", "LH001", null],
  ["nothing", undefined, null],
])("%s", (_, error, expected) => {
  expect(findSqlState(error, states)).toBe(expected);
});

test("an error that is its own cause has none", () => {
  const error = new Error("round");
  error.cause = error;
  expect(findSqlState(error, states)).toBeNull();
});
