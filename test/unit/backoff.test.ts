import { describe, expect, test } from "vitest";
import { backoff, backoffBy } from "../../src/config/backoff.js";
import { InvalidOptionError } from "../../src/errors/errors.js";

/** A generator of its own, so that a failure can be repeated: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const attempts = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const plain = { jitter: 0 };

test("fixed: the same delay each time", () => {
  expect(attempts(4).map(backoff.fixed(250, plain))).toEqual([250, 250, 250, 250]);
});

test("linear: one step more each time, up to the longest delay", () => {
  expect(attempts(5).map(backoff.linear(100, { ...plain, maxDelayMs: 350 }))).toEqual([100, 200, 300, 350, 350]);
});

test("exponential: twice as long each time, up to the longest delay", () => {
  expect(attempts(5).map(backoff.exponential(100, { ...plain, maxDelayMs: 1_000 }))).toEqual([
    100, 200, 400, 800, 1_000,
  ]);
});

test("the longest delay is 30 s, or the first one where that is longer", () => {
  expect(backoff.exponential(1_000, plain)(9)).toBe(30_000);
  expect(backoff.linear(1_000, plain)(31)).toBe(30_000);
  expect(backoff.fixed(60_000, plain)(1)).toBe(60_000);
  expect(backoff.exponential(60_000, plain)(7)).toBe(60_000);
  expect(backoff.fixed(60_000, { ...plain, maxDelayMs: 1_000 })(1)).toBe(1_000);
});

test("retries: so often a delay, then null; without it there is no end", () => {
  expect(attempts(4).map(backoff.fixed(10, { ...plain, retries: 2 }))).toEqual([10, 10, null, null]);
  expect(backoff.fixed(10, { retries: 0 })(1)).toBeNull();
  expect(backoff.fixed(10, { ...plain, retries: Number.POSITIVE_INFINITY })(1e9)).toBe(10);
  expect(backoff.fixed(10, plain)(1e9)).toBe(10);
});

test.each(["fixed", "linear", "exponential"] as const)(
  "%s: no number of attempts makes a delay that is none, nor one above the longest",
  (kind) => {
    for (const attempt of [1, 31, 32, 1_000, 1_023, 1_024, 1_025, 1_026, 10_000, 2 ** 53]) {
      for (const [firstMs, maxDelayMs] of [
        [1, 1],
        [100, 30_000],
        [2_147_483_647, 2_147_483_647],
      ] as const) {
        const delayMs = backoff[kind](firstMs, { maxDelayMs })(attempt) ?? Number.NaN;
        expect(Number.isInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThan(0);
        expect(delayMs).toBeLessThanOrEqual(maxDelayMs);
      }
    }
  },
);

describe("jitter", () => {
  test.each([
    [0.2, 800],
    [0.5, 500],
    [1, 1],
  ])("of %d: every delay from its end on is as likely as the other", (jitter, least) => {
    const retry = backoffBy(seeded(7)).fixed(1_000, { jitter });
    const delays = attempts(20_000).map((attempt) => retry(attempt) as number);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(least);
    expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
    expect(Math.min(...delays)).toBeLessThan(least + 5);
    expect(Math.max(...delays)).toBeGreaterThan(995);
    const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
    expect(Math.abs(mean - (least + 1_000) / 2)).toBeLessThan(10);
  });

  test("is a fifth by default", () => {
    const random = (value: number) => backoffBy(() => value).exponential(1_000)(3);
    expect([random(0), random(0.5), random(0.999)]).toEqual([4_000, 3_600, 3_201]);
  });

  test("is drawn for each delay, and not by the library's own state: two strategies differ", () => {
    const [one, two] = [backoff.fixed(1_000_000), backoff.fixed(1_000_000)];
    expect(new Set([...attempts(20).map(one), ...attempts(20).map(two)]).size).toBeGreaterThan(30);
  });

  test("never takes a delay below what was promised, although delays are whole", () => {
    const { fixed } = backoffBy(() => 1 - 2 ** -53);
    for (const delayMs of [1, 2, 3, 4, 7, 11]) {
      expect(fixed(delayMs)(1)).toBeGreaterThanOrEqual(delayMs * 0.8);
      expect(fixed(delayMs)(1)).toBeLessThanOrEqual(delayMs);
    }
  });
});

describe("what cannot be used is refused by name", () => {
  const wrong = [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "100", 100n, null, undefined];
  test.each([
    ["fixed", "delayMs"],
    ["linear", "stepMs"],
    ["exponential", "firstMs"],
  ] as const)("%s: %s", (kind, option) => {
    for (const value of wrong) {
      expect(() => backoff[kind](value as number)).toThrow(expect.objectContaining({ code: "invalid-option", option }));
    }
    expect(() => backoff[kind](-5)).toThrow(
      `${option}: expected an integer of 1 to 2147483647 (milliseconds), got -5 (number)`,
    );
  });

  test.each<[string, unknown]>([
    ["retries", -1],
    ["retries", 1.5],
    ["retries", Number.NaN],
    ["retries", "3"],
    ["retries", null],
    ["maxDelayMs", 0],
    ["maxDelayMs", Number.POSITIVE_INFINITY],
    ["maxDelayMs", null],
    ["jitter", -0.1],
    ["jitter", 1.1],
    ["jitter", Number.NaN],
    ["jitter", "full"],
    ["jitter", true],
    ["retry", 3],
  ])("option %s: %s", (option, value) => {
    const run = (): unknown => backoff.exponential(100, { [option]: value });
    expect(run).toThrow(InvalidOptionError);
    expect(run).toThrow(expect.objectContaining({ option }));
  });

  test.each([null, 3, []])("options that are no object: %s", (options) => {
    expect(() => backoff.fixed(100, options as never)).toThrow("expected an object");
  });
});

test("the three are functions by themselves", () => {
  const { fixed, linear, exponential } = backoff;
  expect([fixed, linear, exponential].map((make) => make(10, plain)(1))).toEqual([10, 10, 10]);
});
