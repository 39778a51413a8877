import { hostname } from "node:os";
import postgres from "postgres";
import { describe, expect, test } from "vitest";
import type { LockerOptions } from "../../../src/api/options.js";
import { resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { refusal } from "../refusal.js";

const url = "postgres://app:hunter2@db.example/app";
const resolve = (options: object) => resolveLockerOptions({ url, ...options }, {});

test("the defaults are the documented ones", () => {
  expect(resolve({})).toMatchObject({
    presence: "on",
    prefix: "",
    owner: `${hostname()}:${process.pid}`,
    ttlMs: 30_000,
    waitMs: 10_000,
    retry: null,
    keepAlive: true,
    renewEveryMs: null,
    takeoverDelayMs: 5_000,
    minHoldMs: 0,
    maxHoldMs: Number.POSITIVE_INFINITY,
    guardTimeoutMs: null,
    requestTimeoutMs: 5_000,
    connectTimeoutMs: null,
    idleTimeoutMs: 60_000,
    metadata: { json: null, value: null },
    client: null,
    connection: {},
    onLost: null,
    onAcquired: null,
    onError: null,
  });
});

test("undefined is the default for every option", () => {
  const given = Object.fromEntries(Object.keys(resolve({})).map((name) => [name, undefined]));
  const { targets, instance, ...options } = given;
  expect(resolve({ ...options, url })).toEqual({ ...resolve({}), targets: expect.any(Function) });
});

test("null is an error that names the option, for every option", () => {
  const { targets, instance, ...resolved } = resolve({});
  for (const name of [...Object.keys(resolved), "url", "directUrl"]) {
    // metadata null is a value of its own
    if (name === "metadata") continue;
    const error = refusal(() => resolve({ [name]: null }));
    expect([error.option, error.message]).toEqual([name, expect.stringContaining("got null")]);
  }
});

describe("durations", () => {
  const infinite = Number.POSITIVE_INFINITY;
  const bounds: readonly (readonly [keyof LockerOptions, least: number, infinite: boolean])[] = [
    ["ttlMs", 100, false],
    ["waitMs", 0, true],
    ["takeoverDelayMs", 1_000, false],
    ["minHoldMs", 0, false],
    ["maxHoldMs", 1, true],
    ["guardTimeoutMs", 100, false],
    ["requestTimeoutMs", 50, false],
    ["connectTimeoutMs", 50, false],
    ["idleTimeoutMs", 50, true],
  ];

  test.each(bounds)("%s takes %d to 2147483647", (name, least) => {
    expect(resolve({ [name]: least })).toHaveProperty(name, least);
    expect(resolve({ [name]: 2_147_483_647 })).toHaveProperty(name, 2_147_483_647);
  });

  test.each(bounds)("%s refuses everything else", (name, least, mayBeInfinite) => {
    const wrong: unknown[] = [
      -1,
      -5,
      1e10,
      2 ** 31,
      5_000.5,
      Number.NaN,
      -infinite,
      "5000",
      5_000n,
      true,
      {},
      [5_000],
      null,
    ];
    if (least > 1) wrong.push(least - 1);
    if (!mayBeInfinite) wrong.push(infinite);
    for (const value of wrong) expect(refusal(() => resolve({ [name]: value })).option).toBe(name);
  });

  test.each(bounds.filter(([, , mayBeInfinite]) => mayBeInfinite))("%s may be Infinity", (name) => {
    expect(resolve({ [name]: infinite })).toHaveProperty(name, infinite);
  });

  test("the error says what was expected and what came", () => {
    expect(refusal(() => resolve({ ttlMs: -5 })).message).toBe(
      "ttlMs: expected an integer of 100 to 2147483647 (milliseconds), got -5 (number)",
    );
    expect(refusal(() => resolve({ waitMs: "1s" })).message).toBe(
      'waitMs: expected an integer of 0 to 2147483647 (milliseconds) or Infinity, got "1s" (string)',
    );
  });

  test("takeoverDelayMs may be 0, but nothing between that and a second", () => {
    expect(resolve({ takeoverDelayMs: 0 }).takeoverDelayMs).toBe(0);
    expect(refusal(() => resolve({ takeoverDelayMs: 999 })).message).toContain("0, or an integer of 1000 and up");
  });

  test("renewEveryMs leaves room for a renewal before the lease ends", () => {
    expect(resolve({ renewEveryMs: 20 }).renewEveryMs).toBe(20);
    expect(resolve({ renewEveryMs: 999, ttlMs: 1_000 }).renewEveryMs).toBe(999);
    for (const renewEveryMs of [19, 1_000, 1.5, "20", Number.POSITIVE_INFINITY]) {
      const error = refusal(() => resolve({ renewEveryMs, ttlMs: 1_000 }));
      expect(error.message).toContain("renewEveryMs: expected an integer of 20 to 999 (milliseconds, less than ttlMs)");
    }
  });
});

describe("texts and flags", () => {
  test.each<[string, unknown, string]>([
    ["presence", "maybe", 'presence: expected "on" or "off", got "maybe" (string)'],
    ["presence", true, 'presence: expected "on" or "off", got true (boolean)'],
    ["keepAlive", 1, "keepAlive: expected true or false, got 1 (number)"],
    ["owner", "", "owner: expected text of 1 to 256 bytes"],
    ["owner", "é".repeat(129), "owner: expected text of 1 to 256 bytes"],
    ["owner", "a\0", "without NUL"],
    ["owner", "a\ud800", "lone surrogates"],
    ["owner", 7, "owner: expected text of 1 to 256 bytes without NUL and lone surrogates, got 7 (number)"],
    ["prefix", "x".repeat(512), "prefix: expected text of 0 to 511 bytes"],
    ["prefix", "\0", "prefix: expected text"],
    ["onLost", "x", "onLost: expected a function"],
    ["onAcquired", {}, "onAcquired: expected a function, got an object"],
    ["onError", 1, "onError: expected a function, got 1 (number)"],
  ])("%s: %j is refused", (name, value, says) => {
    const error = refusal(() => resolve({ [name]: value }));
    expect(error.option).toBe(name);
    expect(error.message).toContain(says);
  });

  test("what is given is kept", () => {
    const given = { presence: "off", prefix: "p/", owner: "é".repeat(128), keepAlive: false, onError: () => undefined };
    expect(resolve(given)).toMatchObject(given);
  });
});

describe("names", () => {
  test.each([
    ["ttlMS", "ttlMs"],
    ["ttl", "ttlMs"],
    ["waitms", "waitMs"],
    ["takeOverDelayMs", "takeoverDelayMs"],
    ["directURL", "directUrl"],
    ["pre_fix", "prefix"],
  ])("%s is no option; %s is suggested", (name, suggestion) => {
    const error = refusal(() => resolve({ [name]: 1 }));
    expect(error.option).toBe(name);
    expect(error.message).toContain(`Did you mean "${suggestion}"?`);
  });

  test("a name like no other gets the list, and its value is not shown", () => {
    const error = refusal(() => resolve({ somethingElse: "hunter2" }));
    expect(error.message).toContain("The options are url, directUrl, client,");
    expect(error.message).not.toContain("hunter2");
  });

  test.each([null, [], "postgres://x", 5, () => 1])("options that are no object are refused: %s", (options) => {
    expect(refusal(() => resolveLockerOptions(options, {})).message).toContain(
      "createLocker's options: expected an object",
    );
  });
});

describe("client", () => {
  const sql = postgres("postgres://app@127.0.0.1:1/app");

  test("a client is taken, and no url is needed", () => {
    const options: LockerOptions = { client: sql };
    const { client, targets } = resolveLockerOptions(options, {});
    expect([client, targets()]).toEqual([sql, { target: null, directTarget: null }]);
  });

  test("a client with types of its own is taken by the compiler too", () => {
    const typed: LockerOptions = {
      client: postgres("postgres://app@127.0.0.1:1/app", { types: { bigint: postgres.BigInt } }),
    };
    expect(resolveLockerOptions(typed, {}).client).toBe(typed.client);
  });

  test.each([
    ["a pool of another library", { query: () => 1, end: () => 1 }],
    ["a plain function", () => 1],
    ["a transaction", Object.assign(() => 1, { unsafe: () => 1, savepoint: () => 1 })],
    ["a reserved connection", Object.assign(() => 1, { unsafe: () => 1, end: () => 1, options: {}, release: () => 1 })],
    ["an address", url],
  ])("%s is refused", (_, value) => {
    const error = refusal(() => resolveLockerOptions({ client: value }, {}));
    expect(error.message).toContain("client: expected a client made with postgres()");
  });
});
