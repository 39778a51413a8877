// createTestLocker: locks on a clock that only the test moves, and faults that it makes.
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { InvalidOptionError, LeaseLostError, type Locker, UnavailableError } from "../../src/index.js";
import { createTestLocker, type TestLocker, type TestLockerOptions } from "../../src/testing.js";

function open(options?: TestLockerOptions): TestLocker {
  const made = createTestLocker(options);
  onTestFinished(() => made.locker.close());
  return made;
}

/** Whether it is settled, by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const settled = promise.then(
    () => true,
    () => true,
  );
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([settled, Promise.resolve(pending)])) !== pending;
}

describe("the clock", () => {
  test("stands still: a lock is held until the test says that its time is up, to the millisecond", async () => {
    const { locker, clock } = open();
    const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([lock.heldMs, clock.now() - lock.acquiredAt.getTime()]).toEqual([0, 0]);
    // The locker stops to believe 1 % and 2 ms before the store ends the lease.
    await clock.advance(9_897);
    expect(lock.held).toBe(true);
    await clock.advance(1);
    expect(lock.held).toBe(false);
    expect(lock.signal.reason).toMatchObject({ reason: "expired" });
  });

  test("renewals run as it moves, each at its moment", async () => {
    const { locker, clock } = open({ ttlMs: 9_000 });
    const lock = await locker.acquire("a");
    await clock.advance(3_600_000);
    expect(lock.held).toBe(true);
    expect(locker.stats().renewed).toBeGreaterThanOrEqual(1_199);
  });

  test("a wait times out on it, and gets its turn on it", async () => {
    const { locker, clock, otherProcess } = open();
    const other = otherProcess();
    const held = await other.acquire("a");
    const late = locker.acquire("a", { waitMs: 5_000 });
    const inTime = locker.acquire("a", { waitMs: 60_000 });
    late.catch(() => undefined);
    await clock.advance(4_999);
    expect(await isSettled(late)).toBe(false);
    await clock.advance(1);
    await expect(late).rejects.toMatchObject({ code: "wait-timeout", holder: { owner: other.locks()[0]?.owner } });
    await held.release();
    expect((await inTime).held).toBe(true); // woken, without a move of the clock
    await other.close();
  });

  test("what is due at once is not the test's business: tries without a pause between them need no move", async () => {
    const { locker, otherProcess } = open();
    const other = otherProcess();
    await other.acquire("a");
    const tried = locker.acquire("a", { retry: (attempt) => (attempt < 3 ? 0 : null) });
    await expect(tried).rejects.toMatchObject({ code: "retries-exhausted", attempts: 3 });
    await other.close();
  });

  test("moves that are asked for at once come one after another", async () => {
    const { clock } = open();
    const startMs = clock.now();
    await Promise.all([clock.advance(10), clock.advance(20), clock.advance(0)]);
    expect(clock.now() - startMs).toBe(30);
  });

  test.each([-1, 1.5, Number.NaN, "10", null])("advance(%s) is refused", async (ms) => {
    const { clock } = open();
    expect(() => clock.advance(ms as number)).toThrow(InvalidOptionError);
  });

  test("a minimum hold keeps the key, a maximum hold ends the lock", async () => {
    const { locker, clock } = open();
    await (await locker.acquire("min", { minHoldMs: 60_000 })).release();
    expect(await locker.tryAcquire("min")).toBeNull();
    expect(await locker.check("min")).toMatchObject({ state: "cooling", remainingMs: 60_000 });
    await clock.advance(60_000);
    expect(await locker.tryAcquire("min")).not.toBeNull();

    const lost: LeaseLostError[] = [];
    const max = await locker.acquire("max", { maxHoldMs: 45_000, onLost: (_, error) => lost.push(error) });
    await clock.advance(45_000);
    expect(max.held).toBe(false);
    expect(lost).toMatchObject([{ reason: "max-hold" }]);
  });
});

describe("faults", () => {
  test.each(["taken", "expired", "max-hold", "forced"] as const)("lose: %s, at once", async (reason) => {
    const { locker, faults, otherProcess } = open();
    const lock = await locker.acquire("a");
    const { signal } = lock;
    faults.lose("a", reason);
    expect(signal.reason).toMatchObject({ code: "lease-lost", reason, key: "a" });
    await expect(lock.release()).rejects.toBeInstanceOf(LeaseLostError);
    await using other = otherProcess();
    expect((await other.tryAcquire("a"))?.fence).toBe(lock.fence + 1n);
    faults.lose("free"); // nobody has it
  });

  test("crash: its locks are free after takeoverDelayMs, and it can do nothing any more", async () => {
    const { locker, clock, faults, otherProcess } = open({ takeoverDelayMs: 5_000 });
    const dead = otherProcess();
    const lock = await dead.acquire("a", { minHoldMs: 600_000 });
    const queued = dead.acquire("b");
    await queued;
    const behind = dead.acquire("b", { waitMs: 3_000 });
    behind.catch(() => undefined);
    faults.crash(dead);
    expect(lock.held).toBe(false);
    const next = locker.acquire("a");
    await clock.advance(4_999);
    expect(await isSettled(next)).toBe(false);
    await clock.advance(1_000);
    expect((await next).fence).toBeGreaterThan(lock.fence);
    expect(locker.stats().takenOver).toEqual({ expired: 0, orphaned: 1 });
    const renewed = lock.renew();
    renewed.catch(() => undefined);
    await clock.advance(10_000);
    await expect(renewed).rejects.toMatchObject({ code: "unavailable" });
    await expect(behind).rejects.toMatchObject({ code: "unavailable" });
    await dead.close(); // which takes its time, on the test's clock
  });

  test("disconnect: what needs the store fails or waits, what is held lives by its TTL; heal: all goes on", async () => {
    const { locker, clock, faults } = open({ ttlMs: 30_000 });
    const [kept, lost] = [await locker.acquire("kept"), await locker.acquire("lost", { ttlMs: 8_000 })];
    faults.disconnect();
    const refused = locker.tryAcquire("b");
    refused.catch(() => undefined);
    const waits = locker.acquire("c", { waitMs: 60_000 });
    await clock.advance(10_000);
    await expect(refused).rejects.toBeInstanceOf(UnavailableError);
    expect([kept.held, lost.held]).toEqual([true, false]);
    faults.heal();
    await clock.advance(2_000);
    expect((await waits).held).toBe(true);
    await clock.advance(60_000);
    expect(kept.held).toBe(true);
  });

  test("slow: each answer takes its time, and a call gives up after requestTimeoutMs", async () => {
    const { locker, clock, faults } = open({ requestTimeoutMs: 1_000 });
    await locker.ready();
    faults.slow(400);
    const slow = locker.acquire("a");
    await clock.advance(399);
    expect(await isSettled(slow)).toBe(false);
    await clock.advance(1);
    expect((await slow).remainingMs).toBe(30_000 * 0.99 - 2 - 400);
    faults.slow(5_000);
    const late = locker.check("b");
    late.catch(() => undefined);
    await clock.advance(1_000);
    await expect(late).rejects.toMatchObject({ code: "unavailable", outcome: "unknown" });
    faults.heal(); // what is on its way arrives: closing does not wait for the clock
  });

  test("slow: of any number of answers on their way, each arrives", async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warned);
    onTestFinished(() => void process.off("warning", warned));
    const { locker, clock, faults } = open();
    await locker.ready();
    faults.slow(100);
    const locks = Array.from({ length: 20 }, (_, index) => locker.acquire(`a${index}`));
    await clock.advance(10_000);
    expect((await Promise.all(locks)).every((lock) => lock.held)).toBe(true);
    faults.heal();
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  test("heal: answers that are on their way arrive at once, and so does that to what was asked just before", async () => {
    const { locker, faults } = open();
    await locker.ready();
    const settled: boolean[] = [];
    for (let steps = 0; steps < 10; steps += 1) {
      faults.slow(100);
      const asked = locker.check("a");
      for (let step = 0; step < steps; step += 1) await null;
      faults.heal();
      settled.push(await isSettled(asked));
    }
    expect(settled).not.toContain(false);

    faults.slow(100);
    const onItsWay = locker.check("a");
    expect(await isSettled(onItsWay)).toBe(false);
    faults.heal();
    expect(await isSettled(onItsWay)).toBe(true);
  });

  test("heal: what is asked from then on is answered at once, and the clock has not moved", async () => {
    const { locker, clock, faults } = open();
    await locker.ready();
    faults.slow(5_000);
    const fromMs = clock.now();
    const slow = locker.acquire("a");
    expect(await isSettled(slow)).toBe(false);
    faults.heal();
    expect([(await slow).held, await locker.isLocked("a"), clock.now() - fromMs]).toEqual([true, true, 0]);
  });

  test("failNext: the next call alone", async () => {
    const { locker, faults } = open();
    const cause = new Error("disk full");
    faults.failNext(cause);
    await expect(locker.check("a")).rejects.toMatchObject({ code: "unavailable", cause });
    expect(await locker.check("a")).toBeNull();
    faults.failNext(new UnavailableError({ outcome: "not-sent" }));
    await locker.withLock("a", () => undefined); // a wait outlasts it
  });

  test("failNext: an error of another realm, as Node's own are under Jest", async () => {
    const { locker, faults } = open();
    const cause = runInNewContext("new Error('refused')") as Error;
    expect(cause).not.toBeInstanceOf(Error);
    faults.failNext(cause);
    await expect(locker.check("a")).rejects.toMatchObject({ code: "unavailable", cause });
  });

  test("what is no fault is refused by name", () => {
    const { faults } = open();
    expect(() => faults.crash({} as Locker)).toThrow(/^locker: expected a locker of this createTestLocker/);
    expect(() => faults.lose("a", "closed" as "taken")).toThrow(/^reason: expected "taken" or/);
    expect(() => faults.slow(-1)).toThrow(/^ms: expected an integer/);
    expect(() => faults.failNext("x" as never)).toThrow(/^error: expected an Error/);
  });
});

test("closing moves the clock as far as it takes: what it waits for is not the test's business", async () => {
  const { locker, clock, faults } = createTestLocker();
  const lock = await locker.acquire("a", { ttlMs: 8_000, keepAlive: false });
  faults.disconnect();
  await clock.advance(8_000);
  expect(lock.held).toBe(false);
  const startMs = clock.now();
  await locker.close(); // its last words have nobody to hear them
  expect(clock.now() - startMs).toBeLessThan(60_000);

  const drained = createTestLocker();
  const held = await drained.locker.acquire("a");
  const closing = drained.locker.close({ drainMs: 10_000 });
  const fromMs = drained.clock.now();
  await closing;
  expect([held.held, drained.clock.now() - fromMs]).toEqual([false, 10_000]);
});

test("two processes exclude each other, and two test lockers have nothing in common", async () => {
  const one = open();
  const two = open();
  const other = one.otherProcess();
  const lock = await one.locker.acquire("a");
  expect(await other.tryAcquire("a")).toBeNull();
  expect(await other.check("a")).toMatchObject({ owner: lock.owner, isThisProcess: false });
  expect(await two.locker.tryAcquire("a")).not.toBeNull();
  await other.close();
});

test("it neither needs fake timers nor is disturbed by them", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { locker, clock } = open({ ttlMs: 9_000 });
  const lock = await locker.acquire("a");
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(lock.held).toBe(true);
  expect(locker.stats().renewed).toBe(0);
  await clock.advance(3_000);
  expect(locker.stats().renewed).toBe(1);
});

test("whoever is next is woken also under fake timers that fake queueMicrotask, as those of Jest do", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "setImmediate", "queueMicrotask", "Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const { locker, clock, otherProcess } = open();
  await using other = otherProcess();
  const held = await other.acquire("a");
  const waiting = locker.acquire("a");
  await clock.advance(100);
  await held.release();
  await clock.advance(0);
  expect(locker.locks()).toHaveLength(1);
  await waiting;
});

test("options of a database are refused, and the environment is not asked", async () => {
  vi.stubEnv("LEASEHOLD_STORE", "postgres");
  onTestFinished(() => void vi.unstubAllEnvs());
  const { locker } = open();
  expect((await locker.ping()).serverVersion).toBe("memory");
  expect(() => createTestLocker({ url: "postgres://db.example" } as TestLockerOptions)).toThrow(
    /^url: expected no url/,
  );
});

test.each([[null], [5], ["x"], [[]], [() => undefined]])(
  "options that are none are refused: %s",
  (options: unknown) => {
    const { otherProcess } = open();
    expect(() => createTestLocker(options as never)).toThrow(/^createTestLocker's options: expected an object, got/);
    expect(() => otherProcess(options as never)).toThrow(/^otherProcess's options: expected an object, got/);
  },
);

test("it works where AbortController is not Node's own, as in the jsdom environment of a test runner", async () => {
  class ForeignSignal {
    aborted = false;
    reason: unknown;
    readonly #target = new EventTarget();
    readonly addEventListener = this.#target.addEventListener.bind(this.#target);
    readonly removeEventListener = this.#target.removeEventListener.bind(this.#target);
    abort(reason: unknown): void {
      Object.assign(this, { aborted: true, reason });
      this.#target.dispatchEvent(new Event("abort"));
    }
  }
  class ForeignController {
    readonly signal = new ForeignSignal();
    abort(reason: unknown): void {
      this.signal.abort(reason);
    }
  }
  vi.stubGlobal("AbortController", ForeignController);
  onTestFinished(() => void vi.unstubAllGlobals());
  const { locker, faults } = open();
  const { signal } = await locker.acquire("a");
  faults.lose("a");
  expect(signal).toBeInstanceOf(ForeignSignal);
  expect(signal.reason).toMatchObject({ code: "lease-lost" });
});
