// A locker over a store of somebody's own: whatever that does, no call hangs and no lock is believed for longer than it said.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  createLocker,
  type Locker,
  type LockerOptions,
  UnavailableError,
  UnsupportedError,
} from "../../../src/index.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";
import { never, ScriptedStore } from "./scripted-store.js";

interface Opened {
  readonly store: ScriptedStore;
  readonly locker: Locker;
  close(): Promise<void>;
}

function open(options: LockerOptions = {}): Opened {
  const store = new ScriptedStore();
  const locker = createLocker({
    store: store.make,
    idleTimeoutMs: Number.POSITIVE_INFINITY,
    keepAlive: false,
    ...options,
  });
  const close = async (): Promise<void> => {
    const closed = watch(locker.close(), "close");
    await clock.pass(60_000);
    closed.result;
  };
  return { store, locker, close };
}

const freeKey = {
  state: "free",
  mode: "exclusive",
  holders: [],
  acquiredAtMs: null,
  freeAtMs: null,
  nowMs: 0,
  metadata: null,
  waiters: 0,
};

/** What the promise is settled with, after that time. */
async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value> {
  const outcome = watch(promise);
  await clock.pass(ms);
  if (outcome.state === "rejected") throw outcome.error;
  return outcome.result;
}

describe("what the store is asked", () => {
  test("an acquire says all of its terms, and what is unlimited is null", async () => {
    const { store, locker, close } = open();
    const options = { ttlMs: 5_000, minHoldMs: 10, metadata: { job: 1 }, owner: "me", waitMs: 3_000 };
    const lock = await within(locker.acquire("a", options), 0);
    expect(store.requests("acquire")).toEqual([
      {
        key: "a",
        token: expect.stringMatching(/^[0-9a-f-]{36}$/),
        owner: "me",
        mode: "exclusive",
        capacity: null,
        weight: 1,
        ttlMs: 5_000,
        minHoldMs: 10,
        maxHoldMs: null,
        metadata: '{"job":1}',
        waits: true,
        ticket: null,
        notAfterMs: expect.any(Number),
      },
    ]);
    expect(lock).toMatchObject({ key: "a", fence: 101n, ttlMs: 5_000 });
    await close();
  });

  test("its deadline is by the store's clock, and never ahead of it", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 1_000 });
    store.aheadMs = 3_600_000;
    await within(locker.ready(), 0);
    await within(locker.tryAcquire("a"), 0);
    const [{ notAfterMs }] = store.requests("acquire") as [{ notAfterMs: number }];
    expect(notAfterMs - store.nowMs).toBeLessThanOrEqual(1_000);
    expect(notAfterMs - store.nowMs).toBeGreaterThan(900);
    await close();
  });

  test("a store that says late is asked again, by the clock that it said", async () => {
    const { store, locker, close } = open();
    await within(locker.ready(), 0);
    store.aheadMs = 86_400_000; // its clock was set
    const usual = store.acquire;
    store.answers.acquire = ({ notAfterMs }: { notAfterMs: number }) => {
      if (notAfterMs <= store.nowMs) return { outcome: "late", nowMs: store.nowMs };
      delete store.answers.acquire;
      return usual({ ttlMs: 30_000 } as never);
    };
    expect((await within(locker.acquire("a"), 50)).held).toBe(true);
    await close();
  });

  test("a waiter keeps the ticket that it was given", async () => {
    const { store, locker, close } = open();
    store.answers.acquire = () => ({ outcome: "queued", ticket: 7n, holder: null, lookInMs: 100 });
    const waiting = watch(locker.acquire("a", { waitMs: 60_000 }));
    await clock.pass(150);
    delete store.answers.acquire;
    await clock.pass(1_000);
    expect(waiting.result.held).toBe(true);
    const tickets = (store.requests("acquire") as { ticket: bigint | null }[]).map(({ ticket }) => ticket);
    expect(tickets[0]).toBeNull();
    expect(tickets.slice(1).every((ticket) => ticket === 7n)).toBe(true);
    await close();
  });

  test("without a queue a waiter looks once a second, give or take a part, until waitMs is over", async () => {
    const { store, locker, close } = open();
    const holder = { owner: "other", fence: 9n, weight: 1, expiresAtMs: 0 };
    store.answers.acquire = () => ({ outcome: "held", holder });
    const refused = within(locker.acquire("a", { waitMs: 5_000 }), 6_000);
    await expect(refused).rejects.toMatchObject({ code: "wait-timeout", holder: { owner: "other", fence: 9n } });
    const looks = store.requests("acquire").length;
    expect(looks).toBeGreaterThanOrEqual(5);
    expect(looks).toBeLessThanOrEqual(9);
    await close();
  });
});

describe("belief", () => {
  test("lasts from when it was asked, not from when the answer came", async () => {
    const { store, locker, close } = open();
    await within(locker.ready(), 0);
    let answer = (): void => undefined;
    store.answers.acquire = ({ ttlMs }: { ttlMs: number }) =>
      new Promise((resolve) => {
        const { nowMs } = store;
        answer = () =>
          resolve({ outcome: "granted", fence: 1n, acquiredAtMs: nowMs, nowMs, expiresAtMs: nowMs + ttlMs });
      });
    const acquiring = watch(locker.tryAcquire("a", { ttlMs: 10_000 }));
    await clock.pass(4_000);
    answer();
    await settle();
    const lock = acquiring.result;
    expect(lock?.remainingMs).toBeLessThanOrEqual(6_000);
    expect(lock?.remainingMs).toBeGreaterThan(5_800);
    await clock.pass(6_000);
    expect(lock?.held).toBe(false);
    await close();
  });

  test.each([
    ["expiresAtMs", Number.NaN],
    ["expiresAtMs", Number.POSITIVE_INFINITY],
    ["expiresAtMs", undefined],
    ["expiresAtMs", 1e300],
    ["nowMs", Number.NaN],
    ["fence", 5],
    ["acquiredAtMs", "now"],
  ])("a grant whose %s is %s is none", async (name, value) => {
    const { store, locker, close } = open();
    const nowMs = store.nowMs;
    const granted = { outcome: "granted", fence: 1n, acquiredAtMs: nowMs, nowMs, expiresAtMs: nowMs + 30_000 };
    store.answers.acquire = () => ({ ...granted, [name]: value });
    const refused = within(locker.tryAcquire("a"), 10_000);
    await expect(refused).rejects.toThrow(new RegExp(`"scripted" failed in acquire: ${name} is `));
    await clock.pass(20_000);
    expect(store.requests("abandon").length).toBeGreaterThan(0); // what it may have granted is given back
    await close();
  });

  test.each([
    ["acquire", { outcome: "late", nowMs: Number.NaN }, (locker: Locker) => locker.tryAcquire("a")],
    [
      "check",
      { state: "free", mode: "exclusive", holders: [], nowMs: undefined },
      (locker: Locker) => locker.check("a"),
    ],
    ["open", { nowMs: Number.POSITIVE_INFINITY }, (locker: Locker) => locker.ready()],
  ] as const)("a time that is none, of %s, is no time of the store", async (method, answer, call) => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    if (method !== "open") await within(locker.ready(), 0);
    store.answers[method] = () => answer;
    await expect(within<unknown>(call(locker), 2_000)).rejects.toThrow(`failed in ${method}: nowMs is `);
    delete store.answers[method];
    expect((await within(locker.tryAcquire("b"), 0))?.held).toBe(true);
    await close();
  });

  test("a store that was replaced is believed when a renewal has proven the lock, which it does not extend", async () => {
    const { store, locker, close } = open();
    const lock = await within(locker.acquire("a"), 0);
    let answer = (_: unknown): void => undefined;
    store.answers.renew = () => new Promise((resolve) => (answer = resolve));
    store.context.onReconnected();
    expect(lock.held).toBe(false);
    expect(() => lock.assertHeld()).toThrow(/whether it is still ours is being asked/);
    await clock.pass(10);
    expect(store.requests("renew")).toMatchObject([{ key: "a", fence: 101n, ttlMs: 0 }]);
    answer({ outcome: "renewed", nowMs: store.nowMs, expiresAtMs: store.nowMs + 20_000 });
    await settle();
    expect(lock.held).toBe(true);
    await close();
  });

  test("a loss that the store tells of fires at once; one of another grant is not ours", async () => {
    const { store, locker, close } = open();
    const lock = await within(locker.acquire("a"), 0);
    const { token } = store.requests("acquire")[0] as { token: string };
    store.context.onLost({ key: "a", token: "another", fence: lock.fence }, "forced");
    store.context.onLost({ key: "a", token, fence: lock.fence - 1n }, "forced");
    expect(lock.held).toBe(true);
    const { signal } = lock;
    store.context.onLost({ key: "a", token, fence: lock.fence }, "forced");
    expect(signal.reason).toMatchObject({ code: "lease-lost", reason: "forced" });
    await settle();
    await close();
  });
});

describe("a store that fails", () => {
  test.each([
    [
      "throws",
      () => {
        throw new TypeError("no such host");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no such host"))],
  ])("%s: the call rejects with what it said, once there is no time left", async (_, fail) => {
    const { store, locker, close } = open({ requestTimeoutMs: 1_000 });
    for (const method of ["acquire", "check", "ping"] as const) store.answers[method] = fail;
    const error = await within(locker.tryAcquire("a"), 5_000).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ outcome: "unknown", message: expect.stringContaining("no such host") });
    await expect(within(locker.check("a"), 0)).rejects.toThrow('The store "scripted" failed in check: no such host.');
    await expect(within(locker.ping(), 0)).rejects.toThrow("failed in ping");
    await close();
  });

  test.each(["acquire", "release", "renew", "check", "ping", "open", "abandon"] as const)(
    "%s never answers: the call ends in time, and close does",
    async (method) => {
      const { store, locker, close } = open({ requestTimeoutMs: 1_000, onError: () => undefined });
      if (method !== "open") await within(locker.ready(), 0);
      const lock = method === "release" || method === "renew" ? await within(locker.acquire("b"), 0) : null;
      store.answers[method] = never;
      const asked: Promise<unknown> =
        lock === null
          ? method === "check"
            ? locker.check("a")
            : method === "ping"
              ? locker.ping()
              : locker.tryAcquire("a")
          : method === "release"
            ? lock.release()
            : lock.renew();
      const outcome = watch(asked);
      await clock.pass(5_000);
      expect(outcome.state).toBe(method === "abandon" ? "resolved" : "rejected");
      if (method !== "abandon") {
        expect(outcome.error).toMatchObject({ code: "unavailable", message: expect.stringContaining('"scripted"') });
      }
      await close();
    },
  );

  test("an answer that is none: undefined, a word, an outcome of its own", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    for (const answer of [undefined, null, "granted", {}, { outcome: "maybe" }]) {
      store.answers.acquire = () => answer;
      await expect(within(locker.tryAcquire("a"), 2_000)).rejects.toMatchObject({ code: "unavailable" });
    }
    await close();
  });

  test.each([
    ["acquire", undefined, "it answered undefined and should answer an object"],
    ["acquire", "granted", "should answer an object"],
    ["acquire", { outcome: "held" }, "holder is undefined and should be an object, or null"],
    ["acquire", { outcome: "held", holder: { weight: 0 } }, "holder.weight is 0 (number) and should be an integer"],
    ["check", null, "it answered null and should answer an object"],
    ["check", { ...freeKey, state: "taken" }, 'its state is "taken"'],
    [
      "check",
      { ...freeKey, mode: "alone" },
      'mode is "alone" (string) and should be one of exclusive, shared, semaphore',
    ],
    ["check", { ...freeKey, holders: null }, "holders is null and should be an array"],
    ["check", { ...freeKey, holders: [null] }, "one of holders is null and should be an object"],
    ["check", { ...freeKey, metadata: "{" }, "metadata is a string and should be JSON text, or null"],
    ["check", { ...freeKey, waiters: undefined }, "waiters is undefined"],
    ["ping", undefined, "it answered undefined and should answer an object"],
    ["ping", { ms: 1 }, "serverVersion is undefined and should be a string"],
    ["capabilities", undefined, "it answered undefined and should answer an object"],
    ["sweep", null, "it answered null and should answer an object"],
    ["sweep", {}, "woken is undefined and should be a finite number"],
    ["forceRelease", { outcome: "done", freeAtMs: null, holders: [] }, 'its outcome is "done"'],
    ["forceRelease", { outcome: "revoked", freeAtMs: "soon", holders: [] }, 'freeAtMs is "soon"'],
    ["forceRelease", { outcome: "revoked", freeAtMs: null }, "holders is undefined and should be an"],
    ["adopt", { mode: undefined }, "mode is undefined and should be one of exclusive, shared, semaphore"],
    ["adopt", { capacity: null }, "capacity is null and should be an integer of 1 and up"],
    ["adopt", { weight: 1.5 }, "weight is 1.5 (number) and should be an integer of 1 and up"],
    ["adopt", { metadata: "{" }, "metadata is a string and should be JSON text, or null"],
  ])("of %s, the answer %j is none, and the error says what is wrong with it", async (call, answer, message) => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    const grant = {
      outcome: "adopted",
      mode: "semaphore",
      capacity: 3,
      weight: 1,
      acquiredAtMs: store.nowMs,
      nowMs: store.nowMs,
      expiresAtMs: store.nowMs + 5_000,
    };
    const given = call === "adopt" ? { ...grant, maxHoldUntilMs: null, ...(answer as object) } : answer;
    const method = call === "capabilities" ? "ping" : call;
    Object.assign(store, { [method]: () => Promise.resolve(given) });
    const asked = {
      acquire: () => locker.tryAcquire("a"),
      check: () => locker.check("a"),
      ping: () => locker.ping(),
      capabilities: () => locker.capabilities(),
      sweep: () => locker.sweep(),
      forceRelease: () => locker.forceRelease("a"),
      adopt: () => locker.adopt({ key: "a", token: randomUUID(), fence: "1", instance: null }),
    }[call] as () => Promise<unknown>;
    const error = await within(asked(), 2_000).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining(`failed in ${method}: `) });
    expect((error as Error).message).toContain(message);
    await close();
  });

  test.each([undefined, null, true, "ok", {}])(
    "what it answers of a fence lets nobody write, unless it is that it passed: %j",
    async (answer) => {
      const { store, locker, close } = open();
      Object.assign(store, { checkFence: () => Promise.resolve(answer) });
      await expect(within(locker.checkFence("resource", 1n), 0)).rejects.toThrow('should answer "passed" or "stale"');
      await close();
    },
  );

  test.each([undefined, "because"])("a loss is a loss, also for the reason %s", async (reason) => {
    const { store, locker, close } = open();
    const lock = await within(locker.acquire("a"), 0);
    const { signal } = lock;
    store.answers.renew = () => ({ outcome: "lost", reason });
    await expect(within(lock.renew(), 0)).rejects.toMatchObject({ code: "lease-lost", reason: "taken" });
    expect(signal.reason).toMatchObject({ reason: "taken" });
    expect(locker.stats().lost.taken).toBe(1);
    await close();
  });

  test("a detach that answers nothing at all has detached nothing", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    Object.assign(store, { adopt: never, detach: () => undefined });
    const lock = await within(locker.acquire("a"), 0);
    await expect(within(lock.detach(), 2_000)).rejects.toThrow("failed in detach: it answered undefined");
    expect(lock.held).toBe(true);
    await close();
  });

  test("debug says of a store that never answers that it did not, and not that Postgres did not", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 1_000 });
    store.answers.ping = never;
    const { server } = await within(locker.debug(), 5_000);
    const message = expect.stringContaining('The store "scripted" did not answer ping in time');
    expect(server).toMatchObject({ isReachable: false, error: { message } });
    await close();
  });

  test("a store that is always late is told as that", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    store.answers.acquire = () => ({ outcome: "late", nowMs: store.nowMs });
    const message = expect.stringContaining("each request came after its time was up");
    await expect(within(locker.tryAcquire("a"), 2_000)).rejects.toMatchObject({ code: "unavailable", message });
    await close();
  });

  test("a sweep that never answers ends in time", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 1_000 });
    Object.assign(store, { sweep: never });
    await expect(within(locker.sweep(), 5_000)).rejects.toThrow('"scripted" did not answer sweep in time');
    await close();
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("no");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no"))],
  ])("one that %s when it is to rest is reported, and ends no process", async (_, rest) => {
    const errors: unknown[] = [];
    const { store, locker, close } = open({ idleTimeoutMs: 1_000, onError: (error) => errors.push(error) });
    Object.assign(store, { rest });
    await within(locker.ready(), 0);
    await clock.pass(5_000);
    expect(errors).toMatchObject([{ code: "unavailable", message: expect.stringContaining("failed in rest: no") }]);
    await close();
  });

  test("a renewal that never answers is tried again, and the lock lives as long as it was given", async () => {
    const errors: unknown[] = [];
    const { store, locker, close } = open({
      requestTimeoutMs: 1_000,
      keepAlive: true,
      ttlMs: 9_000,
      onError: (error) => errors.push(error),
    });
    const lock = await within(locker.acquire("a"), 0);
    store.answers.renew = never;
    await clock.pass(8_000);
    expect(store.requests("renew").length).toBeGreaterThan(2);
    expect(lock.held).toBe(true);
    await clock.pass(1_000);
    expect(lock.signal.reason).toMatchObject({ reason: "expired" });
    expect(errors[0]).toMatchObject({ code: "unavailable" });
    await close();
  });

  test("one that fails to open is opened again with the next call", async () => {
    const { store, locker, close } = open({ requestTimeoutMs: 500 });
    store.answers.open = () => Promise.reject(new Error("not yet"));
    await expect(within(locker.ready(), 2_000)).rejects.toThrow('The store "scripted" failed in open: not yet.');
    delete store.answers.open;
    await within(locker.ready(), 0);
    await close();
  });

  test("one that fails to close is reported, and the locker is closed all the same", async () => {
    const errors: unknown[] = [];
    const { store, locker, close } = open({ onError: (error) => errors.push(error) });
    await within(locker.ready(), 0);
    store.answers.close = () => Promise.reject(new Error("stuck"));
    await close();
    expect(errors).toMatchObject([{ message: expect.stringContaining("failed in close: stuck") }]);
    await expect(locker.ping()).rejects.toMatchObject({ code: "closed" });
  });
});

describe("what is left out", () => {
  test("has nothing to create and nothing to sweep; force, marks and guards are refused by name", async () => {
    const { locker, close } = open();
    await within(locker.migrate(), 0);
    expect(await within(locker.sweep(), 0)).toEqual({
      woken: 0,
      leasesPurged: 0,
      waitersPurged: 0,
      sessionsPurged: 0,
      countersPurged: 0,
      isBusy: false,
    });
    const lock = await within(locker.acquire("a"), 0);
    for (const call of [
      () => locker.forceRelease("a"),
      () => locker.checkFence("resource", 1n),
      () => lock.transaction({ begin: () => undefined } as never, () => undefined),
      () => lock.guard({} as never),
    ]) {
      const error = await within<unknown>(call(), 0).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UnsupportedError);
      expect((error as Error).message).toContain('The store "scripted"');
    }
    await close();
  });

  test("is shown as a feature that is off; what it names is shown as it says", async () => {
    const { store, locker, close } = open();
    store.features = { queue: { isOn: true, why: "a list" }, durable: { isOn: false, why: "in a Map" } };
    const { features, serverVersion, schemaVersion } = await within(locker.capabilities(), 0);
    expect([serverVersion, schemaVersion]).toEqual(["scripted 1", null]);
    expect(features.queue).toEqual({ isOn: true, why: "a list" });
    expect(features.durable).toEqual({ isOn: false, why: "in a Map" });
    const others = Object.entries(features).filter(([name]) => name !== "queue" && name !== "durable");
    expect(others).toHaveLength(8);
    for (const [, state] of others)
      expect(state).toEqual({ isOn: false, why: 'the store "scripted" does not offer it' });
    await close();
  });

  test("debug has no connections, and says what the store says of itself", async () => {
    const { store, locker, close } = open();
    store.answers.check = () => Promise.reject(new Error("disk full"));
    await expect(within(locker.check("a"), 0)).rejects.toThrow("disk full");
    const info = await within(locker.debug(), 0);
    expect(info).toMatchObject({
      connections: null,
      errors: [{ message: expect.stringContaining("failed in check: disk full") }],
      server: { isReachable: true, ms: 1, version: "scripted 1" },
      options: { store: "[function]", url: null },
    });
    expect(JSON.parse(JSON.stringify(info))).toEqual(info);
    await close();
  });
});

test("what a store tells while it is made is told to nobody: nothing is held yet, and nobody waits", async () => {
  const store = new ScriptedStore();
  const locker = createLocker({
    store: (context) => {
      context.onWake(null);
      context.onReconnected();
      context.onLost({ key: "a", token: "b", fence: 1n }, "forced");
      return store.make(context);
    },
    idleTimeoutMs: Number.POSITIVE_INFINITY,
  });
  expect((await within(locker.acquire("a"), 0)).held).toBe(true);
  await within(locker.close(), 60_000);
});

test("a wake-up is for the first waiter of its key, or for those of all keys", async () => {
  const { store, locker, close } = open();
  store.answers.acquire = ({ key }: { key: string }) => ({
    outcome: "queued",
    ticket: key === "a" ? 1n : 2n,
    holder: null,
    lookInMs: null,
  });
  const waits = ["a", "b"].map((key) => watch(locker.acquire(key, { waitMs: 60_000 })));
  await clock.pass(10);
  const looks = () => (store.requests("acquire") as { key: string }[]).map(({ key }) => key).join("");
  const before = looks();
  store.context.onWake("b");
  await settle();
  expect(looks()).toBe(`${before}b`);
  store.context.onWake("c");
  await settle();
  store.context.onWake(null);
  await settle();
  expect(looks()).toBe(`${before}bab`);
  delete store.answers.acquire;
  await clock.pass(2_000);
  for (const wait of waits) expect(wait.result.held).toBe(true);
  await close();
});
