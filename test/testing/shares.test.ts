// createTestLocker with read locks and semaphores: who waits for whom, and the same faults.
import { expect, onTestFinished, test } from "vitest";
import type { AcquireOptions, Lock } from "../../src/index.js";
import { createTestLocker, type TestLocker } from "../../src/testing.js";

const READ = { shared: true };

function open(): TestLocker {
  const made = createTestLocker({ keepAlive: false, ttlMs: 600_000, waitMs: 300_000 });
  onTestFinished(async () => {
    made.faults.heal();
    await made.locker.close();
  });
  return made;
}

/** What has become of calls, in the order in which they were made: their modes, or null while they wait. */
function watch(calls: readonly Promise<Lock>[]): (Lock | null)[] {
  const locks: (Lock | null)[] = calls.map(() => null);
  for (const [index, call] of calls.entries()) {
    void call.then((lock) => {
      locks[index] = lock;
    });
  }
  return locks;
}

test("a writer in line stops later readers; those side by side get in together, in whatever process", async () => {
  const { locker, clock, otherProcess } = open();
  await using other = otherProcess();
  const first = await locker.acquire("a", READ);
  const calls: Promise<Lock>[] = [];
  const ask = async (by: typeof locker, options: AcquireOptions): Promise<void> => {
    calls.push(by.acquire("a", options));
    await clock.advance(0);
  };
  await ask(other, {});
  await ask(locker, READ);
  await ask(other, READ);
  await ask(locker, READ);
  const locks = watch(calls);
  await clock.advance(5_000);
  expect(locks).toEqual([null, null, null, null]);
  expect(await other.tryAcquire("a", READ)).toBeNull();

  await first.release();
  await clock.advance(1);
  expect(locks.map((lock) => lock?.mode)).toEqual(["exclusive", undefined, undefined, undefined]);
  await locks[0]?.release();
  // All are woken at once: nobody waits for the next look.
  await clock.advance(1);
  expect(locks.slice(1).map((lock) => lock?.held)).toEqual([true, true, true]);
  expect(locker.locks("a")).toHaveLength(2);
  for (const lock of locks.slice(1)) await lock?.release();
});

test("each part of a semaphore that is let go lets the next one in, and no more than fit", async () => {
  const { locker, clock, otherProcess } = open();
  await using other = otherProcess();
  const held = [await locker.acquire("a", { capacity: 2 }), await other.acquire("a", { capacity: 2 })];
  const calls = [locker, other, locker, other].map((by) => by.acquire("a", { capacity: 2 }));
  const locks = watch(calls);
  await clock.advance(1);
  const holding = (): number => locks.filter((lock) => lock?.held).length;
  expect(holding()).toBe(0);
  await held[0]?.release();
  await clock.advance(1);
  expect(holding()).toBe(1);
  await held[1]?.release();
  await clock.advance(1);
  expect(holding()).toBe(2);
  while (locks.some((lock) => lock === null)) {
    await locks.find((lock) => lock?.held)?.release();
    await clock.advance(1);
    expect(holding()).toBe(2);
  }
  for (const call of calls) await (await call).release().catch(() => undefined);
});

test("one part that frees a weight of 2 lets two in, also of one process", async () => {
  const { locker, clock } = open();
  const held = await locker.acquire("a", { capacity: 2, weight: 2 });
  const calls = [1, 2, 3].map(() => locker.acquire("a", { capacity: 2 }));
  const locks = watch(calls);
  await clock.advance(1);
  await held.release();
  await clock.advance(1);
  expect(locks.map((lock) => lock !== null)).toEqual([true, true, false]);
  await locks[0]?.release();
  await clock.advance(1);
  for (const lock of locks.slice(1)) await lock?.release();
});

test("lose: all who share the key lose it, and the next one has it", async () => {
  const { locker, clock, faults, otherProcess } = open();
  await using other = otherProcess();
  const readers = [await locker.acquire("a", READ), await locker.acquire("a", READ), await other.acquire("a", READ)];
  const waiting = watch([other.acquire("a")]);
  await clock.advance(1);
  faults.lose("a", "forced");
  expect(readers.map(({ signal }) => signal.reason?.reason)).toEqual(["forced", "forced", "forced"]);
  await clock.advance(1);
  expect(waiting[0]?.held).toBe(true);
  await waiting[0]?.release();
});

test("crash: the parts of a dead process are free after its takeover delay, and those of others are theirs", async () => {
  const { locker, clock, faults, otherProcess } = open();
  const dead = otherProcess({ takeoverDelayMs: 5_000 });
  await dead.acquire("a", { capacity: 3, weight: 2 });
  const own = await locker.acquire("a", { capacity: 3 });
  faults.crash(dead);
  const waiting = watch([locker.acquire("a", { capacity: 3, weight: 2 })]);
  await clock.advance(4_999);
  expect(waiting).toEqual([null]);
  await clock.advance(1_000);
  expect([waiting[0]?.held, own.held]).toEqual([true, true]);
  expect(locker.stats()).toMatchObject({ acquired: 2, takenOver: { expired: 0, orphaned: 1 } });
  for (const lock of [own, waiting[0]]) await lock?.release();
  await dead.close();
});

test("disconnect: what is held in shares lives by its TTL, and who waits goes on waiting", async () => {
  const { locker, clock, faults } = open();
  const reader = await locker.acquire("a", READ);
  const waiting = watch([locker.acquire("a")]);
  await clock.advance(1);
  faults.disconnect();
  await clock.advance(20_000);
  expect([reader.held, waiting[0]]).toEqual([true, null]);
  faults.heal();
  await reader.release();
  await clock.advance(2_000);
  expect(waiting[0]?.mode).toBe("exclusive");
  await waiting[0]?.release();
});

test("a wait for a key that this process shares says that nothing is upgraded", async () => {
  const { locker, clock } = open();
  const reader = await locker.acquire("a", READ);
  const refused = locker.acquire("a", { waitMs: 1_000 }).catch((error: unknown) => error);
  await clock.advance(1_000);
  expect(await refused).toMatchObject({ code: "wait-timeout", isHeldHere: true });
  expect(String(await refused)).toContain("a lock is never upgraded");
  await reader.release();
});

test("a share that is handed over goes on beside the others, with its mode and weight", async () => {
  const { locker, otherProcess } = open();
  await using other = otherProcess();
  const beside = await locker.acquire("a", { capacity: 3 });
  const detached = await (await locker.acquire("a", { capacity: 3, weight: 2 })).detach();
  const adopted = await other.adopt(detached);
  expect([adopted.mode, adopted.weight, `${adopted.fence}`]).toEqual(["semaphore", 2, detached.fence]);
  expect(other.locks("a")).toEqual([adopted]);
  expect([beside.held, await locker.tryAcquire("a", { capacity: 3 })]).toEqual([true, null]);
  await adopted.release();
  for (const lock of [beside, await locker.tryAcquire("a", { capacity: 3, weight: 2 })]) await lock?.release();
});

test("check tells who shares the key", async () => {
  const { locker, otherProcess } = open();
  await using other = otherProcess({ owner: "other" });
  const locks = [await other.acquire("a", READ), await locker.acquire("a", { capacity: 5, weight: 2 })];
  expect(await locker.check("a")).toMatchObject({
    state: "held",
    mode: "shared",
    owner: "other",
    fence: locks[0]?.fence,
    isThisProcess: true,
    holders: [
      { owner: "other", fence: locks[0]?.fence, weight: 1, isThisProcess: false },
      { fence: locks[1]?.fence, weight: 2, isThisProcess: true },
    ],
  });
  const taken = await locker.forceRelease("a", { immediate: true });
  expect(taken).toMatchObject({ outcome: "released", holders: [{ weight: 1 }, { weight: 2 }] });
  for (const lock of locks) await lock.release().catch(() => undefined);
  expect(await locker.check("a")).toBeNull();
});

test("a check of a free key, asked of the memory, is null", async () => {
  const { locker } = open();
  const locks = [await locker.acquire("a", READ)];
  for (const lock of locks) await lock.release();
  expect(await locker.check("a")).toBeNull();
});
