// What a small locking module with providers offers, here. docs/coming-from/locking-atom.md names each test.
import { expect, onTestFinished, test, vi } from "vitest";
import {
  createLocker,
  InvalidKeyError,
  InvalidOptionError,
  LeaseLostError,
  type Lock,
  type Locker,
  type LockerOptions,
  NotAcquiredError,
  NotHeldError,
} from "../../src/index.js";
import { memoryStore, noopStore } from "../../src/store.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { open } from "./open.js";

const database = await createDatabase();

test("acquire without a retry, with a TTL", async () => {
  const { locker, other } = open();
  const lock = await locker.tryAcquire("a", { ttlMs: 10_000, keepAlive: false });
  expect(lock).toMatchObject({ key: "a", ttlMs: 10_000 });
  expect(await other.tryAcquire("a")).toBeNull();
});

test("the error not acquired", async () => {
  const { locker, other } = open();
  await locker.acquire("a");
  await expect(other.acquire("a", { waitMs: 0 })).rejects.toBeInstanceOf(NotAcquiredError);
});

test("release", async () => {
  const { locker, other } = open();
  await (await locker.acquire("a")).release();
  expect(await other.isLocked("a")).toBe(false);
});

test("refresh with another TTL", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  await lock.renew(60_000);
  expect(lock.ttlMs).toBe(60_000);
  await clock.advance(50_000);
  expect(lock.held).toBe(true);
});

test("key and TTL of a lock", async () => {
  const { locker } = open();
  const { key, ttlMs } = await locker.acquire("a", { ttlMs: 5_000 });
  expect([key, ttlMs]).toEqual(["a", 5_000]);
});

test("ping", async () => {
  await using locker = openLocker(database);
  const { ms, serverVersion } = await locker.ping();
  expect(ms).toBeGreaterThanOrEqual(0);
  expect(serverVersion).toMatch(/^\d/);
});

test("close", async () => {
  const { locker, other } = open();
  await locker.acquire("a");
  await locker.close();
  expect(await other.isLocked("a")).toBe(false);
  await expect(locker.tryAcquire("a")).rejects.toMatchObject({ code: "closed" });
});

test("the error not held: it expired", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await clock.advance(1_000);
  await expect(lock.release()).rejects.toMatchObject({ code: "lease-lost", reason: "expired" });
});

test("the error not held: it was stolen", async () => {
  const { locker, other, faults } = open();
  const lock = await locker.acquire("a");
  faults.lose("a", "taken");
  await other.acquire("a");
  await expect(lock.renew()).rejects.toMatchObject({ code: "lease-lost", reason: "taken" });
});

test("the error not held: released twice", async () => {
  const { locker } = open();
  const lock = await locker.acquire("a");
  await lock.release();
  const error = await lock.release().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(NotHeldError);
  expect(error).not.toBeInstanceOf(LeaseLostError);
});

test("the error not held: the connection was lost", async () => {
  const { locker, clock, faults } = open();
  const lock = await locker.acquire("a", { ttlMs: 8_000 });
  faults.disconnect();
  await clock.advance(8_000);
  expect(() => lock.assertHeld()).toThrow(LeaseLostError);
});

test.each([
  ["a configuration that is none", () => createLocker(null as unknown as LockerOptions)],
  ["a client that is none", () => createLocker({ client: null } as unknown as LockerOptions)],
  ["a TTL that is none", () => createLocker({ ttlMs: -1 })],
])("the error for %s", (_, make) => {
  expect(make).toThrow(InvalidOptionError);
});

test("the error for an empty key", async () => {
  const { locker } = open();
  await expect(locker.acquire("")).rejects.toBeInstanceOf(InvalidKeyError);
});

test("a memory provider", async () => {
  const store = memoryStore();
  await using one = createLocker({ store });
  await using other = createLocker({ store });
  await one.acquire("a");
  expect(await other.tryAcquire("a")).toBeNull();
});

test("a no-op provider, which says once that it locks nothing", async () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  onTestFinished(() => warned.mockRestore());
  const store = noopStore();
  await using one = createLocker({ store });
  await using other = createLocker({ store });
  expect([(await one.tryAcquire("a"))?.held, (await other.tryAcquire("a"))?.held]).toEqual([true, true]);
  expect(warned.mock.calls.length).toBeLessThanOrEqual(1);
  for (const call of warned.mock.calls) expect(call[1]).toMatchObject({ code: "LEASEHOLD_NOOP_STORE" });
});

test("a mock", async () => {
  const body = vi.fn();
  const lock = { key: "a", fence: 1n, assertHeld: () => undefined } as Lock;
  const locker: Pick<Locker, "withLock"> = { withLock: async (_key, run) => run(lock) };
  await locker.withLock("a", body);
  expect(body).toHaveBeenCalledWith(lock);
});

test("the provider by configuration", async () => {
  vi.stubEnv("LEASEHOLD_STORE", "memory");
  onTestFinished(() => void vi.unstubAllEnvs());
  await using locker = createLocker();
  expect((await locker.ping()).serverVersion).toBe("memory");
});
