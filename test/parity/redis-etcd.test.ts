// What a locker over Redis or etcd offers, here. docs/coming-from/redis-or-etcd-locker.md names each test.
import { expect, test } from "vitest";
import { backoff, ClosedError, NotAcquiredError, RetriesExhaustedError, WaitTimeoutError } from "../../src/index.js";
import { open } from "./open.js";

test("obtain without waiting", async () => {
  const { locker, other } = open();
  const lock = await locker.tryAcquire("a", { ttlMs: 10_000 });
  expect(lock?.held).toBe(true);
  expect(await other.tryAcquire("a")).toBeNull();
});

test("obtain with a maximum of retries", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a");
  const tried = locker.acquire("a", { retry: backoff.fixed(50, { retries: 2, jitter: 0 }) });
  tried.catch(() => undefined);
  await clock.advance(1_000);
  await expect(tried).rejects.toMatchObject({ code: "retries-exhausted", attempts: 3 });
});

test("obtain with linear back-off", async () => {
  const { locker, other, clock } = open();
  const held = await other.acquire("a");
  const startMs = clock.now();
  const acquiring = locker
    .acquire("a", { retry: backoff.linear(100, { jitter: 0 }) })
    .then(() => clock.now() - startMs);
  await clock.advance(250);
  await held.release();
  await clock.advance(10_000);
  expect(await acquiring).toBe(300); // 100 + 200
});

test("obtain with a blocking wait and a maximum", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a");
  const waiting = locker.acquire("a", { waitMs: 3_000 });
  waiting.catch(() => undefined);
  await clock.advance(3_000);
  await expect(waiting).rejects.toBeInstanceOf(WaitTimeoutError);
});

test("a blocking wait with a retry delay", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a");
  const waiting = locker.acquire("a", { waitMs: 1_000, retry: backoff.fixed(300, { jitter: 0 }) });
  waiting.catch(() => undefined);
  await clock.advance(1_000);
  await expect(waiting).rejects.toBeInstanceOf(WaitTimeoutError);
});

test("refresh with the original TTL", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  await clock.advance(9_000);
  await lock.renew();
  expect(lock.ttlMs).toBe(10_000);
  expect(lock.expiresAt.getTime() - clock.now()).toBe(10_000);
});

test("refreshing in the background, whose stop can be called twice and waits for the renewal in flight", async () => {
  const { locker, clock, faults } = open();
  const errors: unknown[] = [];
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  const stop = lock.keepAlive({ everyMs: 3_000, onError: (error) => errors.push(error) });
  faults.slow(500);
  await clock.advance(3_100); // a renewal is in flight
  const order: string[] = [];
  const stopped = [stop(), stop()].map((stopping) => stopping.then(() => void order.push("stopped")));
  await clock.advance(300);
  expect(order).toEqual([]);
  await clock.advance(200);
  await Promise.all(stopped);
  expect(order).toEqual(["stopped", "stopped"]);
  expect(lock.remainingMs).toBeGreaterThan(8_000); // it was renewed
  faults.heal();
  await clock.advance(10_000);
  expect([lock.held, errors]).toEqual([false, []]);
});

test("refreshing in the background tells of what fails", async () => {
  const { locker, clock, faults } = open();
  const errors: unknown[] = [];
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  lock.keepAlive({ everyMs: 3_000, onError: (error) => errors.push(error) });
  faults.disconnect();
  await clock.advance(4_000);
  expect(errors).toMatchObject([{ code: "unavailable", outcome: "not-sent" }]);
});

test("is it locked", async () => {
  const { locker, other } = open();
  expect(await other.isLocked("a")).toBe(false);
  await locker.acquire("a");
  expect(await other.isLocked("a")).toBe(true);
});

test("close releases, and ends what waits", async () => {
  const { locker, other } = open();
  await locker.acquire("a");
  const waiting = other.acquire("a", { waitMs: 60_000 });
  waiting.catch(() => undefined);
  await other.close();
  await expect(waiting).rejects.toBeInstanceOf(ClosedError);
  await locker.close();
  await expect(locker.tryAcquire("b")).rejects.toBeInstanceOf(ClosedError);
});

test("one error for held by another", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a", { owner: "holder" });
  expect(await locker.tryAcquire("a")).toBeNull();
  const calls = [locker.acquire("a", { waitMs: 0 }), locker.acquire("a", { retry: backoff.fixed(1, { retries: 1 }) })];
  const errors = Promise.all(calls.map((call) => call.catch((error: unknown) => error)));
  await clock.advance(1_000);
  for (const error of await errors) {
    expect(error).toBeInstanceOf(NotAcquiredError);
    expect(error).toMatchObject({ holder: { owner: "holder" } });
  }
  expect((await errors)[1]).toBeInstanceOf(RetriesExhaustedError);
});
