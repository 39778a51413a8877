// What a Redis lock with retry strategies offers, here. docs/coming-from/redis-lock-with-retries.md names each test.
import { expect, test } from "vitest";
import {
  backoff,
  InvalidOptionError,
  LeaseLostError,
  type Lock,
  NotAcquiredError,
  NotHeldError,
  RetriesExhaustedError,
  UnavailableError,
} from "../../src/index.js";
import type { TestLocker } from "../../src/testing.js";
import { open } from "./open.js";

/** Runs the clock until it is settled. */
async function settle<Value>(promise: Promise<Value>, { advance }: TestLocker["clock"], ms = 120_000): Promise<Value> {
  promise.catch(() => undefined);
  await advance(ms);
  return await promise;
}

test("a lock with an expiration", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  expect([lock.ttlMs, lock.held]).toEqual([10_000, true]);
  await clock.advance(10_000);
  expect(lock.held).toBe(false);
});

test("a timeout for each attempt", async () => {
  const { locker, clock, faults } = open();
  await locker.ready();
  faults.slow(60_000);
  const attempt = locker.tryAcquire("a");
  await expect(settle(attempt, clock, 5_000)).rejects.toBeInstanceOf(UnavailableError); // requestTimeoutMs
});

test("a value of one's own is owner and metadata; the token is never shared", async () => {
  const { locker, other } = open();
  const lock = await locker.acquire("a", { owner: "worker 7", metadata: { request: "r-1" } });
  expect(await other.check("a")).toMatchObject({ owner: "worker 7", metadata: { request: "r-1" } });
  // the same owner is no reason to be let in
  expect(await other.tryAcquire("a", { owner: "worker 7" })).toBeNull();
  expect(Object.keys(lock.toJSON())).not.toContain("token");
});

test("retry with a fixed interval and a maximum of tries", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a");
  const startMs = clock.now();
  const tried = locker.acquire("a", { retry: backoff.fixed(100, { retries: 3, jitter: 0 }) });
  const refused = tried.catch((error: unknown) => ({ error, afterMs: clock.now() - startMs }));
  await clock.advance(10_000);
  expect(await refused).toMatchObject({ error: { code: "retries-exhausted", attempts: 4, key: "a" }, afterMs: 300 });
});

test("retry with a growing interval", () => {
  const growing = backoff.exponential(100, { maxDelayMs: 1_000, jitter: 0 });
  expect([1, 2, 3, 4, 5, 6].map(growing)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  const steps = backoff.linear(100, { jitter: 0, retries: 3 });
  expect([1, 2, 3, 4].map(steps)).toEqual([100, 200, 300, null]);
});

test("a strategy of one's own", async () => {
  const { locker, other, clock } = open();
  const held = await other.acquire("a");
  const asked: number[] = [];
  const acquiring = locker.acquire("a", {
    retry: (attempt) => {
      asked.push(attempt);
      return attempt * 10;
    },
  });
  await clock.advance(35);
  await held.release();
  expect((await settle(acquiring, clock)).held).toBe(true);
  expect(asked).toEqual([1, 2, 3]);
});

test("retries used up is an error of its own", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a", { owner: "holder" });
  const tried = locker.acquire("a", { retry: backoff.fixed(10, { retries: 1 }) });
  const error = await settle(tried, clock).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RetriesExhaustedError);
  expect(error).toBeInstanceOf(NotAcquiredError);
  expect(error).toMatchObject({ holder: { owner: "holder" } });
});

test("failed to preempt: a try that finds it taken", async () => {
  const { locker, other } = open();
  await other.acquire("a", { owner: "holder" });
  expect(await locker.tryAcquire("a")).toBeNull();
  const result = await locker.tryWithLock("a", () => "done");
  expect(result).toMatchObject({ acquired: false, holder: { owner: "holder" } });
});

test("refresh", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  await clock.advance(8_000);
  await lock.renew();
  await clock.advance(8_000);
  expect(lock.held).toBe(true);
});

test("automatic refresh with an interval", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  const stop = lock.keepAlive({ everyMs: 2_000 });
  await clock.advance(60_000);
  expect(lock.held).toBe(true);
  await stop();
  await clock.advance(10_000);
  expect(lock.held).toBe(false);
});

test("automatic refresh tries again after a timeout, for as long as the lock lasts", async () => {
  const { locker, clock, faults } = open();
  const errors: unknown[] = [];
  const lock = await locker.acquire("a", { ttlMs: 30_000, keepAlive: false });
  lock.keepAlive({ everyMs: 5_000, onError: (error) => errors.push(error) });
  faults.disconnect();
  await clock.advance(20_000);
  faults.heal();
  await clock.advance(20_000);
  expect(lock.held).toBe(true);
  expect(errors).toMatchObject([{ code: "unavailable" }]); // told once
});

test("unlock, and not held", async () => {
  const { locker, clock, other } = open();
  const lock = await locker.acquire("a");
  await lock.release();
  expect(await other.isLocked("a")).toBe(false);
  await expect(lock.release()).rejects.toBeInstanceOf(NotHeldError);

  const late = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await clock.advance(1_000);
  await expect(late.release()).rejects.toBeInstanceOf(LeaseLostError);
  expect(() => late.assertHeld()).toThrow(LeaseLostError);
});

test("only the holder unlocks: a key alone is not enough", async () => {
  const { locker, other } = open();
  const lock: Lock = await locker.acquire("a");
  expect(other.get("a")).toBeUndefined();
  expect(locker.get("a")).toBe(lock);
});

test("an expiration that is none is refused by name", async () => {
  const { locker } = open();
  for (const ttlMs of [0, -1, Number.NaN, "10s"]) {
    await expect(locker.acquire("a", { ttlMs: ttlMs as number })).rejects.toBeInstanceOf(InvalidOptionError);
  }
});
