import { describe, expect, test } from "vitest";
import { LeaseLostError, type Lock } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

/** Takes the lock away from its holder, which is told by its next renewal. */
async function takeAway(lock: Lock): Promise<void> {
  await using admin = openLocker(database);
  await admin.forceRelease(lock.key, { immediate: true });
  await lock.renew().catch(() => undefined);
  expect(lock.signal.aborted).toBe(true);
}

describe("withLock", () => {
  test("resolves to what the body returned, and holds the key for exactly as long", async () => {
    await using locker = openLocker(database);
    const during = { held: false, other: true };

    const value = await locker.withLock("a", async (lock) => {
      during.held = lock.held;
      during.other = (await locker.tryAcquire("a")) !== null;
      return 42;
    });

    expect(value).toBe(42);
    expect(during).toEqual({ held: true, other: false });
    expect(await locker.isLocked("a")).toBe(false);
  });

  test("takes a body that is not async", async () => {
    await using locker = openLocker(database);
    expect(await locker.withLock("a", (lock) => lock.key)).toBe("a");
    const run = locker.withLock("a", () => {
      throw new RangeError("sync");
    });
    await expect(run).rejects.toThrow(new RangeError("sync"));
    expect(await locker.isLocked("a")).toBe(false);
  });

  test("waits for the body also when the lock is lost, and then rejects although the body returned", async () => {
    await using locker = openLocker(database);
    const steps: string[] = [];
    let endBody = (): void => undefined;
    const mayEnd = new Promise<void>((resolve) => {
      endBody = resolve;
    });

    const run = locker.withLock("a", async (lock) => {
      await takeAway(lock);
      steps.push("lost");
      await mayEnd;
      steps.push("body ended");
      return "value";
    });
    void run.catch(() => steps.push("rejected"));
    // another call of this locker is a round trip: a rejection that did not wait for the body would come before
    await expect.poll(() => steps).toContain("lost");
    await locker.ping();
    endBody();

    await expect(run).rejects.toSatisfy(
      (error) => error instanceof LeaseLostError && error.reason === "forced" && error.key === "a",
    );
    expect(steps).toEqual(["lost", "body ended", "rejected"]);
  });

  test("rejects with the body's own error when the lock is lost as well; the loss goes to onLost", async () => {
    const lost: unknown[] = [];
    await using locker = openLocker(database, { onLost: (lock, error) => lost.push([lock.key, error.reason]) });
    const bug = new Error("the body's");

    const run = locker.withLock("a", async (lock) => {
      await takeAway(lock);
      throw bug;
    });

    await expect(run).rejects.toBe(bug);
    expect(lost).toEqual([["a", "forced"]]);
  });

  test("rejects with the body's own error when the release fails as well; the failure goes to onError", async () => {
    expectLeft(database, "sessions"); // of the connection that is cut
    await using proxy = await startProxy(database.url);
    const errors: unknown[] = [];
    await using locker = openLocker(proxy.url(database.url), {
      requestTimeoutMs: 3_000,
      onError: (error) => errors.push(error),
    });
    const bug = new Error("the body's");

    const run = locker.withLock("a", async () => {
      proxy.blackhole();
      throw bug;
    });

    await expect(run).rejects.toBe(bug);
    expect(errors).toContainEqual(expect.objectContaining({ code: "unavailable" }));
    proxy.heal();
    proxy.cutAll();
    await expect.poll(() => isFree("a"), { timeout: 60_000 }).toBe(true);
  });

  test("resolves although the release fails, for the body was under the lock; the failure goes to onError", async () => {
    expectLeft(database, "sessions"); // of the connection that is cut
    await using proxy = await startProxy(database.url);
    const errors: unknown[] = [];
    await using locker = openLocker(proxy.url(database.url), {
      requestTimeoutMs: 3_000,
      onError: (error) => errors.push(error),
    });

    const value = await locker.withLock("a", () => {
      proxy.blackhole();
      return "value";
    });

    expect(value).toBe("value");
    expect(errors).toContainEqual(expect.objectContaining({ code: "unavailable" }));
    proxy.heal();
    proxy.cutAll();
    await expect.poll(() => isFree("a"), { timeout: 60_000 }).toBe(true);
  });

  test("does not mind a body that released the lock itself", async () => {
    await using locker = openLocker(database);
    expect(await locker.withLock("a", (lock) => lock.release().then(() => "value"))).toBe("value");
  });

  test("sends nothing for a body that is no function", async () => {
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url));
    await expect(locker.withLock("a", "body" as never)).rejects.toMatchObject({ option: "body" });
    await expect(locker.tryWithLock("a", undefined as never)).rejects.toMatchObject({ option: "body" });
    expect(proxy.statements).toEqual([]);
  });
});

describe("tryWithLock", () => {
  test("gives the body's value and how long it was held", async () => {
    await using locker = openLocker(database);
    const result = await locker.tryWithLock("a", async () => "value");
    expect(result).toEqual({ acquired: true, value: "value", heldMs: expect.any(Number) });
  });

  test("does not run the body when the key is held, and says by whom", async () => {
    await using holder = openLocker(database, { owner: "the holder" });
    await using locker = openLocker(database);
    const lock = await holder.acquire("a");
    let hasRun = false;

    const result = await locker.tryWithLock("a", () => {
      hasRun = true;
    });

    expect(hasRun).toBe(false);
    expect(result).toMatchObject({
      acquired: false,
      holder: { owner: "the holder", fence: lock.fence, isThisProcess: false, expiresAt: lock.expiresAt },
    });
    const own = await holder.tryWithLock("a", () => undefined);
    expect(own).toMatchObject({ acquired: false, holder: { isThisProcess: true } });
    await lock.release();
  });

  test("rejects as withLock does: with the body's error, or with the loss", async () => {
    await using locker = openLocker(database);
    const bug = new Error("the body's");
    await expect(locker.tryWithLock("a", () => Promise.reject(bug))).rejects.toBe(bug);
    await expect(locker.tryWithLock("a", takeAway)).rejects.toBeInstanceOf(LeaseLostError);
  });
});

async function isFree(key: string): Promise<boolean> {
  const [row] = await database.sql`select token is null as free from leasehold.leases where key = ${key}`;
  return row?.free === true;
}
