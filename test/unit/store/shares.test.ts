// A locker over a store of somebody's own in which keys can be shared, or cannot.
import { describe, expect, test } from "vitest";
import { createLocker, type Locker, UnsupportedError } from "../../../src/index.js";
import { clock, settle } from "../manual-clock.js";
import { type Outcome, watch } from "../outcome.js";
import { ScriptedStore } from "./scripted-store.js";

const on = { isOn: true, why: "it does" };

async function open(features: ScriptedStore["features"]) {
  const store = new ScriptedStore();
  store.features = features;
  const locker = createLocker({ store: store.make, idleTimeoutMs: Number.POSITIVE_INFINITY, keepAlive: false });
  const close = async (): Promise<void> => {
    const closed = watch(locker.close(), "close");
    await clock.pass(60_000);
    closed.result;
  };
  return { store, locker, close };
}

describe("what is asked", () => {
  test("says how the key is to be shared", async () => {
    const { store, locker, close } = await open({ "shared-locks": on });
    const calls = [{}, { shared: true }, { capacity: 5 }, { capacity: 5, weight: 2 }].map((options) =>
      watch(locker.acquire("a", options)),
    );
    await settle();
    for (const call of calls) call.result;
    const asked = store.requests("acquire") as { mode: string; capacity: number | null; weight: number }[];
    expect(asked.map(({ mode, capacity, weight }) => [mode, capacity, weight])).toEqual([
      ["exclusive", null, 1],
      ["shared", null, 1],
      ["semaphore", 5, 1],
      ["semaphore", 5, 2],
    ]);
    await close();
  });

  test.each([
    ["shared", { shared: true }],
    ["capacity", { capacity: 3 }],
  ] as const)(
    "is refused by name over a store without shared locks, and nothing is sent: %s",
    async (option, share) => {
      const { store, locker, close } = await open({ "shared-locks": { isOn: false, why: "one at a time" } });
      const calls: ((locker: Locker) => Promise<unknown>)[] = [
        (by) => by.acquire("a", share),
        (by) => by.tryAcquire("a", share),
        (by) => by.withLock("a", () => undefined, share),
        (by) => by.tryWithLock("a", () => undefined, share),
        (by) => by.acquire("a", { ...share, retry: () => 10 }),
      ];
      const refused = calls.map((call) => watch(call(locker)));
      await clock.pass(60_000);
      for (const { error } of refused) {
        expect(error).toBeInstanceOf(UnsupportedError);
        expect((error as Error).message).toBe(
          `The store "scripted" does not let keys be shared: ${option} needs a store with the feature shared-locks.`,
        );
      }
      expect(store.asked).toEqual([]);
      const alone = watch(locker.acquire("a"));
      await settle();
      expect(alone.result.mode).toBe("exclusive");
      await close();
    },
  );
});

describe("who looks next", () => {
  /** One holds a share, and others wait. Their looks are answered as `queued` until they are granted. */
  async function withWaiters(features: ScriptedStore["features"], hasMore?: boolean) {
    const opened = await open({ "shared-locks": on, ...features });
    const { store, locker } = opened;
    const held = watch(locker.acquire("a", { capacity: 2 }));
    await settle();
    let ticket = 0n;
    const tickets = new Map<string, bigint>();
    const granted = new Set<bigint>();
    store.answers.acquire = ({ token, ttlMs }: { token: string; ttlMs: number }) => {
      if (!tickets.has(token)) tickets.set(token, ++ticket);
      const own = tickets.get(token) ?? 0n;
      if (!granted.has(own)) return { outcome: "queued", ticket: own, holder: null, lookInMs: null };
      const { nowMs } = store;
      const more = hasMore === undefined ? {} : { hasMore };
      return {
        outcome: "granted",
        fence: 1_000n + own,
        acquiredAtMs: nowMs,
        nowMs,
        expiresAtMs: nowMs + ttlMs,
        ...more,
      };
    };
    const waits = [1, 2].map(() => watch(locker.acquire("a", { capacity: 2, waitMs: 60_000 })));
    await clock.pass(10);
    return { ...opened, held: held.result, waits, granted, looks: () => store.requests("acquire").length };
  }

  async function end(waits: readonly Outcome<unknown>[], granted: Set<bigint>, close: () => Promise<void>) {
    granted.add(1n).add(2n);
    await clock.pass(5_000);
    for (const wait of waits) wait.result;
    await close();
  }

  test("after the release of a share, the next one here; where the store tells who is next, those whom it tells", async () => {
    for (const [features, looked] of [
      [{}, 1],
      [{ "wake-ups": on }, 0],
    ] as const) {
      const { store, held, waits, granted, looks, close } = await withWaiters(features);
      const before = looks();
      const released = watch(held.release());
      await settle();
      released.result;
      expect(looks() - before).toBe(looked);
      store.context.onWake("a");
      await settle();
      expect(looks() - before).toBe(looked + 1);
      await end(waits, granted, close);
    }
  });

  test("after the grant of a share, the next one here, unless the store says that nobody fits any more", async () => {
    for (const [hasMore, looked] of [
      [undefined, 2],
      [true, 2],
      [false, 1],
    ] as const) {
      const { store, waits, granted, looks, close } = await withWaiters({ "wake-ups": on }, hasMore);
      const before = looks();
      granted.add(1n);
      store.context.onWake("a");
      await settle();
      expect(waits.map(({ state }) => state)).toEqual(["resolved", "pending"]);
      expect(looks() - before).toBe(looked);
      await end(waits, granted, close);
    }
  });
});
