// What an etcd lock that runs jobs offers, here. docs/coming-from/etcd-lock-with-jobs.md names each test.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, getLocker, type LeaseLostError, type Lock, type Locker } from "../../src/index.js";
import { open } from "./open.js";

test("lock and unlock by key with a TTL", async () => {
  const { locker, other } = open();
  await locker.acquire("a", { ttlMs: 10_000 });
  expect(await other.tryAcquire("a")).toBeNull();
  await locker.get("a")?.release();
  expect(await other.tryAcquire("a")).not.toBeNull();
});

test("unlock by key, without a lock, finds none", async () => {
  const { locker, other } = open();
  await other.acquire("a");
  expect(locker.get("a")).toBeUndefined();
});

test("run a function under the lock, and get its duration", async () => {
  const { locker, other, clock } = open();
  const running = locker.tryWithLock("job", async (lock) => {
    expect(await other.isLocked("job")).toBe(true);
    await clock.advance(1_500);
    return lock.heldMs;
  });
  expect(await running).toEqual({ acquired: true, value: 1_500, heldMs: 1_500 });
  expect(await other.isLocked("job")).toBe(false);
});

test("run a job object under the lock", async () => {
  const { locker } = open();
  const job = {
    runs: 0,
    async run(lock: Lock): Promise<bigint> {
      this.runs += 1;
      return lock.fence;
    },
  };
  expect(await locker.withLock("job", (lock) => job.run(lock))).toBe(1n);
  expect(job.runs).toBe(1);
});

test("a job that fails lets go of the lock, and its error comes through", async () => {
  const { locker, other } = open();
  const failing = locker.withLock("job", () => Promise.reject(new Error("no paper")));
  await expect(failing).rejects.toThrow("no paper");
  expect(await other.isLocked("job")).toBe(false);
});

test("a maximum hold with a callback that is told the key and how long it was held", async () => {
  const { locker, clock, other } = open();
  const told: unknown[] = [];
  const onLost = ({ key, heldMs }: Lock, { reason }: LeaseLostError): void => void told.push([key, heldMs, reason]);
  const lock = await locker.acquire("job", { maxHoldMs: 5_000, onLost });
  await clock.advance(4_900);
  expect(told).toEqual([]);
  await clock.advance(100);
  expect(told).toEqual([["job", expect.any(Number), "max-hold"]]);
  expect((told as [[string, number]])[0][1]).toBeGreaterThan(4_800);
  expect(lock.signal.aborted).toBe(true);
  await clock.advance(100);
  expect(await other.tryAcquire("job")).not.toBeNull();
});

test("a random time for which the key is kept, so that a job that ends at once is not run again by another node", async () => {
  const { locker, clock, other } = open();
  const kept: number[] = [];
  for (let round = 0; round < 20; round += 1) {
    await locker.withLock("job", () => undefined, { minHoldMs: [1_000, 3_000] });
    expect(await other.tryAcquire("job")).toBeNull();
    kept.push((await other.check("job"))?.remainingMs ?? 0);
    await clock.advance(3_000);
  }
  expect(Math.min(...kept)).toBeGreaterThanOrEqual(1_000);
  expect(Math.max(...kept)).toBeLessThanOrEqual(3_000);
  expect(new Set(kept).size).toBeGreaterThan(1);
});

test("a prefix", async () => {
  const { locker } = open({ prefix: "jobs:" });
  expect((await locker.acquire("a")).key).toBe("jobs:a");
  expect(locker.get("a")?.key).toBe("jobs:a");
});

test("a callback on success", async () => {
  const acquired: string[] = [];
  const { locker } = open({ onAcquired: ({ key }) => acquired.push(key) });
  await locker.withLock("a", () => undefined);
  expect(acquired).toEqual(["a"]);
});

test("a shared instance: one for each process, made by the first who asks", async () => {
  let made = 0;
  const create = (): Locker => {
    made += 1;
    return createLocker({ store: "memory" });
  };
  const locker = getLocker(create);
  onTestFinished(() => locker.close());
  expect(getLocker(create)).toBe(locker);
  expect(made).toBe(1);
});
