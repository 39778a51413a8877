// The road of an acquire over time: its first attempt, its looks, its end, and the last word that leaves nothing behind.
import { expect, test } from "vitest";
import { NotPermittedError } from "../../src/errors/errors.js";
import { badPassword, busy, gone, held, noAnswer, notSent, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";

const TIMEOUT_MS = 5_000;

test("a first attempt that is granted settles the call, and leaves no timer that keeps the process alive", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a"));
  backend.attempts.take().answer(backend.granted());
  await settle();

  expect(call.result.held).toBe(true);
  expect(clock.keepingAlive).toBe(0);
  expect(backend.looks.count).toBe(0);
  await close();
  expect(backend.releases.count).toBe(1);
  expect(backend.abandons.count).toBe(0);
});

test("a try whose first attempt finds a holder is refused at once, with no last word: it left nothing", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.tryAcquire("a"));
  backend.attempts.take().answer(held);
  await settle();

  expect(call.result).toBeNull();
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("who waits for what this process holds goes to the queue at once; a try asks as usual", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const holding = watch(locker.acquire("a"));
  backend.attempts.take().answer(backend.granted());
  await settle();
  holding.result;

  const attempt = watch(locker.tryAcquire("a"));
  await settle();
  expect([backend.attempts.count, backend.looks.count]).toEqual([2, 0]);
  backend.attempts.take().answer(held);
  await settle();
  expect(attempt.result).toBeNull();
  const waiter = watch(locker.acquire("a", { waitMs: 60_000 }));
  await settle();
  expect([backend.attempts.count, backend.looks.count]).toEqual([2, 1]);
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(waiter.result.held).toBe(true);
  await close();
});

test("a first attempt that is queued becomes a wait, which says its last word when its time is up", async () => {
  const { locker, backend, close } = openFake();
  backend.keeps.reply = () => [];
  const call = watch(locker.acquire("a", { waitMs: 2_500 }));
  backend.attempts.take().answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  await clock.pass(2_499);
  expect(call.state).toBe("pending");
  expect(backend.looks.count).toBeGreaterThanOrEqual(2);
  await clock.pass(1);

  expect(call.error).toMatchObject({ code: "wait-timeout" });
  expect(backend.abandons.take().request).toMatchObject({ key: "a", wasHeld: false, isDoubted: false });
  await close();
});

test("a wait that is queued polls no more often than every 800 ms, and looks when the answer said so", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { waitMs: 60_000 }));
  backend.attempts.take().answer(backend.queued());
  const ticket = { number: 1n, proof: 0n };
  backend.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: null, holder: null });
  await clock.pass(10_000);
  expect(backend.looks.count).toBeGreaterThanOrEqual(8);
  expect(backend.looks.count).toBeLessThanOrEqual(13);

  backend.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: 137, holder: null });
  await clock.pass(1_300);
  const before = backend.looks.count;
  backend.looks.reply = () => backend.granted();
  await clock.pass(137);
  expect(backend.looks.count).toBe(before + 1);
  expect(call.result.held).toBe(true);
  await close();
});

test("a busy key is asked for again at a growing pace: soon at first, no faster than once a second in the end", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { waitMs: 60_000 }));
  backend.attempts.take().answer(busy);
  const times: number[] = [];
  backend.looks.reply = () => {
    times.push(clock.monotonicMs);
    return busy;
  };
  const start = clock.monotonicMs;
  await clock.pass(20_000);
  const gaps = times.map((time, n) => time - (times[n - 1] ?? start));

  expect(gaps[0]).toBeLessThanOrEqual(61);
  expect(gaps.slice(-5).every((gap) => gap >= 600 && gap <= 1_201)).toBe(true);
  backend.looks.reply = () => backend.granted();
  await clock.pass(1_300);
  expect(call.result.held).toBe(true);
  await close();
});

test("a try asks a busy key three times within some 20 ms, and tells who is in the way", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.tryAcquire("a"));
  backend.attempts.take().answer(busy);
  backend.looks.reply = () => busy;
  await clock.pass(20);

  expect(call.result).toBeNull();
  expect(backend.looks.count).toBe(2);
  await close();
});

test.each(["late", "unproven"] as const)(
  "a first attempt that is %s is asked again until its deadline",
  async (outcome) => {
    const { locker, backend, close } = openFake();
    const call = watch(locker.acquire("a", { waitMs: 1 }));
    backend.attempts.take().answer({ outcome });
    backend.looks.reply = () => ({ outcome });
    await clock.pass(TIMEOUT_MS - 600);
    expect(call.state).toBe("pending");
    expect(backend.looks.count).toBeGreaterThan(8);
    await clock.pass(600);

    expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
    backend.abandons.take().answer(gone);
    await close();
  },
);

test("a first attempt that was not sent is sent again, and then granted", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a"));
  backend.attempts.take().fail(notSent());
  await settle();
  backend.looks.take().answer(backend.granted());
  await settle();

  expect(call.result.held).toBe(true);
  await close();
  // Every attempt is accounted for: token and fence free it.
  expect(backend.releases.count).toBe(1);
  expect(backend.abandons.count).toBe(0);
});

test("after an attempt without an answer the lock is released by its token alone, never by its fence", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a"));
  backend.attempts.take().fail(noAnswer());
  await settle();
  const look = backend.looks.take();
  look.answer(backend.granted(60_000));
  await settle();
  const lock = call.result;
  // The lost attempt can be carried out until its deadline; from then on a look at the token is enough.
  await clock.pass(TIMEOUT_MS + 100);
  const release = watch(lock.release());
  await settle();

  expect(backend.releases.count).toBe(0);
  const abandon = backend.abandons.take();
  expect(abandon.request).toMatchObject({ token: look.request.token, wasHeld: true, isDoubted: true });
  abandon.answer(released);
  await settle();
  release.result;
  await close();
});

test("a lock is released at once although a lost attempt may still arrive, and its last word follows after that", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a"));
  backend.attempts.take().fail(noAnswer());
  await settle();
  backend.looks.take().answer(backend.granted(60_000));
  await settle();
  const release = watch(call.result.release());
  await settle();
  backend.releases.take().answer(released);
  await settle();
  release.result;

  await clock.pass(TIMEOUT_MS - 1);
  expect(backend.abandons.count).toBe(0);
  await clock.pass(100);
  expect(backend.abandons.take().request).toMatchObject({ wasHeld: true, isDoubted: true });
  await close();
});

test("a first attempt that fails for good rejects the call with that error", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a"));
  const refused = new NotPermittedError({ statement: "select 1" });
  backend.attempts.take().fail(refused);
  await settle();

  expect(call.error).toBe(refused);
  expect(backend.looks.count).toBe(0);
  await close();
});

test("a wrong password is not tried again", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a"));
  const failure = badPassword();
  backend.attempts.take().fail(failure);
  backend.looks.reply = () => failure;
  await settle();
  await clock.pass(2_000);

  expect(call.error).toBe(failure);
  expect(backend.looks.count).toBeLessThanOrEqual(1);
  await close();
});

test("what Postgres does not answer is given up after requestTimeoutMs, as unknown", async () => {
  const { locker, backend, close } = openFake();
  backend.looks.reply = () => notSent();
  const call = watch(locker.acquire("a", { waitMs: 1 }));
  backend.attempts.take().fail(noAnswer());
  await clock.pass(TIMEOUT_MS + 1);

  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  backend.abandons.reply = () => gone;
  await clock.pass(1_000);
  expect(backend.abandons.count).toBe(1);
  await close();
});

test("a first attempt that is silent times out, and a grant that comes later is freed by the last word", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { waitMs: 1 }));
  await settle();
  await clock.pass(TIMEOUT_MS - 1);
  expect(call.state).toBe("pending");
  await clock.pass(1);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });

  // Not before the attempt has ended: it could be carried out after its last word.
  await clock.pass(1_000);
  expect(backend.abandons.count).toBe(0);
  backend.attempts.take().answer(backend.granted());
  await settle();
  expect(locker.locks()).toHaveLength(0);
  const abandon = backend.abandons.take();
  expect(abandon.request).toMatchObject({ key: "a", wasHeld: false });
  abandon.answer(released);
  await close();
});

test("a silent first attempt whose connection is lost at last is ended once the server refuses it", async () => {
  const { locker, backend, close } = openFake();
  const call = watch(locker.acquire("a", { waitMs: 1 }));
  await clock.pass(TIMEOUT_MS);
  expect(call.state).toBe("rejected");
  backend.attempts.take().fail(noAnswer());
  await clock.pass(TIMEOUT_MS * 0.01 + 1);
  expect(backend.abandons.count).toBe(0);
  await clock.pass(2);
  expect(backend.abandons.take().request).toMatchObject({ isDoubted: true });
  await close();
});

test("many silent first attempts share one timer, and each times out at its own time", async () => {
  const { locker, backend, close } = openFake();
  const early = Array.from({ length: 50 }, (_, n) => watch(locker.acquire(`early ${n}`, { waitMs: 1 })));
  await clock.pass(1_000);
  const late = Array.from({ length: 50 }, (_, n) => watch(locker.acquire(`late ${n}`, { waitMs: 1 })));
  expect(clock.timers).toBe(1);
  await clock.pass(TIMEOUT_MS - 1_000);
  expect(new Set(early.map(({ state }) => state))).toEqual(new Set(["rejected"]));
  expect(new Set(late.map(({ state }) => state))).toEqual(new Set(["pending"]));
  await clock.pass(1_000);
  expect(new Set(late.map(({ state }) => state))).toEqual(new Set(["rejected"]));
  while (backend.attempts.waiting.length > 0) backend.attempts.take().answer(held);
  await close();
});

test("a wait outlasts an outage: it is reported once, and the grant comes when Postgres answers again", async () => {
  const errors: unknown[] = [];
  const { locker, backend, close } = openFake({ onError: (error) => errors.push(error), keepAlive: false });
  const call = watch(locker.acquire("a", { waitMs: 60_000 }));
  backend.attempts.take().fail(notSent());
  backend.looks.reply = () => notSent();
  await clock.pass(40_000);
  expect(call.state).toBe("pending");
  expect(errors).toEqual([expect.objectContaining({ code: "unavailable" })]);
  expect(backend.looks.count).toBeGreaterThan(60);

  backend.looks.reply = () => backend.granted();
  await clock.pass(500);
  expect(call.result.held).toBe(true);
  await close();
});

test("a first attempt that is silent is asked again after requestTimeoutMs, while there is time to wait", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a", { waitMs: 60_000 }));
  await clock.pass(TIMEOUT_MS + 1);
  expect(call.state).toBe("pending");
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(call.result.held).toBe(true);
  backend.attempts.take().fail(noAnswer());
  await close();
});

test("an outage that lasts as long as the wait ends it when waitMs is over", async () => {
  const { locker, backend, close } = openFake();
  backend.looks.reply = () => notSent();
  backend.abandons.reply = () => gone;
  const call = watch(locker.acquire("a", { waitMs: 20_000 }));
  backend.attempts.take().fail(notSent());
  await clock.pass(19_000);
  expect(call.state).toBe("pending");
  await clock.pass(1_600);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  await close();
});

test("what will not pass by itself ends a wait at once", async () => {
  for (const failure of [badPassword(), new NotPermittedError({ statement: "grant" })]) {
    const { locker, backend, close } = openFake();
    backend.abandons.reply = () => gone;
    const call = watch(locker.acquire("a", { waitMs: 60_000 }));
    backend.attempts.take().fail(notSent());
    await settle();
    backend.looks.take().fail(failure);
    await settle();
    expect(call.error).toMatchObject({ code: failure.code });
    await close();
  }
});

test("an aborted signal sends nothing", async () => {
  const { locker, backend, close } = openFake();
  const reason = new Error("before");
  const call = watch(locker.acquire("a", { signal: AbortSignal.abort(reason) }));
  await settle();

  expect(call.error).toBe(reason);
  expect(backend.attempts.count).toBe(0);
  await close();
  expect(backend.abandons.count).toBe(0);
});

test("a signal during the first attempt ends the call at once; the last word follows the answer", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const call = watch(locker.acquire("a", { signal: controller.signal }));
  const reason = new Error("during");
  controller.abort(reason);
  await settle();
  expect(call.error).toBe(reason);
  expect(backend.abandons.count).toBe(0);

  backend.attempts.take().answer(backend.granted());
  await settle();
  backend.abandons.take().answer(released);
  await settle();
  expect(locker.locks()).toHaveLength(0);
  await close();
});

test.each(["pausing", "looking", "connecting"])(
  "a signal during the wait ends it at once, while it is %s",
  async (when) => {
    const { locker, backend, close } = openFake();
    const controller = new AbortController();
    const call = watch(locker.acquire("a", { signal: controller.signal, waitMs: 60_000 }));
    backend.attempts.take().answer(backend.queued());
    let connect = (): void => undefined;
    if (when === "connecting") {
      backend.opening = new Promise((resolve) => {
        connect = resolve;
      });
    }
    await clock.pass(when === "pausing" ? 100 : 1_300);
    expect(backend.looks.waiting).toHaveLength(when === "looking" ? 1 : 0);
    const reason = new Error(when);
    controller.abort(reason);
    await settle();
    expect(call.error).toBe(reason);

    if (when === "looking") {
      expect(backend.abandons.count).toBe(0);
      backend.looks.take().answer(backend.granted());
      await settle();
    }
    backend.abandons.take().answer(released);
    connect();
    await settle();
    expect(backend.looks.waiting).toHaveLength(0);
    expect(locker.locks()).toHaveLength(0);
    await close();
  },
);

test("a signal after the grant changes nothing", async () => {
  const { locker, backend, close } = openFake();
  const controller = new AbortController();
  const call = watch(locker.acquire("a", { signal: controller.signal }));
  backend.attempts.take().answer(backend.granted());
  controller.abort();
  await settle();

  expect(call.result.held).toBe(true);
  await close();
});

test.each(["attempt", "pause", "look"])(
  "close ends an acquire with ClosedError during its %s, and its last word goes out",
  async (when) => {
    const { locker, backend } = openFake();
    const call = watch(locker.acquire("a", { waitMs: 60_000 }));
    if (when !== "attempt") {
      backend.attempts.take().answer(backend.queued());
      await clock.pass(when === "look" ? 1_300 : 10);
    }
    const closed = watch(locker.close(), "close");
    await clock.pass(1);
    expect(call.error).toMatchObject({ code: "closed" });
    expect(backend.closes).toBe(0);
    if (when === "attempt") backend.attempts.take().answer(backend.granted());
    if (when === "look") backend.looks.take().answer(backend.granted());
    await settle();
    backend.abandons.take().answer(released);
    await clock.pass(10);

    closed.result;
    expect(backend.closes).toBe(1);
    await expect(locker.acquire("b")).rejects.toMatchObject({ code: "closed" });
  },
);

test("close does not wait for ever for the last word behind an attempt that is never answered", async () => {
  const { locker, backend } = openFake();
  const call = watch(locker.acquire("a"));
  const closed = watch(locker.close(), "close");
  await clock.pass(TIMEOUT_MS * 1.1 + 300);

  expect(call.error).toMatchObject({ code: "closed" });
  closed.result;
  expect(backend.closes).toBe(1);
  backend.attempts.take().fail(noAnswer()); // what closing a connection does
  await clock.pass(1);
});

test.each([
  [{ ttlMs: 1_000 }, "longer than ttlMs, 1000 ms. It is released in the background. Raise ttlMs,"],
  [{ maxHoldMs: 1_000 }, "longer than maxHoldMs, 1000 ms. It is released in the background. Raise maxHoldMs,"],
])("a grant that has expired when it arrives is no lock, and is freed: %o", async (options, words) => {
  const { locker, backend, close } = openFake(options);
  const call = watch(locker.acquire("a"));
  const grant = backend.granted(1_000);
  await clock.pass(1_000);
  backend.attempts.take().answer(grant);
  await settle();

  expect(call.error).toMatchObject({ code: "unavailable", message: expect.stringContaining(words) });
  expect(locker.locks()).toHaveLength(0);
  backend.abandons.take().answer({ outcome: "expired", reason: "expired" });
  await close();
});

test("of 3,000 at once no more than 2,000 send a first attempt; the others take turns, and all are granted", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const calls = Array.from({ length: 3_000 }, (_, n) => watch(locker.acquire(`key ${n}`)));
  await settle();
  expect(backend.attempts.waiting).toHaveLength(2_000);
  expect(backend.looks.waiting).toHaveLength(500);

  while (backend.attempts.waiting.length > 0) {
    for (const asked of backend.attempts.waiting) asked.answer(backend.granted());
  }
  for (let round = 0; round < 10 && backend.looks.waiting.length > 0; round += 1) {
    expect(backend.looks.waiting.length).toBeLessThanOrEqual(500);
    for (const asked of backend.looks.waiting) asked.answer(backend.granted());
    await settle();
  }
  expect(calls.filter(({ state }) => state === "resolved")).toHaveLength(3_000);
  await close();
});

test("while the backend is not ready, there is no first attempt: the call connects, and looks", async () => {
  const { locker, backend, close } = openFake();
  backend.isReady = false;
  const call = watch(locker.acquire("a"));
  await settle();

  expect(backend.attempts.count).toBe(0);
  expect(backend.openCount).toBe(1);
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(call.result.held).toBe(true);
  await close();
});

test("behind another waiter of this process there is no first attempt", async () => {
  const { locker, backend, close } = openFake();
  const first = watch(locker.acquire("a", { waitMs: 60_000 }));
  backend.attempts.take().answer(backend.queued());
  await settle();
  const second = watch(locker.acquire("a", { waitMs: 60_000 }));
  const other = watch(locker.acquire("b"));
  await settle();

  expect(backend.attempts.waiting.map(({ request }) => request.key)).toEqual(["b"]);
  expect(backend.looks.waiting.map(({ request }) => request.key)).toEqual(["a"]);
  backend.attempts.take().answer(backend.granted());
  backend.looks.take().answer(backend.queued());
  await close();
  expect(other.result.key).toBe("b");
  expect([first, second].map(({ error }) => error)).toMatchObject([{ code: "closed" }, { code: "closed" }]);
});

test.each(["an abort", "close"] as const)(
  "%s is heard while a refused wait asks whether it is in a deadlock",
  async (end) => {
    const { locker, backend, close } = openFake({ keepAlive: false });
    backend.keeps.reply = () => [];
    const holding = watch(locker.acquire("a"));
    backend.attempts.take().answer(backend.granted());
    await settle();
    holding.result;
    let answer = (_: readonly string[] | null): void => undefined;
    backend.findDeadlock = () => new Promise((resolve) => (answer = resolve));
    const controller = new AbortController();
    const call = watch(locker.acquire("b", { waitMs: 1_000, signal: controller.signal }));
    backend.attempts.take().answer(backend.queued());
    backend.looks.reply = () => backend.queued();
    await clock.pass(1_000);
    expect(call.state).toBe("pending");

    const closed = end === "close" ? close() : controller.abort(new Error("enough"));
    await settle();
    expect(call.error).toMatchObject(end === "close" ? { code: "closed" } : { message: "enough" });
    answer(["too late"]);
    await settle();
    expect(backend.abandons.count).toBe(1);
    await (closed ?? close());
  },
);
