// A body that asks for the lock that it runs under: told at once, by the place that asks, when that was asked for.
import { expect, test } from "vitest";
import { ReentryError, WaitTimeoutError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();

test('reentry "throw": a wait in the body of withLock rejects at once, however deep, and nothing is left in the queue', async () => {
  await using locker = openLocker(database, { reentry: "throw", waitMs: Number.POSITIVE_INFINITY });
  const deeper = async (): Promise<unknown> => {
    await locker.ping();
    return await locker.withLock("b", () => locker.acquire("a"));
  };
  await locker.withLock("a", async (lock) => {
    const error = await deeper().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ReentryError);
    expect(error).toMatchObject({ key: "a", holder: { fence: lock.fence, isThisProcess: true } });
    expect((error as Error).message).toContain('the option reentry: "wait"');
    await expect(locker.withLock("a", () => 1)).rejects.toBeInstanceOf(ReentryError);
    expect(await locker.tryAcquire("a")).toBeNull();
    expect(await database.sql`select from leasehold.waiters where key = 'a'`).toEqual([]);
  });
  const tried = await locker.tryWithLock("a", () => locker.acquire("a").catch((reason: unknown) => reason));
  expect(tried).toMatchObject({ acquired: true, value: expect.any(ReentryError) });
});

test("who is not in the body waits as ever: beside it, after its release, for another key, and by another locker", async () => {
  await using locker = openLocker(database, { reentry: "throw" });
  await using other = openLocker(database, { reentry: "throw" });
  let beside: Promise<unknown> = Promise.resolve();
  let begun = (): void => undefined;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const whole = locker.withLock("a", async (lock) => {
    begun();
    await expect(other.acquire("a", { waitMs: 50 })).rejects.toBeInstanceOf(WaitTimeoutError);
    await (await locker.acquire("b")).release();
    await lock.release();
    const again = await locker.acquire("a");
    await again.release();
  });
  await hasBegun;
  beside = locker.withLock("a", () => "beside");
  await whole;
  expect(await beside).toBe("beside");
});

test('a call with reentry "wait" may be left to run after the body', async () => {
  await using locker = openLocker(database, { reentry: "throw" });
  let later: Promise<string> = Promise.resolve("");
  await locker.withLock("a", () => {
    later = locker.withLock("a", () => "later", { reentry: "wait" });
  });
  expect(await later).toBe("later");
});

test("one call can ask for it, and its own body is known", async () => {
  await using locker = openLocker(database);
  await locker.withLock(
    "a",
    async () => {
      await expect(locker.acquire("a", { reentry: "throw" })).rejects.toBeInstanceOf(ReentryError);
      const error = await locker.acquire("a", { waitMs: 50 }).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: "wait-timeout", isHeldHere: true });
      expect((error as Error).message).toContain('createLocker({ reentry: "throw" })');
    },
    { reentry: "throw" },
  );
});
