// What a lock module with registered drivers and weighted instances offers, here. docs/coming-from/module-with-drivers.md names each test.
import { expect, onTestFinished, test, vi } from "vitest";
import { configFromEnv, parseConfig } from "../../src/config.js";
import {
  backoff,
  createLocker,
  key,
  LeaseLostError,
  type Locker,
  NotMigratedError,
  UnavailableError,
  UnsupportedError,
  WaitTimeoutError,
} from "../../src/index.js";
import { memoryStore, type Store, type StoreFactory } from "../../src/store.js";
import { createDatabase, createEmptyDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { storeWith } from "../support/store-with.js";
import { open } from "./open.js";

const database = await createDatabase();

/** Two instances in memory. */
function openInstances(): Locker {
  const instances = { east: { store: memoryStore(), weight: 2 }, west: { store: memoryStore() } };
  const locker = createLocker({ instances });
  onTestFinished(() => locker.close());
  return locker;
}

/** A driver of one's own: the one in memory, but for these members. */
function memoryWith(change: (store: Store) => Parameters<typeof storeWith>[1]): StoreFactory {
  const make = memoryStore();
  return (context) => {
    const store = make(context);
    return storeWith(store, change(store));
  };
}

test("drivers are registered by name, and configuration names one", async () => {
  const stores: Record<string, StoreFactory> = { mine: memoryStore(), theirs: memoryStore() };
  await using locker = createLocker({ store: "mine", stores });
  expect((await locker.acquire("a")).held).toBe(true);
  expect(() => createLocker({ store: "nobody's", stores })).toThrow(/"mine", "theirs"/);

  vi.stubEnv("LEASEHOLD_STORE", "theirs");
  onTestFinished(() => void vi.unstubAllEnvs());
  await using other = createLocker({ stores });
  expect((await other.tryAcquire("a"))?.held).toBe(true); // in another store
});

test("several named instances with weights", () => {
  const locker = openInstances();
  expect(locker.instances).toEqual(["east", "west"]);
  expect(() => locker.on("north")).toThrow(/east.*west/);
});

test("a negative weight takes an instance out of the routing", async () => {
  const instances = { east: { store: memoryStore() }, west: { store: memoryStore(), weight: -1 } };
  await using locker = createLocker({ instances });
  const locks = await Promise.all(Array.from({ length: 50 }, (_, index) => locker.acquire(`a:${index}`)));
  expect(new Set(locks.map(({ instance }) => instance))).toEqual(new Set(["east"]));
  expect((await locker.on("west").acquire("a:0")).instance).toBe("west");
});

test("everything by configuration", async () => {
  const options = parseConfig({ store: "memory", ttlMs: "45s", prefix: "shop:" });
  await using locker = createLocker(options);
  expect(await locker.acquire("a")).toMatchObject({ key: "shop:a", ttlMs: 45_000 });
  expect(configFromEnv({ LEASEHOLD_STORE: "memory", LEASEHOLD_TTL: "45s" })).toMatchObject({ ttlMs: 45_000 });
});

test("lock, and try to lock", async () => {
  const { locker, other } = open();
  const lock = await locker.acquire("a");
  expect(lock.held).toBe(true);
  expect(await other.tryAcquire("a")).toBeNull();
});

test("wait for a lock, with a timeout and an interval", async () => {
  const { locker, other, clock } = open();
  await other.acquire("a");
  const waiting = locker.acquire("a", { waitMs: 1_000, retry: backoff.fixed(100, { jitter: 0 }) });
  waiting.catch(() => undefined);
  await clock.advance(1_000);
  await expect(waiting).rejects.toBeInstanceOf(WaitTimeoutError);
});

test("wait for a lock until a context is cancelled", async () => {
  const { locker, other } = open();
  await other.acquire("a");
  const context = new AbortController();
  const waiting = locker.acquire("a", { signal: context.signal, waitMs: Number.POSITIVE_INFINITY });
  const reason = new Error("the request was closed");
  context.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  expect((await other.check("a"))?.waiters).toBe(0);
});

test("each of these on a named instance", async () => {
  const locker = openInstances();
  const [east, west] = [locker.on("east"), locker.on("west")];
  const lock = await east.acquire("a");
  expect(lock.instance).toBe("east");
  expect(await east.tryAcquire("a")).toBeNull();
  expect((await west.tryAcquire("a"))?.instance).toBe("west"); // another lock of that name
  await expect(east.acquire("a", { waitMs: 0 })).rejects.toMatchObject({ code: "wait-timeout" });
});

test("locked, and could not check, are told apart", async () => {
  const { locker, faults } = open();
  expect(await locker.isLocked("a")).toBe(false);
  await locker.acquire("a");
  expect(await locker.isLocked("a")).toBe(true);
  expect(await locker.check("a")).toMatchObject({ state: "held", isThisProcess: true });
  faults.failNext(new UnavailableError({ outcome: "not-sent" }));
  await expect(locker.isLocked("a")).rejects.toBeInstanceOf(UnavailableError);
});

test("refresh, also by key", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  await clock.advance(8_000);
  await lock.renew();
  await clock.advance(8_000);
  await locker.get("a")?.renew();
  await clock.advance(8_000);
  expect(lock.held).toBe(true);
});

test("keep alive at an interval, which ends with unlock", async () => {
  const { locker, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 10_000, keepAlive: false });
  lock.keepAlive({ everyMs: 2_000 });
  await clock.advance(20_000);
  expect([lock.held, locker.stats().renewed]).toEqual([true, 10]);
  await lock.release();
  await clock.advance(20_000);
  expect(locker.stats().renewed).toBe(10);
});

test("unlock by the handle, and by key through what this process holds", async () => {
  const { locker, other } = open();
  await (await locker.acquire("a")).release();
  await locker.acquire("a");
  await locker.get("a")?.release();
  expect(await other.isLocked("a")).toBe(false);
  expect(locker.get("a")).toBeUndefined(); // none is recorded: there is nothing to unlock with
});

test("a key of parts, with a separator and a prefix", async () => {
  const { locker } = open({ prefix: "shop:" });
  expect(key("order", 42)).toBe("order:42");
  expect(key("a:b", "c")).not.toBe(key("a", "b:c"));
  expect(locker.fullKey(key("order", 42))).toBe("shop:order:42");
});

test("a default expiry, and a cleanup interval", async () => {
  const { locker } = open({ ttlMs: 7_000, sweepEveryMs: 60_000 });
  expect((await locker.acquire("a")).ttlMs).toBe(7_000);
  expect((await locker.debug()).options).toMatchObject({ ttlMs: 7_000, sweepEveryMs: 60_000 });
});

test("a late unlock is answered precisely, however late it is", async () => {
  const { locker, clock, other } = open();
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await clock.advance(86_400_000);
  await other.acquire("a");
  const error = await lock.release().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LeaseLostError);
  expect(error).toMatchObject({ key: "a", fence: lock.fence, reason: "expired" });
  expect(await other.isLocked("a")).toBe(true);
});

test("stats: each instance and all together, and their reset", async () => {
  const locker = openInstances();
  for (let index = 0; index < 30; index += 1) await locker.withLock(`jobs:${index}`, (lock) => lock.renew());
  await locker.acquire("jobs:hot");
  await locker.tryAcquire("jobs:hot");
  await locker.check("jobs:hot");
  const { acquired, released, renewed, checked, refused, contended, errors, swept, activeLeases, prefixes, hotKeys } =
    locker.stats();
  expect({ acquired, released, renewed, checked, refused, contended, errors, swept, activeLeases }).toEqual({
    acquired: 31,
    released: 30,
    renewed: 30,
    checked: 1,
    refused: 1,
    contended: 1,
    errors: 0,
    swept: 0,
    activeLeases: 1,
  });
  expect(prefixes).toMatchObject([{ prefix: "jobs", acquired: 31, contended: 1 }]);
  expect(hotKeys).toMatchObject([{ key: "jobs:hot", contended: 1 }]);
  const each = locker.instances.map((name) => locker.on(name).stats().acquired);
  expect(each.reduce((sum, one) => sum + one, 0)).toBe(31);
  expect(Math.min(...each)).toBeGreaterThan(0);
  locker.resetStats();
  expect([locker.stats().acquired, locker.stats().activeLeases]).toEqual([0, 1]);
});

test("capabilities of each instance, which a driver states itself", async () => {
  const store = memoryWith(({ features }) => ({
    features: { ...features, queue: { isOn: false, why: "it was switched off" } },
  }));
  await using locker = createLocker({ instances: { own: { store }, plain: { store: memoryStore() } } });
  const [own, plain] = await Promise.all(["own", "plain"].map((name) => locker.on(name).capabilities()));
  expect([own?.features.queue.isOn, plain?.features.queue.isOn]).toEqual([false, true]);
  expect((await locker.capabilities()).features.queue.isOn).toBe(false); // not on every instance
});

test("debug output without tokens: active, lost, and what is left", async () => {
  const { locker, clock } = open();
  await locker.acquire("kept", { ttlMs: 60_000 });
  await locker.acquire("lost", { ttlMs: 1_000, keepAlive: false });
  await clock.advance(1_000);
  const { locks, lost, waits, errors } = await locker.debug();
  expect(locks).toMatchObject([{ key: "kept", held: true, remainingMs: expect.any(Number) }]);
  expect(lost).toMatchObject([{ key: "lost", reason: "expired", lostAt: expect.any(String) }]);
  expect([waits, errors]).toEqual([[], []]);
  expect(JSON.stringify({ locks, lost })).not.toMatch(/token|[0-9a-f]{8}-[0-9a-f]{4}-/);
});

test("errors: an address that is none, and one where nobody answers", async () => {
  expect(() => createLocker({ url: "mysql://db.example" })).toThrow(/^url: /);
  await using locker = createLocker({ url: "postgres://127.0.0.1:1/none", presence: "off", onError: () => undefined });
  await expect(locker.tryAcquire("a")).rejects.toBeInstanceOf(UnavailableError);
});

test("errors: not ready", async () => {
  const empty = await createEmptyDatabase();
  await using locker = openLocker(empty);
  await expect(locker.ready()).rejects.toBeInstanceOf(NotMigratedError);
});

test("errors: closed, locked, lost and timeout", async () => {
  const { locker, other, clock } = open();
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await expect(other.acquire("a", { waitMs: 0 })).rejects.toMatchObject({ code: "wait-timeout" });
  await clock.advance(1_000);
  expect(() => lock.assertHeld()).toThrow(LeaseLostError);
  await other.close();
  await expect(other.acquire("a")).rejects.toMatchObject({ code: "closed" });
});

test("errors: a lease that is negative", async () => {
  const { locker } = open();
  await expect(locker.acquire("a", { ttlMs: -1 })).rejects.toMatchObject({ code: "invalid-option", option: "ttlMs" });
});

test("errors: what a driver does not offer", async () => {
  const store = memoryWith(() => ({ forceRelease: undefined }));
  await using locker = createLocker({ store });
  await expect(locker.forceRelease("a")).rejects.toBeInstanceOf(UnsupportedError);
});

test("errors: a token is required where there is no handle", async () => {
  const { locker } = open();
  const adopting = locker.adopt({ key: "a", token: "", fence: "1" });
  await expect(adopting).rejects.toMatchObject({ code: "invalid-option", message: expect.stringContaining("token") });
});

test("the same locks in Postgres", async () => {
  await using one = openLocker(database, { prefix: "shop:" });
  await using other = openLocker(database, { prefix: "shop:" });
  await one.withLock(key("order", 42), async () => {
    expect(await other.tryAcquire(key("order", 42))).toBeNull();
  });
});
