import { expect, test } from "vitest";
import { checkBounds } from "../../../bench/bounds.js";
import type { Row } from "../../../bench/results.js";
import { uncontendedCase } from "../../../bench/workloads/uncontended.js";

const row = (inFlight: number, contender: string, ...samples: number[]): Row => ({
  workload: "uncontended",
  case: uncontendedCase(inFlight, 1),
  contender,
  unit: "cycles/s",
  isMoreBetter: true,
  samples,
});
const boundOf = (rows: readonly Row[], what: string) => checkBounds(rows).find((bound) => bound.what.startsWith(what));

test("a bound from above is a time: the inverse of the rates", () => {
  const rows = [row(1, "leasehold", 1_000, 500), row(1, "two commits", 1_600, 800)];
  expect(boundOf(rows, "1 in flight")).toMatchObject({ measured: "1.60 x", isMet: true, isGoalMet: false });
});

test("a bound from below is met by as much, and missed by less", () => {
  const rate = (ours: number) => boundOf([row(128, "leasehold", ours), row(128, "redlock", 100)], "128 in flight");
  expect(rate(150)).toMatchObject({ isMet: true, isGoalMet: true });
  expect(rate(120)).toMatchObject({ isMet: true, isGoalMet: false });
  expect(rate(119)).toMatchObject({ isMet: false, isGoalMet: false });
});

test("what was not measured is neither met nor missed", () => {
  const rows = [row(128, "leasehold", 100)];
  expect(boundOf(rows, "128 in flight")).toMatchObject({ measured: null, isMet: null, isGoalMet: null, against: null });
});

test("another build is measured by the same bounds", () => {
  const rows = [row(128, "leasehold", 150), row(128, "against", 50), row(128, "redlock", 100)];
  expect(boundOf(rows, "128 in flight")).toMatchObject({ measured: "1.50 x", against: "0.500 x" });
});

test("of several figures the worst counts", () => {
  const rows = ["10^3", "10^6"].flatMap((size) =>
    [
      { case: "1 in flight", rate: 100 },
      { case: "128 in flight", rate: size === "10^6" ? 80 : 100 },
    ].map(({ case: of, rate }) => ({ ...row(1, `leasehold, ${size} rows`, rate), workload: "many-rows", case: of })),
  );
  expect(boundOf(rows, "10^6 rows")).toMatchObject({ measured: "1.25 x", isMet: false });
});

test("an import is compared with the other build's, which has nothing to be compared with", () => {
  const rows = ["leasehold", "against"].map((contender, index) => ({
    ...row(1, contender, 100 + index * 100),
    workload: "first-lock",
    case: "import",
  }));
  expect(boundOf(rows, "import")).toMatchObject({ measured: "0.500 x", isGoalMet: true, against: null });
});
