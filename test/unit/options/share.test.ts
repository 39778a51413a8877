// How a key is shared: what is taken, what is refused, and how the refusal says it.
import { describe, expect, test } from "vitest";
import { resolveAcquireOptions, resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { checkShare, modeOf, shareOption } from "../../../src/config/share.js";
import { createLocker, InvalidOptionError } from "../../../src/index.js";
import { refusal } from "../refusal.js";

const LARGEST = 2_147_483_647;

test.each([
  [{}, null, "exclusive"],
  [{ shared: false }, null, "exclusive"],
  [{ shared: true }, { weight: 1, capacity: null }, "shared"],
  [{ capacity: 1 }, { weight: 1, capacity: 1 }, "semaphore"],
  [{ shared: false, capacity: 5, weight: 5 }, { weight: 5, capacity: 5 }, "semaphore"],
  [{ capacity: LARGEST, weight: LARGEST }, { weight: LARGEST, capacity: LARGEST }, "semaphore"],
] as const)("%j is %j", (given, share, mode) => {
  expect(checkShare(given)).toEqual(share);
  expect(modeOf(share)).toBe(mode);
});

test("the option by which it was asked for", () => {
  expect([{ shared: true }, { capacity: 2 }].map((given) => shareOption(checkShare(given) ?? never()))).toEqual([
    "shared",
    "capacity",
  ]);
});

describe("refused", () => {
  const count = `an integer of 1 to ${LARGEST}`;
  const alone = "a weight beside capacity, of which it is a part; a read lock and an exclusive lock have none";
  const either = "either shared (a read lock) or capacity (a semaphore), not both";
  const cases: readonly (readonly [given: Record<string, unknown>, option: string, expected: string])[] = [
    [{ shared: "yes" }, "shared", "true or false"],
    [{ shared: null }, "shared", "true or false"],
    [{ shared: 1, capacity: 2 }, "shared", "true or false"],
    [{ shared: true, capacity: 2 }, "capacity", either],
    [{ weight: 1 }, "weight", alone],
    [{ shared: true, weight: 1 }, "weight", alone],
    ...[0, -1, 1.5, LARGEST + 1, Number.NaN, Number.POSITIVE_INFINITY, "5", 5n, null].map(
      (capacity) => [{ capacity }, "capacity", count] as const,
    ),
    ...[0, -1, 1.5, 4, Number.NaN, "1", 1n, null].map(
      (weight) => [{ capacity: 3, weight }, "weight", "an integer of 1 up to capacity (3)"] as const,
    ),
  ];
  for (const [given, option, expected] of cases) {
    test(`${Object.entries(given).map(([name, value]) => `${name}: ${String(value)} (${typeof value})`)}`, () => {
      const error = refusal(() => checkShare(given));
      expect([error.option, error.expected]).toEqual([option, expected]);
      expect(error.message).toContain(`${option}: expected ${expected}, got `);
    });
  }
});

describe("the options of a call", () => {
  const locker = resolveLockerOptions({ url: "postgres://app@db.example/app" }, {});
  const termsOf = (options: object, waits = true) => resolveAcquireOptions(locker, options, { waits });

  test("say how it is shared, also of one that does not wait", () => {
    expect(termsOf({ shared: true }).share).toEqual({ weight: 1, capacity: null });
    expect(termsOf({ capacity: 3, weight: 2 }, false).share).toEqual({ weight: 2, capacity: 3 });
    expect(termsOf({}).share).toBeNull();
  });

  test("have a sort of their own for each way of sharing", () => {
    const all = [{}, { shared: true }, { capacity: 2 }, { capacity: 3 }, { capacity: 3, weight: 2 }];
    expect(new Set(all.map((options) => termsOf(options).sort)).size).toBe(all.length);
    expect(termsOf({ shared: false }).sort).toBe(termsOf({}).sort);
    expect(termsOf({ capacity: 3, weight: 1 }).sort).toBe(termsOf({ capacity: 3 }).sort);
  });

  test.each(["shared", "capacity", "weight"])("are never those of a locker: %s", (name) => {
    expect(() => createLocker({ [name]: name === "shared" ? true : 2 })).toThrow(InvalidOptionError);
  });
});

function never(): never {
  throw new Error("it is a share");
}
