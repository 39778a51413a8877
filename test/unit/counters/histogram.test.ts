import { expect, test } from "vitest";
import { Histogram } from "../../../src/observe/counters/histogram.js";
import { seeded } from "../../support/random.js";

/** By definition, without any arithmetic on bits: the first bucket whose bound is not below. */
function expected(values: readonly number[], boundsMs: readonly number[]): number[] {
  const counts = new Array<number>(boundsMs.length + 1).fill(0);
  for (const value of values) {
    const found = boundsMs.findIndex((bound) => value <= bound);
    const bucket = found === -1 ? boundsMs.length : found;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return counts;
}

function record(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

test("its bounds are the powers of two from 1 ms to 2^26 ms, for ever: histograms of different versions add up", () => {
  const { boundsMs, counts } = new Histogram().snapshot();
  expect(boundsMs).toHaveLength(27);
  expect([boundsMs[0], boundsMs[1], boundsMs[10], boundsMs[26]]).toEqual([1, 2, 1_024, 67_108_864]);
  expect(counts).toEqual(new Array(28).fill(0));
});

test("a value on a bound is within it, the next one above is not, and nothing is too large to be counted", () => {
  const { boundsMs } = new Histogram().snapshot();
  const onBounds = boundsMs.flatMap((bound) => [bound, bound + bound * Number.EPSILON, bound - bound * Number.EPSILON]);
  const values = [0, 0.3, ...onBounds, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 40, Number.MAX_VALUE];
  expect(record(values).snapshot().counts).toEqual(expected(values, boundsMs));
});

test("random values, alone and added up, are counted where they belong", () => {
  const random = seeded("histogram");
  const values = Array.from({ length: 20_000 }, () => 2 ** (random() * 40 - 4));
  const [some, others] = [values.slice(0, 7_000), values.slice(7_000)];
  const whole = record(values).snapshot();

  const sum = record(some);
  sum.add(record(others));

  expect(whole.counts).toEqual(expected(values, whole.boundsMs));
  expect(whole.sumMs).toBeCloseTo(
    values.reduce((total, value) => total + value, 0),
    3,
  );
  const { sumMs, meanMs, ...added } = sum.snapshot();
  expect(whole).toMatchObject(added);
  expect(sumMs / whole.sumMs).toBeCloseTo(1, 9);
  expect(meanMs).toBeCloseTo(sumMs / values.length, 3);
});

test("a percentile is at least the exact one, and less than twice as much", () => {
  const random = seeded("percentiles");
  const values = Array.from({ length: 5_001 }, () => 1 + 10_000 * random() ** 3).sort((a, b) => a - b);
  const { p50Ms, p95Ms, p99Ms } = record(values).snapshot();
  for (const [told, share] of [
    [p50Ms, 0.5],
    [p95Ms, 0.95],
    [p99Ms, 0.99],
  ] as const) {
    const exact = values[Math.ceil(values.length * share) - 1] ?? Number.NaN;
    expect(told, `${share}`).toBeGreaterThanOrEqual(exact);
    expect(told, `${share}`).toBeLessThan(exact * 2);
  }
});

test("without values there is no mean and no percentile, and beyond the last bound no percentile", () => {
  expect(new Histogram().snapshot()).toMatchObject({ count: 0, sumMs: 0, meanMs: null, p50Ms: null, p99Ms: null });
  const long = record([1, 2 ** 27, 2 ** 28]).snapshot();
  expect(long).toMatchObject({ count: 3, p50Ms: null, p99Ms: null });
  expect(long.meanMs).toBeCloseTo((1 + 2 ** 27 + 2 ** 28) / 3, 3);
});
