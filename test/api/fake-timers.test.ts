import { afterEach, describe, expect, test, vi } from "vitest";
import { createLocker } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { startProxy } from "../support/proxy.js";

const database = await createDatabase();
const real = { setTimeout: globalThis.setTimeout, setImmediate: globalThis.setImmediate };
const sleep = (ms: number) => new Promise<void>((resolve) => void real.setTimeout(resolve, ms));

afterEach(() => {
  vi.useRealTimers();
});

describe("fake timers that a user's test installs while a lock is held", () => {
  test("stop neither heartbeats nor renewals, nor the calls of the locker", async () => {
    await using locker = createLocker({ url: database.url, ttlMs: 4_000, takeoverDelayMs: 4_000 });
    const lock = await locker.acquire("faked");
    const before = lock.expiresAt.getTime();

    vi.useFakeTimers();
    const fake = globalThis.setImmediate;
    // More than a TTL and a takeover delay. The renewals' connection is made in this time.
    while (lock.expiresAt.getTime() - before < 5_000 && lock.held) await sleep(50);

    expect(lock.held).toBe(true);
    lock.assertHeld();
    expect(await locker.tryAcquire("faked")).toBeNull();
    await lock.release();
    expect(globalThis.setImmediate).toBe(fake);
  });

  test("stay the user's own: what the user starts fires when the user says", async () => {
    await using locker = createLocker({ url: database.url });
    await locker.ready();
    vi.useFakeTimers();
    const fired: string[] = [];

    await locker.withLock("faked", async () => {
      setTimeout(() => fired.push("timeout"), 10);
      setImmediate(() => fired.push("immediate"));
      await locker.check("faked");
      await sleep(50);
    });
    setTimeout(() => fired.push("timeout after"), 10);
    await sleep(50);
    expect(fired).toEqual([]);

    vi.advanceTimersByTime(20);
    expect(fired.sort()).toEqual(["immediate", "timeout", "timeout after"]);
  });

  test("stop nothing when they fake queueMicrotask, too, as those of Jest do", async () => {
    await using locker = createLocker({ url: database.url, requestTimeoutMs: 2_000 });
    await locker.ready();
    vi.useFakeTimers({
      toFake: ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "Date", "performance"],
    });
    const lock = await locker.acquire("microtasks");
    await lock.renew();
    await lock.release();
    expect(await locker.check("microtasks")).toBeNull();
  });

  test("do not keep a lost connection from coming back", async () => {
    await using proxy = await startProxy(database.url);
    const lost: unknown[] = [];
    await using locker = createLocker({
      url: proxy.url(database.url),
      ttlMs: 4_000,
      takeoverDelayMs: 4_000,
      onLost: (_, error) => lost.push(error),
    });
    const lock = await locker.acquire("faked");
    const before = lock.expiresAt.getTime();
    vi.useFakeTimers();
    proxy.cutAll();
    while (lock.expiresAt.getTime() - before < 5_000 && lost.length === 0) await sleep(50);

    expect(lost).toEqual([]);
    expect(lock.held).toBe(true);
    await lock.release();
  });

  test("a locker that is opened under them works, and warns of nothing", async () => {
    const warnings: unknown[] = [];
    const onWarning = (warning: unknown) => warnings.push(warning);
    process.on("warning", onWarning);
    vi.useFakeTimers();
    const locker = createLocker({ url: database.url, ttlMs: 4_000 });
    const lock = await locker.acquire("faked");
    const before = lock.expiresAt.getTime();
    while (lock.expiresAt.getTime() - before < 5_000 && lock.held) await sleep(50);
    lock.assertHeld();
    await locker.close();
    vi.useRealTimers();
    await sleep(10);
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });
});
