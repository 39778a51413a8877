import { describe, expect, test } from "vitest";
import { resolveAcquireOptions, resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { InvalidOptionError } from "../../../src/errors/errors.js";

const lockerWith = (options: object) => resolveLockerOptions({ url: "postgres://app@db.example/app", ...options }, {});
const locker = lockerWith({});
const waits = { waits: true };

describe("what is left out comes from the locker", () => {
  test("all of it", () => {
    const onLost = () => undefined;
    const given = {
      ttlMs: 9_000,
      waitMs: 7,
      reentry: "throw" as const,
      keepAlive: false,
      renewEveryMs: 500,
      minHoldMs: 3,
      maxHoldMs: 60_000,
      guardTimeoutMs: 4_000,
      owner: "me",
      onLost,
    };
    const own = lockerWith({ ...given, metadata: { a: 1 } });
    expect(resolveAcquireOptions(own, undefined, waits)).toEqual({
      ...given,
      metadata: { json: '{"a":1}', value: { a: 1 } },
      signal: null,
      retry: null,
      share: null,
      queues: true,
      sort: JSON.stringify(["me", given.ttlMs, given.minHoldMs, given.maxHoldMs, '{"a":1}', true, null]),
    });
  });

  test("but not what the call itself gives", () => {
    const onLost = () => undefined;
    const { signal } = new AbortController();
    const given = {
      ttlMs: 800,
      waitMs: Number.POSITIVE_INFINITY,
      signal,
      keepAlive: false,
      renewEveryMs: 100,
      minHoldMs: 5,
      maxHoldMs: 900,
      guardTimeoutMs: 100,
      owner: "other",
      onLost,
    };
    expect(resolveAcquireOptions(locker, given, waits)).toMatchObject(given);
  });
});

test("terms have the same sort when the server is asked for the same, and only then", () => {
  const sortOf = (options: object, forWhom = waits) => resolveAcquireOptions(locker, options, forWhom).sort;
  const none = sortOf({});
  for (const same of [{ waitMs: 17 }, { renewEveryMs: 300 }, { keepAlive: false }, { onLost: () => undefined }]) {
    expect(sortOf(same), Object.keys(same)[0]).toBe(none);
  }
  const others = [{ owner: "b" }, { ttlMs: 900 }, { minHoldMs: 1 }, { maxHoldMs: 60_000 }, { metadata: 1 }];
  expect(new Set([none, sortOf({}, { waits: false }), ...others.map((other) => sortOf(other))]).size).toBe(7);
});

describe("renewEveryMs", () => {
  test("is a third of ttlMs by default", () => {
    expect(resolveAcquireOptions(locker, {}, waits).renewEveryMs).toBe(10_000);
    expect(resolveAcquireOptions(locker, { ttlMs: 100 }, waits).renewEveryMs).toBe(33);
  });

  test("of the locker stands for a ttlMs that it fits, and else gives way to a third", () => {
    const own = lockerWith({ renewEveryMs: 5_000 });
    expect(resolveAcquireOptions(own, { ttlMs: 6_000 }, waits).renewEveryMs).toBe(5_000);
    expect(resolveAcquireOptions(own, { ttlMs: 3_000 }, waits).renewEveryMs).toBe(1_000);
  });

  test("is compared with the ttlMs of the call", () => {
    expect(() => resolveAcquireOptions(locker, { ttlMs: 1_000, renewEveryMs: 1_000 }, waits)).toThrow("20 to 999");
  });
});

describe("retry", () => {
  const [retry, other] = [() => 100, () => null];

  test("replaces the queue, and has no limit of its own", () => {
    expect(resolveAcquireOptions(locker, { retry }, waits)).toMatchObject({
      retry,
      queues: false,
      waitMs: Number.POSITIVE_INFINITY,
    });
    expect(resolveAcquireOptions(locker, {}, waits)).toMatchObject({ retry: null, queues: true, waitMs: 10_000 });
    expect(resolveAcquireOptions(locker, { retry, waitMs: 5 }, waits)).toMatchObject({ retry, waitMs: 5 });
    expect(resolveAcquireOptions(locker, { retry, waitMs: 0 }, waits)).toMatchObject({ retry: null, queues: false });
  });

  test("of the locker goes with the waitMs beside it, and stands for a call that gives its own waitMs", () => {
    const own = lockerWith({ retry });
    expect(own).toMatchObject({ retry, waitMs: Number.POSITIVE_INFINITY });
    expect(resolveAcquireOptions(own, {}, waits)).toMatchObject({ retry, waitMs: Number.POSITIVE_INFINITY });
    expect(resolveAcquireOptions(own, { waitMs: 300 }, waits)).toMatchObject({ retry, queues: false, waitMs: 300 });
    const bounded = lockerWith({ retry, waitMs: 2_000 });
    expect(resolveAcquireOptions(bounded, {}, waits)).toMatchObject({ retry, waitMs: 2_000 });
  });

  test("of a call has no limit but its own, whatever the locker's waitMs", () => {
    for (const own of [lockerWith({ waitMs: 2_000 }), lockerWith({ waitMs: 2_000, retry })]) {
      expect(resolveAcquireOptions(own, { retry: other }, waits)).toMatchObject({
        retry: other,
        waitMs: Number.POSITIVE_INFINITY,
      });
    }
  });

  test("of the locker is nothing to a call that only tries, which refuses one of its own", () => {
    const own = lockerWith({ retry });
    expect(resolveAcquireOptions(own, {}, { waits: false })).toMatchObject({ retry: null, queues: false, waitMs: 0 });
    expect(() => resolveAcquireOptions(own, { retry }, { waits: false })).toThrow(
      "retry: expected no retry: tryAcquire and tryWithLock do not wait; acquire and withLock do",
    );
  });

  test("is asked for like a try", () => {
    const sorts = [{ retry }, { waitMs: 0 }].map((options) => resolveAcquireOptions(locker, options, waits).sort);
    expect(new Set([...sorts, resolveAcquireOptions(locker, {}, { waits: false }).sort]).size).toBe(1);
  });
});

describe("minHoldMs as a pair", () => {
  const draw = (own: typeof locker, options: object) => resolveAcquireOptions(own, options, waits);

  test("is drawn for each call, between the two, both included", () => {
    for (const [own, options] of [
      [lockerWith({ minHoldMs: [3, 6] }), {}],
      [locker, { minHoldMs: [3, 6] }],
      [lockerWith({ minHoldMs: [50, 60] }), { minHoldMs: [3, 6] }],
    ] as const) {
      const drawn = Array.from({ length: 200 }, () => draw(own, options).minHoldMs);
      expect([...new Set(drawn)].sort()).toEqual([3, 4, 5, 6]);
    }
  });

  test("goes into the sort with what was drawn: two that differ share no statement", () => {
    const own = lockerWith({ minHoldMs: [0, 1_000_000] });
    const [one, two] = [draw(own, {}), draw(own, {})];
    expect(one.minHoldMs).not.toBe(two.minHoldMs);
    expect(one.sort).not.toBe(two.sort);
    expect(draw(own, { minHoldMs: 7 }).minHoldMs).toBe(7);
  });

  test("may be as wide as durations are, or have equal ends", () => {
    const { minHoldMs } = draw(locker, { minHoldMs: [0, 2_147_483_647] });
    expect(Number.isInteger(minHoldMs) && minHoldMs >= 0 && minHoldMs <= 2_147_483_647).toBe(true);
    expect(draw(locker, { minHoldMs: [5, 5] }).minHoldMs).toBe(5);
  });

  test("that the caller changes afterwards stays what it was", () => {
    const pair = [3, 3];
    const own = lockerWith({ minHoldMs: pair });
    pair[1] = 9_000;
    expect(Array.from({ length: 50 }, () => draw(own, {}).minHoldMs)).toEqual(new Array(50).fill(3));
  });

  test.each([
    [[], "[]"],
    [[5], "[5 (number)]"],
    [[5, 4], "[5 (number), 4 (number)]"],
    [[-1, 4], "[-1 (number), 4 (number)]"],
    [[0.5, 4], "[0.5 (number), 4 (number)]"],
    [[1, 2 ** 31], "[1 (number), 2147483648 (number)]"],
    [[1, Number.POSITIVE_INFINITY], "[1 (number), Infinity (number)]"],
    [["1", 2], '["1" (string), 2 (number)]'],
    [[1, 2, 3, 4], "[1 (number), 2 (number), 3 (number), …]"],
  ])("that is none is refused: %j", (minHoldMs, came) => {
    const message = `minHoldMs: expected a pair of integers of 0 to 2147483647 (milliseconds), the first no larger than the second, got ${came}`;
    for (const run of [() => draw(locker, { minHoldMs }), () => lockerWith({ minHoldMs })]) {
      expect(run).toThrow(expect.objectContaining({ code: "invalid-option", option: "minHoldMs", message }));
    }
  });
});

describe("calls that only try", () => {
  test("do not wait, whatever the locker's waitMs", () => {
    expect(resolveAcquireOptions(locker, {}, { waits: false }).waitMs).toBe(0);
  });

  test("refuse waitMs with the calls that take it", () => {
    const run = () => resolveAcquireOptions(locker, { waitMs: 0 }, { waits: false });
    expect(run).toThrow("waitMs: expected no waitMs: tryAcquire and tryWithLock do not wait; acquire and withLock do");
  });
});

describe("what cannot be used is refused by name", () => {
  test.each<[string, unknown]>([
    ["ttlMs", 0],
    ["ttlMs", -1],
    ["ttlMs", Number.NaN],
    ["ttlMs", Number.POSITIVE_INFINITY],
    ["ttlMs", null],
    ["waitMs", -1],
    ["reentry", "maybe"],
    ["retry", 100],
    ["retry", null],
    ["retry", { retries: 3 }],
    ["waitMs", "soon"],
    ["waitMs", 0.5],
    ["keepAlive", "yes"],
    ["renewEveryMs", 10],
    ["minHoldMs", -1],
    ["maxHoldMs", 0],
    ["guardTimeoutMs", 99],
    ["guardTimeoutMs", Number.POSITIVE_INFINITY],
    ["metadata", 1n],
    ["owner", ""],
    ["onLost", 1],
    ["signal", null],
    ["signal", new AbortController()],
    ["signal", { aborted: false }],
    ["takeoverDelayMs", 5_000],
    ["url", "postgres://x"],
    ["timeoutMs", 5],
  ])("%s: %s", (option, value) => {
    expect(() => resolveAcquireOptions(locker, { [option]: value }, waits)).toThrow(InvalidOptionError);
    expect(() => resolveAcquireOptions(locker, { [option]: value }, waits)).toThrow(
      expect.objectContaining({ option }),
    );
  });

  test.each([null, 5_000, "fast", []])("options that are no object: %s", (options) => {
    expect(() => resolveAcquireOptions(locker, options, waits)).toThrow("expected an object");
  });
});
