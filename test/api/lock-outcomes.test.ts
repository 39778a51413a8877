import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import { LeaseLostError, type Lock, NotHeldError } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();

async function takeAway(lock: Lock): Promise<void> {
  await using admin = openLocker(database);
  await admin.forceRelease(lock.key, { immediate: true });
  await lock.renew().catch(() => undefined);
}

const lostBy = (reason: string) => (error: unknown) => error instanceof LeaseLostError && error.reason === reason;
const onlyNotHeld = (error: unknown) => error instanceof NotHeldError && !(error instanceof LeaseLostError);

describe("after a loss", () => {
  test("release, renew and assertHeld say that it is lost, and why", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    await takeAway(lock);

    await expect(lock.release()).rejects.toSatisfy(lostBy("forced"));
    await expect(lock.renew()).rejects.toSatisfy(lostBy("forced"));
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: "lease-lost", reason: "forced" }));
    expect(() => lock.keepAlive()).toThrow(LeaseLostError);
    expect(lock).toMatchObject({ held: false, remainingMs: 0 });
    expect(locker.get("a")).toBeUndefined();
  });

  test("the signal fires with that error, also when it is first read afterwards", async () => {
    await using locker = openLocker(database);
    const [early, late] = [await locker.acquire("early"), await locker.acquire("late")];
    const reasons: unknown[] = [];
    early.signal.addEventListener("abort", () => reasons.push(early.signal.reason));
    await takeAway(early);
    await takeAway(late);

    expect(reasons).toEqual([expect.objectContaining({ code: "lease-lost", reason: "forced", key: "early" })]);
    expect(late.signal.aborted).toBe(true);
    expect(late.signal.reason).toMatchObject({ code: "lease-lost", key: "late" });
    await expect(late.release()).rejects.toBe(late.signal.reason);
  });

  test("a release that finds the lease expired says so", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    await database.sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 s' where key = 'a'`;
    await expect(lock.release()).rejects.toSatisfy(lostBy("expired"));
    expect(lock.signal.reason).toMatchObject({ reason: "expired" });
  });
});

describe("after an own release", () => {
  test("release, renew and assertHeld say that it is not held", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    await lock.release();

    await expect(lock.release()).rejects.toSatisfy(onlyNotHeld);
    await expect(lock.renew()).rejects.toSatisfy(onlyNotHeld);
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: "not-held", key: "a" }));
    expect(() => lock.keepAlive()).toThrow(NotHeldError);
    expect(lock).toMatchObject({ held: false, remainingMs: 0 });
    expect(locker.locks()).toEqual([]);
  });

  test("the signal has not fired, and does not", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    const { signal } = lock;
    await lock.release();
    await using other = openLocker(database);
    await other.withLock("a", () => undefined);
    await locker.close();
    expect(signal.aborted).toBe(false);
  });

  test("it is not held from the call on, whatever becomes of the answer", async () => {
    await using locker = openLocker(database);
    const lock = await locker.acquire("a");
    const released = lock.release();
    expect(lock.held).toBe(false);
    expect(() => lock.assertHeld()).toThrow(NotHeldError);
    await expect(lock.release()).rejects.toSatisfy(onlyNotHeld);
    await released;
  });
});

describe("the signal", () => {
  test("stays the same, so that it can be listened to anywhere", async () => {
    await using locker = openLocker(database);
    await locker.withLock("a", (lock) => {
      const { signal } = lock;
      expect(signal).toBeInstanceOf(AbortSignal);
      expect(lock.signal).toBe(signal);
    });
  });
});

describe("asynchronous disposal", () => {
  test("releases", async () => {
    await using locker = openLocker(database);
    {
      await using lock = await locker.acquire("a");
      lock.assertHeld();
    }
    expect(await locker.isLocked("a")).toBe(false);
  });

  test("never throws: not after a loss, a release, nor when the release fails", async () => {
    expectLeft(database, "sessions"); // of the connection that is cut
    await using proxy = await startProxy(database.url);
    const errors: unknown[] = [];
    await using locker = openLocker(proxy.url(database.url), {
      requestTimeoutMs: 3_000,
      onError: (error) => errors.push(error),
    });
    const [lost, released, unreachable] = [
      await locker.acquire("lost"),
      await locker.acquire("released"),
      await locker.acquire("unreachable"),
    ];
    await takeAway(lost);
    await released.release();
    proxy.blackhole();

    await lost[Symbol.asyncDispose]();
    await released[Symbol.asyncDispose]();
    await unreachable[Symbol.asyncDispose]();

    expect(errors).toContainEqual(expect.objectContaining({ code: "unavailable" }));
    proxy.heal();
    proxy.cutAll();
    const isFree = async () => (await database.sql`select from leasehold.leases where token is not null`).length === 0;
    await expect.poll(isFree, { timeout: 60_000 }).toBe(true);
  });
});

describe("the signal given to acquire", () => {
  test("cancels the waiting, and the call rejects with its reason itself", async () => {
    await using locker = openLocker(database);
    const held = await locker.acquire("a");
    const controller = new AbortController();
    const reason = { why: "any value at all" };
    const waiting = locker.acquire("a", { signal: controller.signal });
    const settled = waiting.then(
      () => "granted",
      (error: unknown) => error,
    );
    const count = async () => Number((await database.sql`select count(*) from leasehold.waiters`)[0]?.count);
    await expect.poll(count).toBe(1);
    controller.abort(reason);
    expect(await settled).toBe(reason);
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    await held.release();
  });

  test("that has fired already sends nothing", async () => {
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url));
    const signal = AbortSignal.abort("too late");
    await expect(locker.acquire("a", { signal })).rejects.toBe("too late");
    await expect(locker.tryAcquire("a", { signal })).rejects.toBe("too late");
    await expect(locker.withLock("a", () => 1, { signal })).rejects.toBe("too late");
    await expect(locker.tryWithLock("a", () => 1, { signal })).rejects.toBe("too late");
    expect(proxy.statements).toEqual([]);
    expect(proxy.connections).toEqual([]);
  });

  test("may be one for many calls: Node warns of nothing, and each is cancelled", async () => {
    const warnings: unknown[] = [];
    const onWarning = (warning: unknown) => warnings.push(warning);
    process.on("warning", onWarning);
    await using locker = openLocker(database);
    const held = await locker.acquire("a");
    const controller = new AbortController();
    const granted = await locker.acquire("b", { signal: controller.signal });
    const waits = Promise.allSettled(
      Array.from({ length: 25 }, () => locker.acquire("a", { signal: controller.signal })),
    );
    const count = async () => Number((await database.sql`select count(*) from leasehold.waiters`)[0]?.count);
    await expect.poll(count).toBe(25);

    controller.abort("all of them");

    expect(new Set((await waits).map((one) => one.status === "rejected" && one.reason))).toEqual(
      new Set(["all of them"]),
    );
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    granted.assertHeld();
    await granted.release();
    await held.release();
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  test("does not touch a lock that was granted", async () => {
    await using locker = openLocker(database);
    const controller = new AbortController();
    const lock = await locker.acquire("a", { signal: controller.signal });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    controller.abort();
    await lock.renew();
    lock.assertHeld();
    expect(lock.signal.aborted).toBe(false);
    await lock.release();
  });
});

describe("a wait on a key that this process holds", () => {
  test("says in its error that locks are not reentrant", async () => {
    await using locker = openLocker(database);
    await locker.withLock("a", async () => {
      const inner = locker.withLock("a", () => "never", { waitMs: 50 });
      await expect(inner).rejects.toMatchObject({ code: "wait-timeout", isHeldHere: true, waitMs: 50 });
      await expect(inner).rejects.toThrow("not reentrant");
      await using other = openLocker(database);
      const strange = other.acquire("a", { waitMs: 50 });
      await expect(strange).rejects.toMatchObject({ isHeldHere: false });
      await expect(strange).rejects.not.toThrow("not reentrant");
    });
  });
});

describe("get and locks", () => {
  test("reach what this process holds, and nothing else", async () => {
    await using locker = openLocker(database, { prefix: "app:" });
    await using other = openLocker(database);
    const [a, b] = [await locker.acquire("a"), await locker.acquire("b")];
    expect(locker.get("a")).toBe(a);
    expect(locker.get("b")).toBe(b);
    expect(locker.get("app:a")).toBeUndefined();
    expect(locker.locks()).toEqual([a, b]);
    expect(other.locks()).toEqual([]);
    await a.release();
    expect(locker.get("a")).toBeUndefined();
    expect(locker.locks()).toEqual([b]);
    await b.release();
  });

  test("locks takes a key, without the prefix, of which there may be none", async () => {
    await using locker = openLocker(database, { prefix: "app:" });
    const [a, b] = [await locker.acquire("a"), await locker.acquire("b")];
    expect(locker.locks("a")).toEqual([a]);
    expect(locker.locks("b")).toEqual([b]);
    expect(locker.locks("app:a")).toEqual([]);
    expect(locker.locks("c")).toEqual([]);
    expect(locker.locks(undefined)).toEqual([a, b]);
    expect(() => locker.locks("")).toThrow(expect.objectContaining({ code: "invalid-key" }));
    await a.release();
    expect(locker.locks("a")).toEqual([]);
    await b.release();
  });
});
