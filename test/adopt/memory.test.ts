// Handing over in memory, on the clock of a test, and in stores that offer less.
import { expect, onTestFinished, test } from "vitest";
import { createLocker, type Lock, type Locker, UnsupportedError } from "../../src/index.js";
import { memoryStore, noopStore, type StoreFactory } from "../../src/store.js";
import { createTestLocker, type TestLocker } from "../../src/testing.js";

const TTL_MS = 30_000;
const TAKEOVER_MS = 5_000;

function setUp(): TestLocker & { readonly other: Locker } {
  const made = createTestLocker({ ttlMs: TTL_MS, takeoverDelayMs: TAKEOVER_MS, owner: "first" });
  const other = made.otherProcess({ owner: "second" });
  onTestFinished(async () => {
    made.faults.heal();
    await made.clock.advance(20_000);
    const closing = Promise.all([made.locker.close(), other.close()]);
    await made.clock.advance(20_000);
    await closing;
  });
  return { ...made, other };
}

test("a lock goes on in another process, with its fence, and is renewed there", async () => {
  const { locker, other, clock } = setUp();
  const lock = await locker.acquire("a", { metadata: { job: 1 } });
  await clock.advance(1_000);
  const adopted = await other.adopt(await lock.detach());
  expect(adopted).toMatchObject({ fence: lock.fence, metadata: { job: 1 }, owner: "second", heldMs: 1_000 });
  expect([lock.held, adopted.held]).toEqual([false, true]);
  await clock.advance(10 * TTL_MS);
  adopted.assertHeld();
  expect(await locker.tryAcquire("a")).toBeNull();
  await adopted.release();
  expect(await locker.isLocked("a")).toBe(false);
});

test("the crash of the process that gave it away leaves it until its TTL, to the millisecond", async () => {
  const { locker, other, clock, faults } = setUp();
  const [left, kept] = [await locker.acquire("left"), await locker.acquire("kept")];
  await left.detach();
  expect(kept.held).toBe(true);
  faults.crash(locker);
  await clock.advance(TAKEOVER_MS);
  expect(await other.isLocked("kept")).toBe(false);
  await clock.advance(TTL_MS - TAKEOVER_MS - 1);
  expect(await other.tryAcquire("left")).toBeNull();
  await clock.advance(1);
  expect(await other.tryAcquire("left")).not.toBeNull();
});

test("the crash of the process that adopted it frees it after its takeoverDelayMs", async () => {
  const { locker, other, clock, faults } = setUp();
  await other.adopt(await (await locker.acquire("a")).detach());
  faults.crash(other);
  await clock.advance(TAKEOVER_MS - 1);
  expect(await locker.tryAcquire("a")).toBeNull();
  await clock.advance(1);
  expect(await locker.tryAcquire("a")).not.toBeNull();
});

test("it is believed for its TTL and no millisecond longer, and adopted once", async () => {
  const { locker, other, clock } = setUp();
  const third = await (await locker.acquire("a")).detach();
  const lost: string[] = [];
  const onLost = (_: Lock, { reason }: { readonly reason: string }) => lost.push(reason);
  const adopted = await other.adopt(third, { ttlMs: 10_000, keepAlive: false, onLost });
  await expect(locker.adopt(third)).rejects.toMatchObject({ code: "lease-lost", reason: "taken" });
  await clock.advance(adopted.remainingMs - 1);
  expect(adopted.held).toBe(true);
  await clock.advance(1);
  expect(adopted.held).toBe(false);
  // the margin for drift: nobody else has it yet
  expect(await locker.isLocked("a")).toBe(false);
  expect(lost).toEqual(["expired"]);
});

test("what is lost by force while it is on its way is lost to who would adopt it", async () => {
  const { locker, other, faults } = setUp();
  const detached = await (await locker.acquire("a")).detach();
  faults.lose("a", "forced");
  await expect(other.adopt(detached)).rejects.toMatchObject({ code: "lease-lost", reason: "forced" });
});

test("without the store it is neither detached nor adopted, and both are when it is back", async () => {
  const { locker, other, clock, faults } = setUp();
  const lock = await locker.acquire("a");
  faults.disconnect();
  const detaching = lock.detach().catch((error: unknown) => error);
  await clock.advance(6_000);
  expect(await detaching).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  expect(lock.held).toBe(true);
  faults.heal();
  const detached = await lock.detach();
  faults.disconnect();
  const adopting = other.adopt(detached).catch((error: unknown) => error);
  await clock.advance(6_000);
  expect(await adopting).toMatchObject({ code: "unavailable" });
  faults.heal();
  expect((await other.adopt(detached)).fence).toBe(lock.fence);
});

test("a slow answer is believed for less long", async () => {
  const { locker, other, clock, faults } = setUp();
  const detached = await (await locker.acquire("a")).detach();
  await other.ready();
  faults.slow(1_000);
  const adopting = other.adopt(detached, { ttlMs: 10_000, keepAlive: false });
  await clock.advance(1_000);
  const adopted = await adopting;
  expect(adopted.remainingMs).toBeLessThanOrEqual(9_000);
  expect(adopted.remainingMs).toBeGreaterThan(8_500);
});

test("over noop, which keeps nothing, everything is adopted", async () => {
  const locker = createLocker({ store: noopStore() });
  onTestFinished(() => locker.close());
  const lock = await locker.acquire("a", { maxHoldMs: 60_000 });
  const adopted = await locker.adopt(await lock.detach());
  expect(adopted).toMatchObject({ fence: lock.fence, held: true });
  expect(adopted.expiresAt.getTime()).toBeLessThanOrEqual(lock.acquiredAt.getTime() + 60_000);
  await adopted.release();
});

test("a store of one's own that cannot hand over says so, at the first step", async () => {
  const make = memoryStore();
  const plain: StoreFactory = (context) => {
    const store = make(context);
    return new Proxy(store, {
      get: (_, name) => {
        if (name === "adopt" || name === "detach") return undefined;
        if (name === "name") return "plain";
        const member = Reflect.get(store, name);
        return typeof member === "function" ? member.bind(store) : member;
      },
    });
  };
  const locker = createLocker({ store: plain });
  onTestFinished(() => locker.close());
  const lock = await locker.acquire("a");
  const message = 'The store "plain" does not let locks be handed over.';
  for (const call of [
    () => lock.detach(),
    () => locker.adopt({ key: "b", token: "b9d64f4c-9ae4-4d9a-8f5e-1f9b2f0d6c11", fence: 1n }),
  ]) {
    const error = await call().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnsupportedError);
    expect(error).toMatchObject({ message });
  }
  expect(lock.held).toBe(true);
  await lock.release();
});
