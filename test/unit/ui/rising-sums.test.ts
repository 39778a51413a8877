// Sums of a histogram, from a mean that was rounded.
import { expect, test } from "vitest";
import { RisingSums } from "../../../src/ui/metrics/rising-sums.js";

test("a sum never falls while the count rises; with fewer it begins anew; each name has its own", () => {
  const sums = new RisingSums();
  expect(sums.of("waits", 0.001_001, 1_000_000)).toBeCloseTo(1_001);
  expect(sums.of("waits", 0.001, 1_000_100)).toBeCloseTo(1_001); // it was rounded down
  expect(sums.of("waits", 0.001_002, 1_000_200)).toBeCloseTo(1_002.2);
  expect(sums.of("holds", 1, 1)).toBe(1);
  expect(sums.of("waits", 0.5, 10)).toBe(5);
  expect(sums.of("waits", 0, 0)).toBe(0);
});
