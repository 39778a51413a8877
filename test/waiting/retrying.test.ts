// `retry` in place of the queue, against a real server. The pace of the tries is in test/unit/acquire/retrying.test.ts.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, onTestFinished, test } from "vitest";
import { type AcquireMessage, backoff, RetriesExhaustedError } from "../../src/index.js";
import { startWorker } from "../support/child.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";
import { isQueued, queueOf, untilQueued } from "./queue.js";
import type { Grant } from "./waiter.js";

const database = await createDatabase();

test("whoever queues goes first, however often another tries meanwhile", async () => {
  await using waiter = await startWorker(new URL("./waiter.ts", import.meta.url), { url: database.url });
  await waiter.request("ready");
  await using holder = openLocker(database);
  await using retrier = openLocker(database);
  const held = await holder.acquire("queue");
  let tries = 0;
  const retry = (attempt: number): number => {
    tries = attempt;
    return 10;
  };
  const retrying = retrier.acquire("queue", { retry });
  await until("it retries", () => tries > 2);
  const queued = waiter.request<Grant>("wait", { key: "queue", name: "queued" });
  await untilQueued(database, "queue", 1);

  // Frozen, the waiter cannot take the key that is free now. Its place in the queue is kept for a few seconds.
  waiter.stop();
  await held.release();
  const before = tries;
  await until("it has tried for the free key", () => tries >= before + 5);
  const { state } = (await retrier.check("queue")) ?? { state: "free" };
  const waiting = await queueOf(database, "queue");
  waiter.cont();
  const { fence } = await queued;
  const lock = await retrying;

  expect(state).toBe("free");
  expect(waiting).toHaveLength(1);
  expect(lock.fence).toBeGreaterThan(fence);
  await lock.release();
  await waiter.request("close");
});

test("a strategy that gives up says who has the key; no try has left anything, and the call counts once", async () => {
  await using holder = openLocker(database, { owner: "the holder" });
  await using retrier = openLocker(database);
  const messages: AcquireMessage[] = [];
  const onMessage = (message: unknown) => void messages.push(message as AcquireMessage);
  const held = await holder.acquire("exhausted");
  subscribe("leasehold:acquire", onMessage);
  onTestFinished(() => void unsubscribe("leasehold:acquire", onMessage));

  const retry = backoff.fixed(5, { retries: 4 });
  const error: unknown = await retrier.withLock("exhausted", () => "ran", { retry }).catch((reason) => reason);

  expect(error).toBeInstanceOf(RetriesExhaustedError);
  expect(error).toMatchObject({
    code: "retries-exhausted",
    key: "exhausted",
    attempts: 5,
    holder: { owner: "the holder", fence: held.fence, isThisProcess: false },
    blockingPid: null,
  });
  expect(await queueOf(database, "exhausted")).toEqual([]);
  expect(await isQueued(database, "exhausted")).toBe(false);
  expect(messages).toEqual([
    expect.objectContaining({ key: "exhausted", outcome: "timed-out", isContended: true, fence: null, error: null }),
  ]);
  expect(retrier.stats()).toMatchObject({ acquired: 0, refused: 0, timedOut: 1, contended: 1 });
  await held.release();
});

test("during a pause debug() shows the tries, and the signal ends it without a statement", async () => {
  await using proxy = await startProxy(database.url);
  await using holder = openLocker(database);
  await using retrier = openLocker(proxy.url(database.url), { statsFlushMs: Number.POSITIVE_INFINITY });
  const held = await holder.acquire("pause");
  const controller = new AbortController();
  let tries = 0;
  const retry = (attempt: number): number => {
    tries = attempt;
    return attempt < 3 ? 5 : 3_600_000;
  };
  const refused = retrier.acquire("pause", { retry, signal: controller.signal }).catch((reason: unknown) => reason);
  await until("it has tried three times", () => tries === 3);
  const [wait, ...others] = (await retrier.debug()).waits;
  proxy.statements.length = 0;

  controller.abort("enough");
  const reason = await refused;
  await retrier.ping();
  const sent = proxy.statements.filter(({ sql }) => /leasehold_internal\.(acquire|abandon|release)/.test(sql));
  const left = (await retrier.debug()).waits;

  expect(others).toEqual([]);
  expect(wait).toMatchObject({ key: "pause", attempts: 3, ticket: null, waitMs: "Infinity" });
  expect(wait?.holder).toMatchObject({ fence: `${held.fence}` });
  expect(reason).toBe("enough");
  expect(sent).toEqual([]);
  expect(left).toEqual([]);
  await held.release();
});

test.each([
  [{ waitMs: 100 }, "wait-timeout"],
  [{ retry: backoff.fixed(10, { retries: 2 }) }, "retries-exhausted"],
])("a key that an open transaction keeps: the error of %o says which process that is", async (options, code) => {
  await using locker = openLocker(database);
  await using retrier = openLocker(database, { retry: backoff.fixed(10) });
  const lock = await locker.acquire("blocked");
  await lock.release();
  const { error, pid } = await database.sql.begin(async (tx) => {
    const [row] = await tx`select pg_backend_pid() as pid from leasehold.leases where key = 'blocked' for update`;
    return {
      error: await retrier.acquire("blocked", options).catch((reason: unknown) => reason),
      pid: row?.pid as number,
    };
  });

  expect(error).toMatchObject({ code, blockingPid: pid });
  expect((error as Error).message).toContain(`blocked by the open transaction of server process ${pid}`);
});

test("the try of one that retries is granted what a dead holder has left", async () => {
  expectLeft(database, "sessions");
  await using retrier = openLocker(database);
  const dying = await startWorker("test/support/lock-worker.ts", {
    url: database.url,
    options: { takeoverDelayMs: 1_000, ttlMs: 600_000 },
  });
  await dying.request("acquire", { key: "dead" });
  const retrying = retrier.acquire("dead", { retry: backoff.exponential(20, { maxDelayMs: 200 }) });
  await dying.kill("SIGKILL");
  const lock = await retrying;
  expect(lock.held).toBe(true);
  await lock.release();
});
