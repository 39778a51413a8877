import { expect, test } from "vitest";
import { jain, median, quantile, ratio, spread } from "../../../bench/statistics.js";

test("a median is the middle one, or lies halfway between the two in the middle", () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 2, 4, 1])).toBe(3);
  expect(median([])).toBeNaN();
});

test("a median leaves its samples in their order", () => {
  const samples = [3, 1, 2];
  median(samples);
  expect(samples).toEqual([3, 1, 2]);
});

test("quantiles are linear between samples", () => {
  expect(quantile([0, 10, 20, 30, 40], 0.25)).toBe(10);
  expect(quantile([0, 10], 0.95)).toBeCloseTo(9.5);
  expect(quantile([7], 0.99)).toBe(7);
});

test("the spread is half the distance between the quartiles, as a part of the median", () => {
  expect(spread([100, 100, 100])).toBe(0);
  expect(spread([80, 90, 100, 110, 120])).toBeCloseTo(0.1);
  expect(spread([0, 0])).toBe(0);
});

test("a ratio is taken window by window, so that a slow moment that hit both does not show", () => {
  // The machine ran at a tenth of its speed in the second window.
  expect(ratio([200, 20, 200], [100, 10, 100])).toBe(2);
  expect(ratio([200, 20, 210], [100, 10, 100])).toBe(2);
});

test("without pairs, a ratio is that of the medians", () => {
  expect(ratio([10, 20, 30], [5])).toBe(4);
});

test("Jain's index is 1 when all have the same, and 1/n when one has it all", () => {
  expect(jain([5, 5, 5, 5])).toBe(1);
  expect(jain([8, 0, 0, 0])).toBe(0.25);
  expect(jain([1, 3])).toBeCloseTo(0.8);
  expect(jain([0, 0])).toBeNaN();
});
