// What a locker does, on the channels of node:diagnostics_channel.
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { expect, onTestFinished, test } from "vitest";
import type { AcquireTrace, Lock, Trace, WithLockTrace } from "../../src/index.js";
import { Publisher } from "../../src/observe/hooks/publisher.js";
import type { ObservedClaim, ObservedLease } from "../../src/observe/observer.js";
import { ask } from "../support/ask.js";
import { createDatabase } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

const names = ["acquire", "release", "detach", "adopt", "lost", "takeover", "sweep"] as const;

/** What is published until the test has ended, as `[channel, message]`. Each survives JSON, and shows no token. */
function listen(...channels: (typeof names)[number][]): [string, Record<string, unknown>][] {
  const heard: [string, Record<string, unknown>][] = [];
  for (const name of channels.length === 0 ? names : channels) {
    const onMessage = (message: unknown) => {
      const data = JSON.parse(JSON.stringify(message));
      expect(data).toEqual(message);
      heard.push([name, data]);
    };
    subscribe(`leasehold:${name}`, onMessage);
    onTestFinished(() => void unsubscribe(`leasehold:${name}`, onMessage));
  }
  return heard;
}

type Event = "start" | "end" | "asyncStart" | "asyncEnd" | "error";

/** What a tracing channel tells until the test has ended, as `[event, context]`: the one object of an operation. */
function trace<Context extends object>(name: string): [Event, Context][] {
  const heard: [Event, Context][] = [];
  const tell = (event: Event) => (context: object) => void heard.push([event, context as Context]);
  const subscribers = {
    start: tell("start"),
    end: tell("end"),
    asyncStart: tell("asyncStart"),
    asyncEnd: tell("asyncEnd"),
    error: tell("error"),
  };
  tracingChannel(name).subscribe(subscribers);
  onTestFinished(() => void tracingChannel(name).unsubscribe(subscribers));
  return heard;
}

test("an acquire and a release are told, with what became of them", async () => {
  await using locker = openLocker(database, { owner: "me", prefix: "app:" });
  await using other = openLocker(database, { owner: "other", prefix: "app:" });
  const heard = listen();
  const lock = await locker.acquire("a");
  expect(await other.tryAcquire("a")).toBeNull();
  await expect(other.acquire("a", { waitMs: 20 })).rejects.toThrow();
  await lock.release();

  const about = { lockerId: expect.any(Number), instance: null, key: "app:a", mode: "exclusive" };
  const fence = `${lock.fence}`;
  const refused = {
    ...about,
    owner: "other",
    waitedMs: expect.any(Number),
    isContended: true,
    fence: null,
    error: null,
  };
  expect(heard).toEqual([
    [
      "acquire",
      {
        ...about,
        owner: "me",
        outcome: "granted",
        waitedMs: expect.any(Number),
        isContended: false,
        fence,
        error: null,
      },
    ],
    ["acquire", { ...refused, outcome: "held" }],
    ["acquire", { ...refused, outcome: "timed-out" }],
    ["release", { ...about, owner: "me", fence, heldMs: expect.any(Number) }],
  ]);
  const [mine, theirs] = heard.map(([, { lockerId }]) => Number(lockerId));
  expect(theirs).toBe(Number(mine) + 1);
});

test("a lock that is handed over is told by who gives it away, and by who goes on with it", async () => {
  await using locker = openLocker(database, { owner: "first" });
  await using other = openLocker(database, { owner: "second" });
  const heard = listen();
  const lock = await locker.acquire("handed over");
  const detached = await lock.detach();
  const adopted = await other.adopt(detached);
  await other.adopt(detached).catch(() => undefined);
  await adopted.release();

  const told = heard.map(([name, { key, owner, fence, heldMs }]) => [name, key, owner, fence, typeof heldMs]);
  const about = (owner: string) => ["handed over", owner, `${lock.fence}`];
  expect(told).toEqual([
    ["acquire", ...about("first"), "undefined"],
    ["detach", ...about("first"), "number"],
    ["adopt", ...about("second"), "number"],
    ["release", ...about("second"), "number"],
  ]);
  const [, detach, adopt, release] = heard.map(([, { heldMs }]) => Number(heldMs));
  // since the grant
  expect(adopt).toBeGreaterThan(0);
  expect(release).toBeGreaterThan(detach ?? 0);
  expect(JSON.stringify(heard)).not.toContain(detached.token);
});

test("an acquire that was cancelled, and one that failed, are told with the error", async () => {
  await using locker = openLocker(database);
  const broken = openLocker("postgres://127.0.0.1:1/nowhere", { requestTimeoutMs: 100, connectTimeoutMs: 100 });
  const heard: Record<string, unknown>[] = [];
  const onMessage = (message: unknown) => void heard.push(message as Record<string, unknown>);
  subscribe("leasehold:acquire", onMessage);
  onTestFinished(() => void unsubscribe("leasehold:acquire", onMessage));
  await locker.withLock("a", async () => {
    const controller = new AbortController();
    const waiting = locker.acquire("a", { signal: controller.signal });
    controller.abort("enough");
    await expect(waiting).rejects.toBe("enough");
  });
  const failure = await broken.acquire("a", { waitMs: 1 }).catch((error: unknown) => error);
  await broken.close();

  expect(heard).toMatchObject([
    { outcome: "granted" },
    { outcome: "cancelled", error: "enough", fence: null },
    { outcome: "failed", fence: null },
  ]);
  expect(heard[2]?.error).toBe(failure);
});

test("a loss is told with its reason, and is no release", async () => {
  await using locker = openLocker(database);
  const heard = listen("release", "lost");
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await new Promise((resolve) => lock.signal.addEventListener("abort", resolve, { once: true }));
  await expect(lock.release()).rejects.toMatchObject({ reason: "expired" });

  expect(heard).toEqual([
    [
      "lost",
      {
        lockerId: expect.any(Number),
        instance: null,
        key: "a",
        owner: lock.owner,
        mode: "exclusive",
        fence: `${lock.fence}`,
        reason: "expired",
        heldMs: expect.any(Number),
      },
    ],
  ]);
});

test("a takeover is told before its acquire, with who had the key and since when that had expired", async () => {
  await using locker = openLocker(database);
  const [silent] = await ask(sql, ["a"]);
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '3 seconds' where key = 'a'`;
  const [row] = await sql`select expires_at from leasehold.leases where key = 'a'`;
  const heard = listen("acquire", "takeover");
  const lock = await locker.acquire("a");
  await lock.release();
  await locker.withLock("a", () => undefined);

  expect(heard.map(([name]) => name)).toEqual(["takeover", "acquire", "acquire"]);
  expect(heard[0]?.[1]).toEqual({
    lockerId: expect.any(Number),
    instance: null,
    key: "a",
    owner: lock.owner,
    mode: "exclusive",
    fence: `${lock.fence}`,
    reason: "expired",
    from: { owner: "asker", fence: `${silent?.fence}` },
    since: row?.expires_at.toISOString(),
  });
});

test("every message about a lock says how it was asked for", async () => {
  await using locker = openLocker(database);
  await locker.migrate();
  const heard = listen("acquire", "release", "lost", "takeover");
  const traces = trace<AcquireTrace>("leasehold:acquire");
  const reader = await locker.acquire("a", { shared: true });
  const part = await locker.acquire("a", { capacity: 5, weight: 2 });
  expect(await locker.tryAcquire("a")).toBeNull();
  await reader.release();
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 second' where key = 'a'`;
  await part.renew().catch(() => undefined);
  const lapsed = await locker.acquire("b", { shared: true });
  await sql`update leasehold.shares set expires_at = clock_timestamp() - interval '1 second' where key = 'b'`;
  const next = await locker.acquire("b", { capacity: 3, waitMs: 5_000 });
  for (const lock of [lapsed, next]) await lock.release().catch(() => undefined);

  const told = heard.filter(([, { key }]) => key === "a").map(([name, { mode }]) => [name, mode]);
  expect(told).toEqual([
    ["acquire", "shared"],
    ["acquire", "semaphore"],
    ["acquire", "exclusive"],
    ["release", "shared"],
    ["lost", "semaphore"],
  ]);
  expect(heard.find(([name]) => name === "takeover")?.[1]).toMatchObject({
    mode: "semaphore",
    from: { fence: `${lapsed.fence}` },
  });
  const starts = traces.filter(([event]) => event === "start").map(([, { mode }]) => mode);
  expect(starts).toEqual(["shared", "semaphore", "exclusive", "shared", "semaphore"]);
  expect(locker.stats()).toMatchObject({ acquired: 4, refused: 1, takenOver: { expired: 1, orphaned: 0 } });
});

test("a sweep is told, with what it did", async () => {
  await using locker = openLocker(database);
  await locker.withLock("old", () => undefined);
  await sql`update leasehold.leases set released_at = clock_timestamp() - interval '1 day' where key = 'old'`;
  const heard = listen("sweep");
  const result = await locker.sweep();
  expect(result.leasesPurged).toBe(1);
  expect(heard).toEqual([["sweep", { lockerId: expect.any(Number), instance: null, ...result }]]);
});

test("without subscribers no message is made", async () => {
  /** Fails whoever looks into it. */
  const untouchable = <T>() => {
    const fail = (): never => expect.unreachable("it was read");
    return new Proxy({}, { get: fail, ownKeys: fail }) as T;
  };
  const publisher = new Publisher();
  const steps: Record<string, () => unknown> = {
    "leasehold:acquire": () =>
      publisher.acquireEnded(untouchable<ObservedClaim>(), "granted", 0, untouchable<Lock>(), null),
    "leasehold:takeover": () =>
      publisher.acquireEnded(untouchable<ObservedClaim>(), "granted", 0, untouchable<Lock>(), null),
    "leasehold:release": () => publisher.released(untouchable<ObservedLease>(), 0),
    "leasehold:detach": () => publisher.detached(untouchable<ObservedLease>(), 0),
    "leasehold:adopt": () => publisher.adopted(untouchable<ObservedLease>(), 0),
    "leasehold:lost": () => publisher.lost(untouchable<ObservedLease>(), { reason: "expired" } as never, 0),
    "leasehold:sweep": () => publisher.swept(untouchable()),
    "tracing:leasehold:acquire:start": () => publisher.traceAcquire("a", untouchable(), async () => 1, untouchable),
  };
  for (const step of Object.values(steps)) await step();
  expect(await publisher.traceWithLock("a", async () => "value", untouchable)).toBe("value");

  // and it would be noticed
  const onMessage = () => undefined;
  for (const [name, step] of Object.entries(steps)) {
    subscribe(name, onMessage);
    onTestFinished(() => void unsubscribe(name, onMessage));
    await expect(async () => await step(), name).rejects.toThrow("was read");
    unsubscribe(name, onMessage);
  }
});

test("an acquire is an operation of a tracing channel, from its start to its end", async () => {
  await using locker = openLocker(database, { owner: "me" });
  const heard = trace<AcquireTrace>("leasehold:acquire");
  const lock = await locker.acquire("a", { ttlMs: 60_000, waitMs: Number.POSITIVE_INFINITY });
  const about = {
    lockerId: expect.any(Number),
    instance: null,
    key: "a",
    owner: "me",
    mode: "exclusive",
    ttlMs: 60_000,
  };
  const result = { outcome: "granted", fence: `${lock.fence}` };
  expect(heard.map(([event]) => event)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
  expect(new Set(heard.map(([, context]) => context)).size).toBe(1);
  expect(heard[0]?.[1]).toEqual({ ...about, waitMs: Number.POSITIVE_INFINITY, result });
  expect(JSON.stringify(heard)).not.toContain(await tokenOf(database.sql, "a"));

  heard.length = 0;
  expect(await locker.tryAcquire("a")).toBeNull();
  expect(heard.map(([event]) => event)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
  expect(heard[0]?.[1]).toMatchObject({ key: "a", waitMs: 0, result: { outcome: "held", fence: null } });

  heard.length = 0;
  const error = await locker.acquire("a", { waitMs: 1 }).catch((reason: unknown) => reason);
  expect(heard.map(([event]) => event)).toEqual(["start", "end", "error", "asyncStart", "asyncEnd"]);
  expect(heard[0]?.[1].error).toBe(error);
  expect(heard[0]?.[1].error).toMatchObject({ code: "wait-timeout" });
  await lock.release();
});

test("withLock and tryWithLock are operations of a tracing channel, with the acquire inside", async () => {
  await using locker = openLocker(database);
  const outer = trace<WithLockTrace>("leasehold:with-lock");
  const inner = trace<AcquireTrace>("leasehold:acquire");
  const value = await locker.withLock("a", async () => {
    expect(outer.map(([event]) => event)).toEqual(["start", "end"]);
    expect(inner.map(([event]) => event)).toEqual(["start", "end", "asyncStart", "asyncEnd"]);
    expect(await locker.tryWithLock("a", () => 1)).toMatchObject({ acquired: false });
    return "value";
  });
  expect(value).toBe("value");
  const results = outer.filter(([event]) => event === "asyncEnd").map(([, { result }]) => result);
  expect(results).toEqual([{ isAcquired: false }, { isAcquired: true }]);
  expect(outer[0]?.[1]).toEqual({
    lockerId: expect.any(Number),
    instance: null,
    keys: ["a"],
    result: { isAcquired: true },
  });

  const error = new Error("the body's");
  const failing = locker.tryWithLock("a", () => {
    throw error;
  });
  await expect(failing).rejects.toBe(error);
  expect(outer.at(-1)?.[1].error).toBe(error);
});

test("a store that is bound to a start channel reaches the body", async () => {
  await using locker = openLocker(database);
  const storage = new AsyncLocalStorage<string>();
  const { start } = tracingChannel("leasehold:with-lock");
  start.bindStore(storage, (context) => `in ${(context as WithLockTrace).keys.join()}`);
  onTestFinished(() => void start.unbindStore(storage));
  const seen = await locker.withLock("a", async () => {
    await locker.ping();
    return storage.getStore();
  });
  expect(seen).toBe("in a");
  expect(storage.getStore()).toBeUndefined();
});

test("what a subscriber sets as runIn runs the operation, once, whatever it returns", async () => {
  await using locker = openLocker(database);
  const storage = new AsyncLocalStorage<string>();
  const onStart = (context: unknown) => {
    const trace = context as Trace;
    trace.runIn = (work) => {
      storage.run("inside", () => void work());
      void work(); // once is enough
      return "nonsense";
    };
  };
  subscribe("tracing:leasehold:with-lock:start", onStart);
  onTestFinished(() => void unsubscribe("tracing:leasehold:with-lock:start", onStart));
  let runs = 0;
  const seen = await locker.withLock("a", () => {
    runs += 1;
    return storage.getStore();
  });
  expect({ seen, runs }).toEqual({ seen: "inside", runs: 1 });
});

test("subscribers that throw change nothing for the lock; Node makes uncaught exceptions of it", async () => {
  await using locker = openLocker(database);
  const uncaught = catchUncaught();
  const fail = (): never => {
    throw new Error("a subscriber's");
  };
  const failing = [...names.map((name) => `leasehold:${name}`)];
  for (const operation of ["acquire", "with-lock"]) {
    for (const event of ["start", "end", "asyncStart", "asyncEnd", "error"])
      failing.push(`tracing:leasehold:${operation}:${event}`);
  }
  const setBrokenRunIn = (context: unknown) => Object.assign(context as Trace, { runIn: fail });
  subscribe("tracing:leasehold:with-lock:start", setBrokenRunIn);
  for (const name of failing) subscribe(name, fail);
  try {
    const fence = await locker.withLock("a", async (lock) => {
      lock.assertHeld();
      expect(await locker.tryAcquire("a")).toBeNull();
      return lock.fence;
    });
    expect(fence).toBeGreaterThan(0n);
    const brief = await locker.acquire("b", { ttlMs: 1_000, keepAlive: false });
    await new Promise((resolve) => brief.signal.addEventListener("abort", resolve, { once: true }));
    await expect(locker.withLock("c", () => Promise.reject(new Error("the body's")))).rejects.toThrow("the body's");
  } finally {
    for (const name of failing) unsubscribe(name, fail);
    unsubscribe("tracing:leasehold:with-lock:start", setBrokenRunIn);
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(new Set(uncaught.map(String))).toEqual(new Set(["Error: a subscriber's"]));
  expect(uncaught.length).toBeGreaterThan(15);
  expect(await locker.check("a")).toBeNull();
});

/** Instead of the test runner, which would take them for failures. */
function catchUncaught(): unknown[] {
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const collect = (error: unknown) => void uncaught.push(error);
  process.on("uncaughtException", collect);
  onTestFinished(() => {
    process.off("uncaughtException", collect);
    for (const listener of others) process.on("uncaughtException", listener);
  });
  return uncaught;
}
