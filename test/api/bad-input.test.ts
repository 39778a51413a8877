import { describe, expect, test } from "vitest";
import { InvalidKeyError, InvalidOptionError, type Locker } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

const keyed: Record<string, (locker: Locker, key: never) => unknown> = {
  acquire: (locker, key) => locker.acquire(key),
  tryAcquire: (locker, key) => locker.tryAcquire(key),
  withLock: (locker, key) => locker.withLock(key, () => 1),
  tryWithLock: (locker, key) => locker.tryWithLock(key, () => 1),
  check: (locker, key) => locker.check(key),
  isLocked: (locker, key) => locker.isLocked(key),
  forceRelease: (locker, key) => locker.forceRelease(key),
  get: (locker, key) => locker.get(key),
  fullKey: (locker, key) => locker.fullKey(key),
};

const badKeys: [string, unknown][] = [
  ["empty", ""],
  ["of too many bytes", "é".repeat(257)],
  ["of too many bytes with the prefix", "x".repeat(510)],
  ["with NUL", "a\0b"],
  ["with a lone high surrogate", "a\ud800"],
  ["with a lone low surrogate", "\udfffa"],
  ["undefined", undefined],
  ["null", null],
  ["a number", 42],
  ["an array", ["a"]],
  ["an object that has toString", { toString: () => "a" }],
  ["a symbol", Symbol("a")],
];

/** What it throws or rejects with, the same for both. */
async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

test.each(badKeys)("a key that is %s is refused by every call, before anything is sent", async (_, key) => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { prefix: "app" });
  for (const [name, call] of Object.entries(keyed)) {
    expect(await refusalOf(() => call(locker, key as never)), name).toBeInstanceOf(InvalidKeyError);
  }
  expect(proxy.connections).toEqual([]);
});

const badTtls = [0, -1, 99, Number.NaN, Number.POSITIVE_INFINITY, 1_000.5, 2_147_483_648, "1000", null, 1_000n, {}];

describe("a ttlMs that cannot be is refused by name, before anything is sent", () => {
  test.each(badTtls)("%s", async (ttlMs) => {
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url));
    const options = { ttlMs } as never;
    const calls = [
      () => locker.acquire("a", options),
      () => locker.tryAcquire("a", options),
      () => locker.withLock("a", () => 1, options),
      () => locker.tryWithLock("a", () => 1, options),
    ];
    for (const call of calls) {
      expect(await refusalOf(call)).toMatchObject({
        code: "invalid-option",
        option: "ttlMs",
        message: expect.stringMatching(/^ttlMs: expected an integer of 100 to 2147483647 \(milliseconds\), got /),
      });
    }
    expect(proxy.connections).toEqual([]);

    const lock = await locker.acquire("a");
    proxy.statements.length = 0;
    expect(await refusalOf(() => lock.renew(ttlMs as never))).toMatchObject({ option: "ttlMs" });
    expect(proxy.statements.filter(({ sql }) => /renew/.test(sql))).toEqual([]);
    lock.assertHeld();
    await lock.release();
  });
});

test.each<[string, unknown]>([
  ["waitMs", -1],
  ["maxHoldMs", 0],
  ["minHoldMs", 0.5],
  ["metadata", { a: 1n }],
  ["metadata", "\ud800"],
  ["owner", "x".repeat(257)],
  ["owner", "a\0"],
  ["signal", {}],
  ["keepAlive", 1],
  ["renewEveryMs", 30_000],
  ["onLost", "no"],
  ["ttl", 5_000],
])("the option %s: %s is refused by name, before anything is sent", async (option, value) => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));
  const refusal = await refusalOf(() => locker.acquire("a", { [option]: value }));
  expect(refusal).toBeInstanceOf(InvalidOptionError);
  expect(refusal).toMatchObject({ option, expected: expect.any(String), received: expect.any(String) });
  expect(proxy.connections).toEqual([]);
});

test("what keepAlive and forceRelease take is checked as well", async () => {
  await using locker = openLocker(database);
  const lock = await locker.acquire("a");
  expect(() => lock.keepAlive({ everyMs: 30_000 })).toThrow(expect.objectContaining({ option: "everyMs" }));
  expect(() => lock.keepAlive({ onError: 1 } as never)).toThrow(expect.objectContaining({ option: "onError" }));
  expect(() => lock.keepAlive({ every: 1 } as never)).toThrow(expect.objectContaining({ option: "every" }));
  for (const fence of [1, "1", -1n, 2n ** 63n]) {
    const refusal = await refusalOf(() => locker.forceRelease("a", { fence } as never));
    expect(refusal).toMatchObject({ option: "fence" });
  }
  expect(await refusalOf(() => locker.forceRelease("a", { immediate: 1 } as never))).toMatchObject({
    option: "immediate",
  });
  lock.assertHeld();
  await lock.release();
});

test.each(["on", "off"] as const)(
  "keys that are hard on a protocol are keys all the same, presence %s",
  async (presence) => {
    await using locker = openLocker(database, { presence });
    const keys = [
      "'",
      '"',
      "\\",
      "{a,b}",
      "NULL",
      "null",
      "$1",
      " ",
      "\n",
      "\t\r",
      "%",
      "🔒",
      "x".repeat(512),
      "--",
      ",",
      "{}",
    ];
    const locks = await Promise.all(
      keys.map((key) => locker.acquire(key, { owner: key.slice(0, 200), metadata: key })),
    );
    expect(locks.map(({ key }) => key)).toEqual(keys);
    const rows =
      await database.sql`select key, owner, metadata #>> '{}' as metadata from leasehold.leases where token is not null`;
    expect(new Set(rows.map(({ key }) => key))).toEqual(new Set(keys));
    for (const { key, owner, metadata } of rows) expect([owner, metadata]).toEqual([key.slice(0, 200), key]);
    await Promise.all(locks.map((lock) => lock.release()));
  },
);
