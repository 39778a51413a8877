// A call with `retry`: tries at the strategy's pace, and nothing of it in the database in between.
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import type { RetryStrategy } from "../../../src/api/retry.js";
import { NotPermittedError } from "../../../src/errors/errors.js";
import type { KeyState } from "../../../src/store/messages.js";
import { badPassword, busy, gone, held, noAnswer, notSent, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";

const TIMEOUT_MS = 5_000;

/** A strategy with these delays, and what it was asked. */
function strategy(...delays: readonly unknown[]): RetryStrategy & { readonly asked: number[] } {
  const asked: number[] = [];
  const retry = (attempt: number): number | null => {
    asked.push(attempt);
    return (attempt <= delays.length ? delays[attempt - 1] : delays.at(-1)) as number | null;
  };
  return Object.assign(retry, { asked });
}

/** Once the timer of the first attempts has found nothing to watch. */
async function timersLeft(): Promise<number> {
  await clock.pass(TIMEOUT_MS);
  return clock.timers;
}

test("a key that is taken is tried again after each delay, without a place in the queue, until it is granted", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const retry = strategy(100, 300, 50);
  const call = watch(locker.acquire("a", { retry }));
  const first = backend.attempts.take();
  expect(first.request.terms).toMatchObject({ queues: false });
  first.answer(held);
  const begin = clock.monotonicMs;
  const tries: number[] = [];
  backend.looks.reply = ({ terms, ticket }) => {
    expect([terms.queues, ticket]).toEqual([false, null]);
    tries.push(clock.monotonicMs - begin);
    return tries.length < 4 ? held : backend.granted();
  };

  await clock.pass(499);
  expect(call.state).toBe("pending");
  expect(locker.stats().waiters).toBe(0);
  expect(clock.keepingAlive).toBe(1);
  await clock.pass(1);

  expect(call.result.held).toBe(true);
  expect(tries).toEqual([100, 400, 450, 500]);
  expect(retry.asked).toEqual([1, 2, 3, 4]);
  expect(locker.stats()).toMatchObject({ acquired: 1, contended: 1, refused: 0, timedOut: 0, failed: 0 });
  expect(clock.keepingAlive).toBe(0);
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("without waitMs nothing but the strategy ends it", async () => {
  const { locker, backend, close } = openFake({ waitMs: 1_000, keepAlive: false });
  const call = watch(locker.acquire("a", { retry: () => 3_600_000 }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => held;
  await clock.pass(24 * 3_600_000);
  expect(backend.looks.count).toBe(24);
  expect(call.state).toBe("pending");
  await close();
  expect(call.error).toMatchObject({ code: "closed" });
});

test("a strategy that gives up rejects the call with who has the key, and leaves nothing behind", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { retry: strategy(10, 20, null) }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => held;
  await clock.pass(30);

  expect(call.error).toMatchObject({
    name: "RetriesExhaustedError",
    code: "retries-exhausted",
    key: "a",
    attempts: 3,
    holder: { owner: "somebody", fence: 1n, isThisProcess: false },
    blockingPid: null,
  });
  expect(locker.stats()).toMatchObject({ timedOut: 1, contended: 1, refused: 0, failed: 0 });
  expect(await timersLeft()).toBe(0);
  expect(clock.keepingAlive).toBe(0);
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("a strategy that gives up at once leaves it at one try", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { retry: () => null }));
  backend.attempts.take().answer(held);
  await settle();
  expect(call.error).toMatchObject({ code: "retries-exhausted", attempts: 1 });
  expect(backend.looks.count).toBe(0);
  await close();
});

test("when waitMs is over there is a last try, however long the delay", async () => {
  const { locker, backend, close } = openFake({ retry: () => 700 });
  const call = watch(locker.acquire("a", { waitMs: 1_000 }));
  backend.attempts.take().answer(held);
  const begin = clock.monotonicMs;
  const tries: number[] = [];
  backend.looks.reply = () => {
    tries.push(clock.monotonicMs - begin);
    return held;
  };
  await clock.pass(999);
  expect(call.state).toBe("pending");
  await clock.pass(1);

  expect(tries).toEqual([700, 1_000]);
  expect(call.error).toMatchObject({ code: "wait-timeout", waitMs: 1_000, holder: { owner: "somebody" } });
  expect(locker.stats()).toMatchObject({ timedOut: 1, contended: 1 });
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("the last try may be granted the key", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a", { waitMs: 1_000, retry: () => 60_000 }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => backend.granted();
  await clock.pass(1_000);
  expect(call.result.held).toBe(true);
  await close();
});

test("with waitMs: 0 the key is tried once, and the strategy is not asked", async () => {
  const { locker, backend, close } = openFake();
  const retry = strategy(10);
  const call = watch(locker.acquire("a", { waitMs: 0, retry }));
  backend.attempts.take().answer(held);
  await settle();
  expect(call.error).toMatchObject({ code: "wait-timeout", waitMs: 0 });
  expect(retry.asked).toEqual([]);
  await close();
});

test("withLock retries as well, with the locker's strategy, while tryAcquire does not", async () => {
  const { locker, backend, close } = openFake({ retry: () => 100, keepAlive: false });
  const attempt = watch(locker.tryAcquire("a"));
  backend.attempts.take().answer(held);
  await settle();
  expect(attempt.result).toBeNull();

  const call = watch(locker.withLock("a", () => "done"));
  await settle();
  backend.attempts.take().answer(held);
  backend.looks.reply = () => backend.granted();
  backend.releases.reply = () => released;
  await clock.pass(100);
  expect(call.result).toBe("done");
  await close();
});

test("a key that this process holds is tried as usual", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const holding = watch(locker.acquire("a"));
  backend.attempts.take().answer(backend.granted());
  await settle();
  const call = watch(locker.acquire("a", { waitMs: 50, retry: () => 1_000 }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => held;
  await clock.pass(50);
  expect(call.error).toMatchObject({ code: "wait-timeout", isHeldHere: true });
  holding.result;
  await close();
});

test("the signal ends a pause at once, and nothing is sent for it", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const retry = strategy(60_000);
  const call = watch(locker.acquire("a", { retry, signal: controller.signal }));
  backend.attempts.take().answer(held);
  await clock.pass(1_000);
  const reason = new Error("enough");
  controller.abort(reason);
  await settle();

  expect(call.error).toBe(reason);
  expect(await timersLeft()).toBe(0);
  expect(clock.keepingAlive).toBe(0);
  expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  expect(locker.stats()).toMatchObject({ cancelled: 1, contended: 1 });
  await close();
  expect([backend.looks.count, backend.abandons.count, retry.asked]).toEqual([0, 0, [1]]);
});

test.each(["the signal", "close"])("%s during a try ends it at once, and what it was granted is freed", async (end) => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const retry = strategy(100);
  const call = watch(locker.acquire("a", { retry, signal: controller.signal }));
  backend.attempts.take().answer(held);
  await clock.pass(100);
  const look = backend.looks.take();
  const closed = end === "close" ? close() : controller.abort(new Error("enough"));
  await settle();
  expect(call.error).toMatchObject(end === "close" ? { code: "closed" } : { message: "enough" });
  expect(backend.abandons.count).toBe(0);

  look.answer(backend.granted());
  await settle();
  expect(backend.abandons.count).toBe(1);
  expect(locker.locks()).toEqual([]);
  expect(retry.asked).toEqual([1]);
  await (closed ?? close());
});

test("a grant that arrives in the moment in which the signal fires is freed", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const call = watch(locker.acquire("a", { retry: () => 100, signal: controller.signal }));
  backend.attempts.take().answer(held);
  await clock.pass(100);
  backend.looks.take().answer(backend.granted());
  controller.abort(new Error("enough"));
  await settle();
  expect(call.error).toMatchObject({ message: "enough" });
  backend.abandons.take().answer(released);
  await close();
});

test("a refusal that arrives in the moment in which the signal fires does not reach the strategy", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const retry = strategy(100);
  const call = watch(locker.acquire("a", { retry, signal: controller.signal }));
  backend.attempts.take().answer(held);
  await clock.pass(100);
  backend.looks.take().answer(held);
  controller.abort(new Error("enough"));
  await settle();
  expect(call.error).toMatchObject({ message: "enough" });
  expect(retry.asked).toEqual([1]);
  await close();
});

test("what a strategy throws rejects the call, and leaves nothing behind", async () => {
  const { locker, backend, close } = openFake();
  const mistake = new Error("a mistake of mine");
  const retry = (attempt: number): number => {
    if (attempt === 2) throw mistake;
    return 10;
  };
  const call = watch(locker.acquire("a", { retry }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => held;
  await clock.pass(10);
  expect(call.error).toBe(mistake);
  expect(locker.stats()).toMatchObject({ failed: 1, timedOut: 0, contended: 1 });
  expect(await timersLeft()).toBe(0);
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("a strategy that ends the call itself does so", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const retry = (): number => {
    controller.abort(new Error("by itself"));
    return 60_000;
  };
  const call = watch(locker.acquire("a", { retry, signal: controller.signal }));
  backend.attempts.take().answer(held);
  await settle();
  expect(call.error).toMatchObject({ message: "by itself" });
  expect(await timersLeft()).toBe(0);
  await close();
});

test.each([
  [-1, "-1 (number)"],
  [Number.NaN, "NaN (number)"],
  [Number.POSITIVE_INFINITY, "Infinity (number)"],
  ["100", '"100" (string)'],
  [undefined, "undefined"],
  [100n, "100n (bigint)"],
  [Promise.resolve(100), "an object"],
  [() => 100, "a function"],
])("a delay that is none is refused by name: %s", async (delay, received) => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { retry: strategy(delay) }));
  backend.attempts.take().answer(held);
  await settle();
  expect(call.error).toMatchObject({
    code: "invalid-option",
    option: "retry",
    message: `retry: expected null or a number of 0 and up (milliseconds) from the strategy, got ${received}`,
  });
  expect(await timersLeft()).toBe(0);
  await close();
});

test("a delay of 0 or of a part of a millisecond is one", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a", { retry: strategy(0, 0.5) }));
  backend.attempts.take().answer(held);
  backend.looks.reply = () => (backend.looks.count < 2 ? held : backend.granted());
  await clock.pass(1);
  expect(call.result.held).toBe(true);
  await close();
});

test("an outage is outlasted and told once; the next try comes after the strategy's delay", async () => {
  const errors: unknown[] = [];
  const { locker, backend, close } = openFake({ onError: (error) => errors.push(error), keepAlive: false });
  const retry = strategy(30_000);
  const call = watch(locker.acquire("a", { retry }));
  backend.attempts.take().fail(notSent());
  backend.looks.reply = () => notSent();

  // A try asks again and again for requestTimeoutMs, as tryAcquire does.
  await clock.pass(TIMEOUT_MS);
  const ofFirst = backend.looks.count;
  expect(ofFirst).toBeGreaterThan(5);
  expect(retry.asked).toEqual([1]);
  await clock.pass(29_000);
  expect(backend.looks.count).toBe(ofFirst);
  await clock.pass(7_000);
  expect(retry.asked).toEqual([1, 2]);
  expect(errors).toEqual([expect.objectContaining({ code: "unavailable" })]);

  backend.looks.reply = () => held;
  await clock.pass(30_000);
  expect(retry.asked).toEqual([1, 2, 3]);
  expect(call.state).toBe("pending");
  // It was over: the next one is told of again.
  backend.looks.reply = () => notSent();
  await clock.pass(30_000 + TIMEOUT_MS);
  expect(errors).toHaveLength(2);
  backend.looks.reply = () => backend.granted();
  await clock.pass(30_000);
  expect(call.result.held).toBe(true);
  await close();
});

test("a first attempt that is silent was the first try, and a grant that it was given is found by the next one", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const retry = strategy(2_000);
  const call = watch(locker.acquire("a", { retry }));
  const first = backend.attempts.take();
  await clock.pass(TIMEOUT_MS);
  expect(retry.asked).toEqual([1]);
  expect(backend.looks.count).toBe(0);
  await clock.pass(2_000);
  const look = backend.looks.take();
  expect(look.request.token).toBe(first.request.token);
  const grant = backend.granted();
  first.answer(grant);
  look.answer(grant);
  await settle();
  expect(call.result.held).toBe(true);
  await close();
});

test("a strategy that gives up in an outage rejects with the outage: nobody knows whether the key is taken", async () => {
  const { locker, backend, close } = openFake();
  backend.abandons.reply = () => gone;
  const call = watch(locker.acquire("a", { retry: strategy(1_000, null) }));
  backend.attempts.take().fail(noAnswer());
  backend.looks.reply = () => notSent();
  await clock.pass(TIMEOUT_MS + 1_000 + TIMEOUT_MS - 1_000);
  expect(call.state).toBe("pending");
  await clock.pass(1_000);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(locker.stats()).toMatchObject({ failed: 1, timedOut: 0 });
  await clock.pass(TIMEOUT_MS);
  expect(backend.abandons.count).toBe(1);
  await close();
});

test("an outage that lasts as long as waitMs ends it then", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { waitMs: 20_000, retry: () => 1_000 }));
  backend.attempts.take().fail(notSent());
  backend.looks.reply = () => notSent();
  await clock.pass(19_000);
  expect(call.state).toBe("pending");
  await clock.pass(1_600);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  await close();
});

test("what will not pass by itself ends it at once", async () => {
  for (const failure of [badPassword(), new NotPermittedError({ statement: "grant" })]) {
    const { locker, backend, close } = openFake();
    const retry = strategy(10);
    const call = watch(locker.acquire("a", { retry }));
    backend.attempts.take().answer(held);
    await clock.pass(10);
    backend.looks.take().fail(failure);
    await settle();
    expect(call.error).toMatchObject({ code: failure.code });
    expect(retry.asked).toEqual([1]);
    await close();
  }
});

test("each try asks a busy key three times, within requestTimeoutMs, and the error says who is in the way", async () => {
  const { locker, backend, close } = openFake();
  backend.check = async () => ({ blockingPid: 4_242 }) as KeyState;
  const call = watch(locker.acquire("a", { retry: strategy(1_000, null) }));
  backend.attempts.take().answer(busy);
  backend.looks.reply = () => busy;
  await clock.pass(1_000);
  expect(backend.looks.count).toBe(2);
  await clock.pass(50);
  expect(backend.looks.count).toBe(5);
  expect(call.error).toMatchObject({ code: "retries-exhausted", attempts: 2, blockingPid: 4_242 });
  await close();
});

test("a try that answers slowly is not drawn out by asking a busy key again", async () => {
  const { locker, backend, close } = openFake();
  const retry = strategy(100);
  const call = watch(locker.acquire("a", { retry }));
  const first = backend.attempts.take();
  await clock.pass(TIMEOUT_MS - 3);
  first.answer(busy);
  await settle();
  // 5 ms later would be too late
  expect(retry.asked).toEqual([1]);
  await clock.pass(100);
  await clock.pass(TIMEOUT_MS - 100);
  backend.looks.take().answer(busy);
  await clock.pass(5);
  expect(backend.looks.waiting).toHaveLength(1);
  expect(retry.asked).toEqual([1]);
  await clock.pass(95);
  expect(retry.asked).toEqual([1, 2]);
  while (backend.looks.waiting.length > 0) backend.looks.take().answer(busy);
  backend.abandons.reply = () => gone;
  await close();
  expect(call.error).toMatchObject({ code: "closed" });
});

test.each(["nothing", "an error"])("%s from the question who is in the way does not keep the call", async (from) => {
  const { locker, backend, close } = openFake();
  backend.check = () => (from === "nothing" ? new Promise(() => undefined) : Promise.reject(notSent()));
  const call = watch(locker.acquire("a", { retry: () => null }));
  backend.attempts.take().answer(busy);
  backend.looks.reply = () => busy;
  await clock.pass(1_100);
  expect(call.error).toMatchObject({ code: "retries-exhausted", blockingPid: null });
  await close();
});

test("of 2,000 that are due together no more than 500 are tried at once", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const calls = Array.from({ length: 2_000 }, (_, n) => watch(locker.acquire(`key ${n}`, { retry: () => 1_000 })));
  await settle();
  for (const asked of backend.attempts.waiting) asked.answer(held);
  await clock.pass(1_000);
  expect(backend.looks.waiting).toHaveLength(500);
  for (let round = 0; round < 10 && backend.looks.waiting.length > 0; round += 1) {
    expect(backend.looks.waiting.length).toBeLessThanOrEqual(500);
    for (const asked of backend.looks.waiting) asked.answer(backend.granted());
    await settle();
  }
  expect(calls.filter(({ state }) => state === "resolved")).toHaveLength(2_000);
  await close();
});
