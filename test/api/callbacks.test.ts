import { describe, expect, onTestFinished, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
/** What follows an answer that is dropped. */
const then = "cut";

function warningsOfTest(): Error[] {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  return warnings;
}

const boom = (message: string) => () => {
  throw new Error(message);
};

async function takeAway(lock: Lock): Promise<void> {
  await using admin = openLocker(database);
  await admin.forceRelease(lock.key, { immediate: true });
  await lock.renew().catch(() => undefined);
}

describe("onAcquired", () => {
  test("is called once for each grant, with the lock that the call gives", async () => {
    const seen: Lock[] = [];
    await using locker = openLocker(database, { onAcquired: (lock) => seen.push(lock) });
    const lock = await locker.acquire("a");
    expect(await locker.tryAcquire("a")).toBeNull();
    await lock.renew();
    await lock.release();
    await locker.withLock("a", (second) => expect(seen).toEqual([lock, second]));
    expect(seen).toHaveLength(2);
  });
});

describe("onLost", () => {
  test("is called once for a loss, and not for a release", async () => {
    const lost: unknown[] = [];
    await using locker = openLocker(database, { onLost: (lock, error) => lost.push([lock, error]) });
    await (await locker.acquire("released")).release();
    const lock = await locker.acquire("lost");
    await takeAway(lock);
    await lock.release().catch(() => undefined);
    expect(lost).toEqual([[lock, expect.objectContaining({ code: "lease-lost", reason: "forced", key: "lost" })]]);
  });

  test("given to a call stands in place of the locker's", async () => {
    const lost: string[] = [];
    await using locker = openLocker(database, { onLost: () => lost.push("locker's") });
    await takeAway(await locker.acquire("a", { onLost: () => lost.push("call's") }));
    expect(lost).toEqual(["call's"]);
  });
});

describe("what a callback throws", () => {
  test("goes to onError, and reaches neither the call nor the lock", async () => {
    const errors: unknown[] = [];
    await using locker = openLocker(database, {
      onAcquired: boom("onAcquired's"),
      onLost: boom("onLost's"),
      onError: (error) => errors.push((error as Error).message),
    });
    const lock = await locker.acquire("a");
    lock.assertHeld();
    await takeAway(lock);
    expect(lock.signal.reason).toMatchObject({ reason: "forced" });
    expect(errors).toEqual(["onAcquired's", "onLost's"]);
  });

  test("becomes a process warning when there is no onError", async () => {
    const warnings = warningsOfTest();
    await using locker = openLocker(database, { onAcquired: boom("onAcquired's") });
    await locker.withLock("a", (lock) => lock.assertHeld());
    await until("the warning", () => warnings.length > 0);
    expect(warnings.map(({ message }) => message)).toEqual(["onAcquired's"]);
  });

  test("becomes a process warning when it is onError that throws", async () => {
    const warnings = warningsOfTest();
    await using locker = openLocker(database, { onAcquired: boom("first"), onError: boom("second") });
    await locker.withLock("a", (lock) => lock.assertHeld());
    await until("the warning", () => warnings.length > 0);
    expect(warnings.map(({ message }) => message)).toEqual(["second"]);
  });

  test("is caught as well when the callback is async", async () => {
    const errors: unknown[] = [];
    await using locker = openLocker(database, {
      onAcquired: async () => {
        throw new Error("async");
      },
      onError: (error) => errors.push((error as Error).message),
    });
    await locker.withLock("a", (lock) => lock.assertHeld());
    await until("it is caught", () => errors.length > 0);
    expect(errors).toEqual(["async"]);
  });
});

test("a renewal that fails for a passing reason goes to the onError of keepAlive, or else to the locker's", async () => {
  await using proxy = await startProxy(database.url);
  const errors: string[] = [];
  await using locker = openLocker(proxy.url(database.url), {
    ttlMs: 20_000,
    requestTimeoutMs: 3_000,
    onError: () => errors.push("locker's"),
  });
  const lock = await locker.acquire("a", { keepAlive: false });
  const stop = lock.keepAlive({ everyMs: 100, onError: () => errors.push("keepAlive's") });
  const { dropped } = proxy.dropAnswerOf(/internal\.renew\(/, { then });
  await dropped;
  await until("it is told", () => errors.length > 0);
  expect(errors).toEqual(["keepAlive's"]);
  lock.assertHeld();
  await stop();
  await lock.release();
});
