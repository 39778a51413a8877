import { expect, test } from "vitest";
import { SLACK, Times } from "./times.js";

const second = 1_000_000;
const wall = 1_000 * second;
const clocks = Array.from({ length: 60 }, (_, n) => ({ t: n * second, wall: wall + n * second }));

test("times of a server are mapped up to those that its clock has shown twice", () => {
  const step = (t: number, offset: number) => ({ t: t * second, node: "one", offset: offset * second });
  const once = new Times(0, clocks, [step(20, -2)]);
  // set back again and again, it shows older times than after the first step
  const often = new Times(0, clocks, [step(20, -2), step(24, -5), step(25, -8), step(40, 0)]);
  const forward = new Times(0, clocks, [step(20, 60), step(25, 0)]);
  const at = (times: Times, seconds: number) => times.monotonic(wall + seconds * second, "one");

  expect([17, 18, 19].map((n) => at(once, n))).toEqual([17 * second, null, null]);
  expect([16, 17, 18].map((n) => at(often, n))).toEqual([16 * second, null, null]);
  expect([19, 20].map((n) => at(forward, n))).toEqual([19 * second, null]);
  expect(often.firstStepAt).toBe(20 * second);
  expect(often.monotonic(wall + 30 * second, "two")).toBe(30 * second);
  expect(SLACK).toBeLessThan(second);
});
