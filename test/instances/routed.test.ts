// A locker over instances: what goes to one of them, and what to all. In memory, where nothing of it differs.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  ClosedError,
  createLocker,
  getLocker,
  InvalidKeyError,
  InvalidOptionError,
  type Lock,
  type Locker,
  type LockerOptions,
  ReentryError,
  StaleFenceError,
  UnavailableError,
} from "../../src/index.js";
import { Router } from "../../src/instances/router.js";
import { memoryStore, type StoreFactory } from "../../src/store.js";
import { storeWith } from "../support/store-with.js";

const names = ["east", "west", "north"];
const keys = Array.from({ length: 60 }, (_, index) => `order:${index}`);

function open(options: LockerOptions = {}, stores: Readonly<Record<string, StoreFactory>> = {}): Locker {
  const instances = Object.fromEntries(names.map((name) => [name, { store: stores[name] ?? memoryStore() }]));
  const locker = createLocker({ prefix: "shop:", instances, ...options });
  onTestFinished(() => locker.close().catch(() => undefined));
  return locker;
}

/** A store that cannot be reached. */
function away(text = "the network is away"): StoreFactory {
  return (context) => {
    const fail = () => Promise.reject(new UnavailableError({ message: text, address: "db.example:5432" }));
    return storeWith(memoryStore()(context), { open: fail, ping: fail, sweep: fail, migrate: fail });
  };
}

const router = new Router(
  names.map((name) => ({ name, weight: 1, target: name })),
  "shop:",
);

describe("what is about a key", () => {
  test("goes to the instance of the key, and nowhere else", async () => {
    const locker = open();
    const found: (readonly [string, string | null])[] = [];
    for (const key of keys) {
      const lock = await locker.acquire(key);
      found.push([key, lock.instance]);
      expect(lock.toJSON()).toMatchObject({ key: `shop:${key}`, instance: lock.instance });
    }
    const held = names.map((name) =>
      locker
        .on(name)
        .locks()
        .map((lock) => lock.key),
    );
    expect(found).toEqual(keys.map((key) => [key, router.of(key)]));
    expect(held).toEqual(
      names.map((name) => keys.filter((key) => router.of(key) === name).map((key) => `shop:${key}`)),
    );
    expect(held.every((some) => some.length > 5)).toBe(true);
    // the oldest first, wherever it is
    expect(locker.locks().map(({ key }) => key)).toEqual(keys.map((key) => `shop:${key}`));
  });

  test("is asked there", async () => {
    const locker = open({ onLost: () => undefined });
    const other = open({ owner: "other" });
    for (const key of keys.slice(0, 9)) {
      const name = router.of(key);
      const lock = (await locker.tryAcquire(key)) as Lock;
      expect(await locker.check(key)).toMatchObject({ key: `shop:${key}`, instance: name, isThisProcess: true });
      expect(JSON.parse(JSON.stringify(await locker.check(key)))).toMatchObject({ instance: name });
      expect(locker.get(key)).toBe(lock);
      expect(locker.on(name).get(key)).toBe(lock);
      const elsewhere = names.filter((one) => one !== name).map((one) => locker.on(one));
      expect(elsewhere.map((one) => one.get(key))).toEqual([undefined, undefined]);
      expect(await Promise.all([locker, ...elsewhere].map((one) => one.isLocked(key)))).toEqual([true, false, false]);
      expect(await locker.tryWithLock(key, () => 1)).toMatchObject({ acquired: false });
      expect(await locker.forceRelease(key, { immediate: true })).toMatchObject({ outcome: "released" });
      expect(lock.held).toBe(false);
      expect(await locker.withLock(key, (inner) => inner.instance)).toBe(name);
      expect(await locker.lead(key, (inner) => inner.instance)).toBe(name);
      for (const one of elsewhere) expect(await one.lead(key, (inner) => inner.instance)).toBe(one.instances[0]);
      expect(await other.isLocked(key)).toBe(false); // stores of its own
    }
  });

  test("is refused as without instances when it is no key", async () => {
    const locker = open();
    const calls = ["acquire", "tryAcquire", "check", "isLocked", "forceRelease"] as const;
    for (const bad of ["", 5, undefined, ["a"], "x".repeat(600)] as string[]) {
      const errors = await Promise.all(calls.map((call) => locker[call](bad).catch((error: unknown) => error)));
      expect(errors.map((error) => error instanceof InvalidKeyError)).toEqual(calls.map(() => true));
      await expect(locker.lead(bad, () => 1)).rejects.toThrow(InvalidKeyError);
      expect(() => locker.get(bad)).toThrow(InvalidKeyError);
      expect(() => locker.fullKey(bad)).toThrow(InvalidKeyError);
    }
    expect(locker.fullKey("a")).toBe("shop:a");
  });

  test("does not come to an instance without weight, which can be asked by its name", async () => {
    const locker = createLocker({
      instances: {
        east: { store: memoryStore(), weight: 0 },
        west: { store: memoryStore() },
        north: { store: memoryStore(), weight: -1 },
      },
    });
    onTestFinished(() => locker.close());
    const locks = await Promise.all(keys.map((key) => locker.acquire(key)));
    expect(new Set(locks.map(({ instance }) => instance))).toEqual(new Set(["west"]));
    expect((await locker.on("east").acquire("a")).instance).toBe("east");
    expect((await locker.on("north").acquire("a")).instance).toBe("north");
  });

  test("takes notice of the bodies that it is called from", async () => {
    const locker = open({ reentry: "throw" });
    for (const key of keys.slice(0, 5)) {
      const inner = locker.withLock(key, () => locker.acquire(key, { waitMs: 60_000 }));
      await expect(inner).rejects.toThrow(ReentryError);
      const past = locker.withLock(key, () => locker.on(router.of(key)).acquire(key, { waitMs: 60_000 }));
      await expect(past).rejects.toThrow(ReentryError);
      const other = names.find((name) => name !== router.of(key)) ?? "";
      const lock = await locker.withLock(key, () => locker.on(other).acquire(key));
      expect(lock.instance).toBe(other);
    }
  });

  test("a fence is checked where a lock of that full key would be", async () => {
    const locker = open();
    for (const key of keys.slice(0, 9)) {
      const lock = await locker.acquire(key);
      await locker.checkFence(lock.key, lock.fence + 5n);
      const refusals = names.map((name) =>
        locker
          .on(name)
          .checkFence(lock.key, lock.fence)
          .catch((error: unknown) => error),
      );
      const stale = (await Promise.all(refusals)).map((error) => error instanceof StaleFenceError);
      expect(stale).toEqual(names.map((name) => name === lock.instance));
    }
    await expect(locker.checkFence(5 as never, 1n)).rejects.toMatchObject({ option: "resource" });
  });
});

describe("the names", () => {
  test("are those of the options, and each leads to a locker of its own", () => {
    const locker = open();
    expect(locker.instances).toEqual(names);
    expect(names.map((name) => locker.on(name).instances)).toEqual(names.map((name) => [name]));
    expect(locker.on("west")).toBe(locker.on("west"));
    expect(locker.on("west").on("west")).toBe(locker.on("west"));
  });

  test("are listed where one is wrong", () => {
    const locker = open();
    for (const name of ["south", undefined, null, "__proto__", "toString", 5]) {
      expect(() => locker.on(name as string)).toThrow(InvalidOptionError);
      expect(() => locker.on(name as string)).toThrow(
        'instance: expected the name of an instance: "east", "west", "north", got',
      );
    }
    expect(() => locker.on("east").on("west")).toThrow('the name of an instance: "east", got "west"');
  });

  test("are missing where there is one database without a name", async () => {
    const locker = createLocker({ store: memoryStore() });
    onTestFinished(() => locker.close());
    expect(locker.instances).toEqual([]);
    for (const name of ["east", undefined, null])
      expect(() => locker.on(name as string)).toThrow("this locker was made without the option instances");
    expect([(await locker.acquire("a")).instance, (await locker.check("a"))?.instance]).toEqual([null, null]);
  });

  test("keep stores in memory apart, and lead every locker of the process to the same one", async () => {
    const [one, two] = [1, 2].map(() => {
      const locker = createLocker({ store: "memory", instances: { "routed-1": {}, "routed-2": {} } });
      onTestFinished(() => locker.close());
      return locker;
    }) as [Locker, Locker];
    const locks = await Promise.all(["routed-1", "routed-2"].map((name) => one.on(name).acquire("a")));
    expect(locks.map(({ instance }) => instance)).toEqual(["routed-1", "routed-2"]);
    expect(await two.tryAcquire("a")).toBeNull();
  });
});

describe("what is about all", () => {
  test("stats are sums, of keys and prefixes, too", async () => {
    const locker = open({ waitMs: 0 });
    const before = Date.now();
    for (const key of keys) {
      const lock = await locker.acquire(key);
      expect(await locker.tryAcquire(key)).toBeNull();
      await lock.release();
    }
    const [held] = await Promise.all([locker.acquire("kept"), locker.check("kept")]);
    const sum = locker.stats();
    const each = names.map((name) => locker.on(name).stats());
    const count = keys.length;
    expect(sum).toMatchObject({
      acquired: count + 1,
      refused: count,
      contended: count,
      released: count,
      checked: 1,
      activeLeases: 1,
      waiters: 0,
    });
    expect(each.map(({ refused }) => refused)).toEqual(
      names.map((name) => keys.filter((key) => router.of(key) === name).length),
    );
    expect([sum.waits.count, sum.holds.count]).toEqual([count + 1, count]);
    expect(sum.waits.counts.reduce((a, b) => a + b)).toBe(count + 1);
    expect(sum.prefixes).toMatchObject([
      { prefix: "shop:order", acquired: count, contended: count },
      { prefix: "shop:", acquired: 1 },
    ]);
    expect(sum.hotKeys.map(({ key }) => key).sort()).toEqual(keys.map((key) => `shop:${key}`).sort());
    expect(Date.parse(sum.since)).toBeGreaterThanOrEqual(before - 1_000);
    await held.release();

    locker.on("east").resetStats();
    expect(locker.stats().acquired).toBe(count + 1 - (each[0]?.acquired ?? 0));
    locker.resetStats();
    expect(locker.stats()).toMatchObject({ acquired: 0, hotKeys: [], prefixes: [] });
  });

  test("since is when the first of them began to count", async () => {
    const locker = open();
    await new Promise((resolve) => setTimeout(resolve, 5));
    locker.on("east").resetStats();
    const [reset, ...others] = names.map((name) => locker.on(name).stats().since);
    expect(others.every((since) => since < (reset ?? ""))).toBe(true);
    expect(locker.stats().since).toBe(others.sort()[0]);
  });

  test("a sweep adds up, a ping is the slowest", async () => {
    const store =
      (ms: number, leases: number, isBusy: boolean): StoreFactory =>
      (context) =>
        storeWith(memoryStore()(context), {
          name: `store ${ms}`,
          ping: async () => ({ ms, serverVersion: String(ms) }),
          sweep: async () => ({
            woken: 1,
            leasesPurged: leases,
            waitersPurged: 2,
            sessionsPurged: 3,
            countersPurged: 4,
            isBusy,
          }),
        });
    const locker = open({}, { east: store(5, 10, false), west: store(50, 20, true), north: store(7, 40, false) });
    const sum = { woken: 3, leasesPurged: 70, waitersPurged: 6, sessionsPurged: 9, countersPurged: 12, isBusy: true };
    expect(await locker.sweep()).toEqual(sum);
    expect(await locker.on("east").sweep()).toMatchObject({ isBusy: false });
    expect(await locker.ping()).toEqual({ ms: 50, serverVersion: "50" });
  });

  test("capabilities are what all have, with the names of those that have not", async () => {
    const store =
      (durable: string | null, queue: boolean): StoreFactory =>
      (context) =>
        storeWith(memoryStore()(context), {
          features: {
            ...(durable === null ? {} : { durable: { isOn: true, why: durable } }),
            queue: { isOn: queue, why: queue ? "it has one" : "it has none" },
            "wake-ups": { isOn: true, why: "somebody tells" },
          },
          ping: async () => ({ ms: 1, serverVersion: durable ?? "no disk" }),
        });
    const locker = open(
      {},
      { east: store("two disks", true), west: store("a disk", true), north: store("two disks", false) },
    );
    const { features, serverVersion } = await locker.capabilities();
    expect(serverVersion).toBe("two disks, a disk");
    expect(features["wake-ups"]).toEqual({ isOn: true, why: "somebody tells" });
    expect(features.durable).toEqual({ isOn: true, why: 'on "east", "north": two disks; on "west": a disk' });
    expect(features.queue).toEqual({ isOn: false, why: 'on "north": it has none' });
    const { features: own } = await locker.on("east").capabilities();
    expect(own.queue.isOn).toBe(true);
    expect(features["guarded-writes"].isOn).toBe(false);
    expect(features["guarded-writes"].why).toBe(own["guarded-writes"].why);
  });

  test("debug shows all together, and each by itself", async () => {
    const locker = open({ ttlMs: 20_000 }, { west: away() });
    const east = keys.find((key) => router.of(key) === "east") ?? "";
    await locker.acquire(east);
    const failure = await locker
      .on("west")
      .ping()
      .catch((error: unknown) => error);
    const info = await locker.debug();
    expect(failure).toBeInstanceOf(UnavailableError);
    expect(info).toEqual(JSON.parse(JSON.stringify(info)));
    expect(info).toMatchObject({
      state: "open",
      connections: null,
      options: {
        prefix: "shop:",
        ttlMs: 20_000,
        instances: { east: { weight: 1 }, west: { weight: 1 }, north: { weight: 1 } },
      },
      locks: [{ key: `shop:${east}`, instance: "east" }],
      server: {
        isReachable: false,
        error: { message: expect.stringContaining('Instance "west": the network is away') },
      },
      instances: {
        east: {
          lockerId: info.lockerId,
          locks: [{ key: `shop:${east}` }],
          server: { isReachable: true },
          instances: {},
        },
        west: { locks: [], server: { isReachable: false } },
        north: { locks: [] },
      },
    });
    expect(info.errors.map(({ message }) => message)).toContain("the network is away");
    await locker.close();
    expect(await locker.debug()).toMatchObject({ state: "closed", instances: { west: { state: "closed" } } });
  });

  test("debug of instances that can all be reached says how slow the slowest is", async () => {
    const locker = open(
      {},
      {
        west: (context) =>
          storeWith(memoryStore()(context), {
            ping: async () => ({ ms: 123, serverVersion: "own" }),
          }),
      },
    );
    expect((await locker.debug()).server).toEqual({ isReachable: true, ms: 123, version: "memory, own" });
  });
});

describe("when one cannot be reached", () => {
  test("its own keys fail, the others' are served", async () => {
    const locker = open({}, { west: away() });
    const outcomes = await Promise.all(
      keys.map((key) =>
        locker.tryAcquire(key).then(
          (lock) => lock?.instance,
          (error: unknown) => (error as Error).name,
        ),
      ),
    );
    expect(outcomes).toEqual(keys.map((key) => (router.of(key) === "west" ? "UnavailableError" : router.of(key))));
  });

  test("what is asked of all says which, with the error's class and data", async () => {
    const locker = open({}, { west: away(), north: away("it burns") });
    for (const call of ["ready", "ping", "sweep", "migrate", "capabilities"] as const) {
      const error = await (locker[call]() as Promise<unknown>).catch((refusal: unknown) => refusal);
      expect(error).toBeInstanceOf(UnavailableError);
      expect(error).toMatchObject({
        name: "UnavailableError",
        code: "unavailable",
        outcome: "not-sent",
        address: "db.example:5432",
        message: 'Instance "west": the network is away\nInstance "north": it burns',
      });
      expect((error as Error).stack).toContain('Instance "west"');
      expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code: "unavailable", address: "db.example:5432" });
    }
    // The error of the instance itself is as it was.
    await expect(locker.on("west").ready()).rejects.toMatchObject({ message: "the network is away" });
  });

  test("the others have been asked all the same", async () => {
    let sweeps = 0;
    const counting: StoreFactory = (context) =>
      storeWith(memoryStore()(context), {
        sweep: async () => {
          sweeps += 1;
          return { woken: 0, leasesPurged: 0, waitersPurged: 0, sessionsPurged: 0, countersPurged: 0, isBusy: false };
        },
      });
    const locker = open({}, { east: away(), west: counting, north: counting });
    await expect(locker.sweep()).rejects.toThrow('Instance "east"');
    expect(sweeps).toBe(2);
    expect(locker.stats().acquired).toBe(0);
  });
});

describe("close", () => {
  test("closes all at once, waits for all, and is known to getLocker", async () => {
    const locker = open();
    const shared = getLocker(() => locker);
    const locks = await Promise.all(keys.map((key) => locker.acquire(key)));
    let closed = 0;
    const closing = locker.close();
    const fired = locks.map(({ signal }) => signal.aborted);
    const again = locker.close().then(() => (closed += 1));
    const refused = await Promise.all(keys.map((key) => locker.acquire(key).catch((error: unknown) => error)));
    const next = getLocker(() => open());
    await Promise.all([closing, again]);
    expect(shared).toBe(locker);
    expect(next).not.toBe(locker);
    expect(refused.every((error) => error instanceof ClosedError)).toBe(true);
    expect(fired.every((isFired) => isFired)).toBe(true);
    expect(closed).toBe(1);
    expect(locker.locks()).toEqual([]);
  });

  test("one that is closed alone is refused alone", async () => {
    const locker = getLocker(() => open());
    await locker.on("east").close();
    const outcomes = await Promise.all(
      keys.map((key) =>
        locker.tryAcquire(key).then(
          (lock) => lock?.instance,
          (error: unknown) => (error as Error).name,
        ),
      ),
    );
    expect(outcomes).toEqual(keys.map((key) => (router.of(key) === "east" ? "ClosedError" : router.of(key))));
    expect(getLocker()).toBe(locker);
    expect((await locker.debug()).state).toBe("open");
    await locker.close();
    expect((await locker.debug()).state).toBe("closed");
  });

  test("refuses a wrong option before anything is closed", async () => {
    const locker = open();
    await expect(locker.close({ drainMs: -1 })).rejects.toThrow(InvalidOptionError);
    expect(await locker.isLocked("a")).toBe(false);
  });

  test("await using closes them", async () => {
    let locker: Locker;
    {
      await using opened = open();
      locker = opened;
    }
    await expect(locker.acquire("a")).rejects.toThrow(ClosedError);
  });
});

describe("who listens", () => {
  test("is one for all: callbacks and the rule for prefixes", async () => {
    const acquired: (string | null)[] = [];
    const lost: (string | null)[] = [];
    const locker = open({
      onAcquired: ({ instance }) => acquired.push(instance),
      onLost: ({ instance }) => lost.push(instance),
      statsPrefix: (key) => key.slice(0, 6),
    });
    for (const key of keys.slice(0, 9)) {
      await locker.acquire(key);
      await locker.forceRelease(key, { immediate: true });
    }
    const expected = keys.slice(0, 9).map((key) => router.of(key));
    expect([acquired, lost]).toEqual([expected, expected]);
    expect(locker.stats().prefixes).toMatchObject([{ prefix: "shop:o", acquired: 9 }]);
  });

  test("on the channels hears of one locker, and of which instance", async () => {
    const heard: Record<string, unknown>[] = [];
    const onMessage = (message: unknown) => void heard.push(message as Record<string, unknown>);
    const channels = [
      "leasehold:acquire",
      "leasehold:release",
      "leasehold:sweep",
      "tracing:leasehold:acquire:start",
      "tracing:leasehold:with-lock:start",
    ];
    for (const channel of channels) {
      subscribe(channel, onMessage);
      onTestFinished(() => void unsubscribe(channel, onMessage));
    }
    const locker = open();
    const { lockerId } = await locker.debug();
    for (const key of keys.slice(0, 9)) await locker.withLock(key, () => undefined);
    await locker.sweep();
    const expected = keys.slice(0, 9).flatMap((key) => Array.from({ length: 4 }, () => router.of(key)));
    expect(heard.map(({ instance }) => instance)).toEqual([...expected, ...names]);
    expect(new Set(heard.map((message) => message.lockerId))).toEqual(new Set([lockerId]));
  });
});
