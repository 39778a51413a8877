import { expect, expectTypeOf, test } from "vitest";
import { resolveLeadOptions } from "../../../src/config/lead-options.js";
import { resolveAcquireOptions, resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { InvalidOptionError } from "../../../src/errors/errors.js";
import type { Lock } from "../../../src/index.js";
import { createTestLocker } from "../../../src/testing.js";

const lockerWith = (options: object = {}) =>
  resolveLockerOptions({ url: "postgres://app@db.example/app", ...options }, {});

test("a campaign has the terms of an acquire that waits without end, whatever the locker says of waiting", () => {
  const retry = () => 1;
  const { signal } = new AbortController();
  const lease = { ttlMs: 900, keepAlive: false, maxHoldMs: 60_000, owner: "me", metadata: { a: 1 }, renewEveryMs: 100 };
  const own = lockerWith({ waitMs: 7, retry, minHoldMs: 3, guardTimeoutMs: 4_000 });
  const waits = resolveAcquireOptions(own, { ...lease, waitMs: Number.POSITIVE_INFINITY, signal }, { waits: true });
  const lead = resolveLeadOptions(own, { ...lease, signal });
  expect(lead.draw()).toEqual({ ...waits, retry: null, queues: true, sort: expect.any(String) });
  expect(lead.draw().sort).toBe(resolveAcquireOptions(lockerWith({ minHoldMs: 3 }), lease, { waits: true }).sort);
  expect(lead).toMatchObject({ signal, retry: null });
  expect(resolveLeadOptions(own, { retry })).toMatchObject({ signal: null, retry });
  expect(resolveLeadOptions(own, undefined).draw()).toMatchObject({ ttlMs: 30_000, minHoldMs: 3 });
});

test("the locker's interval of renewals is kept where it fits", () => {
  const own = lockerWith({ renewEveryMs: 5_000 });
  expect(resolveLeadOptions(own, {}).draw().renewEveryMs).toBe(5_000);
  expect(resolveLeadOptions(own, { ttlMs: 3_000 }).draw().renewEveryMs).toBe(1_000);
});

test.each(["call", "locker"])("a minimum hold that is a pair is drawn for each campaign: of the %s", (of) => {
  const minHoldMs: [number, number] = [1, 1_000_000];
  const lead =
    of === "call" ? resolveLeadOptions(lockerWith(), { minHoldMs }) : resolveLeadOptions(lockerWith({ minHoldMs }), {});
  const drawn = Array.from({ length: 5 }, () => lead.draw());
  expect(new Set(drawn.map((terms) => terms.minHoldMs)).size).toBeGreaterThan(1);
  expect(new Set(drawn.map(({ sort }) => sort)).size).toBeGreaterThan(1);
});

test("options are read once", () => {
  const options = { metadata: { a: 1 }, minHoldMs: [1, 2] as [number, number], ttlMs: 900 };
  const lead = resolveLeadOptions(lockerWith(), options);
  options.metadata.a = 2;
  options.minHoldMs[0] = 7;
  options.ttlMs = 5;
  expect(lead.draw()).toMatchObject({ metadata: { json: '{"a":1}' }, ttlMs: 900 });
  expect(lead.draw().minHoldMs).toBeLessThan(3);
});

test.each([
  [{ shared: true }, "shared", "no shared: a leader is alone, got true"],
  [{ shared: false }, "shared", "no shared: a leader is alone, got false"],
  [{ capacity: 2 }, "capacity", "no capacity: a leader is alone, got 2"],
  [{ weight: 1 }, "weight", "no weight: a leader is alone, got 1"],
  [{ waitMs: 5 }, "waitMs", "no waitMs: lead waits until it leads"],
  [{ reentry: "wait" }, "reentry", "no reentry: give it to createLocker"],
  [{ retry: 5 }, "retry", "a function, got 5"],
  [{ signal: true }, "signal", "an AbortSignal"],
  [{ ttlMs: 5 }, "ttlMs", "an integer of 100"],
  [{ minHoldMs: [2, 1] }, "minHoldMs", "a pair of integers"],
  [{ ttl: 5 }, "ttl", "ttl"],
  ["lead", "lead's options", "an object"],
])("%o is refused by name", async (options, option, message) => {
  const { locker } = createTestLocker();
  const error = await locker.lead("a", () => 1, options as object).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InvalidOptionError);
  expect(error).toMatchObject({ option, message: expect.stringContaining(message) });
  expect(locker.stats().acquired).toBe(0);
  await locker.close();
});

test("the compiler knows what it resolves to, and refuses what is refused", async () => {
  const { locker } = createTestLocker();
  const led = locker.lead("a", async (lock, signal) => {
    expectTypeOf(lock).toEqualTypeOf<Lock>();
    expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
    return "x";
  });
  expectTypeOf(led).toEqualTypeOf<Promise<string | undefined>>();
  expect(await led).toBe("x");
  // @ts-expect-error a leader is alone
  await expect(locker.lead("a", () => 1, { shared: true })).rejects.toThrow(InvalidOptionError);
  // @ts-expect-error it waits until it leads
  await expect(locker.lead("a", () => 1, { waitMs: 5 })).rejects.toThrow(InvalidOptionError);
  await locker.close();
});

test("the key and the body are checked, and reject the promise", async () => {
  const { locker } = createTestLocker();
  await expect(locker.lead("", () => 1)).rejects.toMatchObject({ name: "InvalidKeyError" });
  await expect(locker.lead("a", "body" as never)).rejects.toMatchObject({ option: "body" });
  expect(await locker.lead("a", () => 1, { waitMs: undefined } as object)).toBe(1);
  await locker.close();
});
