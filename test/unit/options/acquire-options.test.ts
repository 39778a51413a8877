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
      queues: true,
      sort: JSON.stringify(["me", given.ttlMs, given.minHoldMs, given.maxHoldMs, '{"a":1}', true]),
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
