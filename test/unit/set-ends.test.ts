// Several keys: how a call ends when something happens to it that nobody expects there, and what it leaves.
import { expect, test } from "vitest";
import { UnavailableError, UnsafeBackendError } from "../../src/index.js";
import { badPassword, FakeBackend, gone, held, noAnswer, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";
import { answer, inLine } from "./set-answers.js";

test.each(["a", "b"])(
  "its signal that fires while its parts become locks, because an older lock on %s is lost, ends the set: nothing is held",
  async (older) => {
    const { backend, locker, close } = openFake({ ttlMs: 9_000, onLost: () => undefined });
    const mine = watch(locker.acquire(older), "the lock that is forced away");
    await settle();
    backend.attempts.take().answer(backend.granted(9_000));
    await settle();
    const { signal } = mine.result;
    const controller = new AbortController();
    signal.addEventListener("abort", () => controller.abort("lost it"));
    backend.abandons.reply = () => gone;
    const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
    await settle();
    const asked = backend.sets.take();
    asked.answer(answer(backend, asked.request, 2)); // somebody has freed it by force, and it is ours anew
    await settle();
    expect([set.state, locker.locks()]).toEqual(["rejected", []]);
    expect(locker.stats()).toMatchObject({ cancelled: 1, failed: 0 });
    expect(backend.abandons.count).toBe(3); // of the lost one, and of both parts
    await close();
  },
);

test("a part that expires while another one becomes a lock ends the set: nothing is held", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, onLost: () => undefined });
  const mine = watch(locker.acquire("a"), "the lock that is forced away");
  await settle();
  backend.attempts.take().answer(backend.granted(60_000));
  await settle();
  mine.result.signal.addEventListener("abort", () => clock.block(6_000));
  backend.abandons.reply = () => released;
  const set = watch(locker.tryAcquireAll(["a", "b"]), "the set");
  await settle();
  const grants = [backend.granted(60_000), backend.granted(5_000)];
  backend.sets.take().answer({ outcome: "answered", grants, missing: null });
  await settle();
  expect([set.result, locker.locks()]).toEqual([null, []]);
  await close();
});

test("a set whose locker is closed by onLost while its parts become locks gives them back", async () => {
  let onLost = (): void => undefined;
  const { backend, locker, close } = openFake({ ttlMs: 9_000, onLost: () => onLost() });
  onLost = () => void locker.close();
  const mine = watch(locker.acquire("b"), "the lock that is forced away");
  await settle();
  backend.attempts.take().answer(backend.granted(9_000));
  await settle();
  expect(mine.result.held).toBe(true);
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  const asked = backend.sets.take();
  asked.answer(answer(backend, asked.request, 2));
  await settle();
  expect([set.state, locker.locks(), backend.releases.count]).toEqual(["rejected", [], 0]);
  expect(backend.abandons.waiting.map(({ request }) => request.key).toSorted()).toEqual(["a", "b", "b"]);
  for (const abandon of [...backend.abandons.waiting]) abandon.answer(released);
  await close();
});

test("a part whose key this process holds by a newer grant is lost: the set is not whole", async () => {
  const options = { ttlMs: 9_000, waitMs: 60_000, onLost: () => undefined };
  const { backend, locker, set, waiting, close } = await inLine(["a", "b"], 1, options);
  waiting.answer(backend.queued());
  backend.looks.reply = () => undefined;
  await clock.pass(10);
  // Somebody frees a by force; a try of this process gets it.
  const other = watch(locker.tryAcquire("a"), "the newer grant");
  await settle();
  backend.attempts.take().answer(backend.granted(9_000));
  await settle();
  await clock.pass(1_300);
  backend.looks.take().answer(backend.granted(9_000)); // b
  await settle();
  expect(other.result?.held).toBe(true);
  expect(set.state).toBe("pending"); // it begins again
  backend.looks.reply = () => held;
  backend.sets.reply = (request) => answer(backend, request, 0);
  backend.attempts.reply = () => held;
  await close();
});

test("a part that is lost in the turn in which it is granted is not made a lock", async () => {
  const options = { ttlMs: 9_000, waitMs: 60_000, onLost: () => undefined };
  const { backend, locker, set: newer, waiting, close } = await inLine(["b", "c"], 1, options);
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  await settle();
  const old = [backend.granted(9_000), { ...backend.granted(9_000), fence: 1n }];
  const set = watch(locker.tryAcquireAll(["a", "b"]), "the older set");
  await settle();
  backend.sets.take().answer({ outcome: "answered", grants: old, missing: null });
  await settle();
  expect([set.result, locker.locks()]).toEqual([null, []]);
  expect(newer.state).toBe("pending");
  await close();
});

test("over a store that is asked for one key at a time, a try ends within requestTimeoutMs, however late each answer is", async () => {
  const backend = new FakeBackend();
  Object.assign(backend, { acquireAll: null });
  const { locker, close } = openFake({ ttlMs: 60_000, requestTimeoutMs: 1_000 }, backend);
  backend.abandons.reply = () => released;
  const set = watch(locker.tryAcquireAll(["a", "b", "c", "d"]), "the set");
  await clock.pass(600);
  backend.attempts.take().answer(backend.granted(60_000));
  await clock.pass(390);
  const before = set.state;
  await clock.pass(20);
  expect([before, set.error]).toEqual(["pending", expect.any(UnavailableError)]);
  backend.attempts.take().answer(held);
  await close();
});

test("shares in line: it ends within waitMs and requestTimeoutMs, however late each answer is", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 1_000, requestTimeoutMs: 5_000 });
  backend.abandons.reply = () => released;
  const set = watch(locker.acquireAll(["a", "b", "c"], { shared: true }), "the set");
  await settle();
  for (const attempt of [...backend.attempts.waiting]) attempt.answer(held);
  await settle();
  for (let count = 0; count < 3; count += 1) {
    await clock.pass(2_040);
    if (count < 2) for (const attempt of [...backend.attempts.waiting]) attempt.answer(backend.granted(60_000));
  }
  expect(set.state).toBe("rejected");
  expect(set.error).toBeInstanceOf(UnavailableError);
  for (const attempt of [...backend.attempts.waiting]) attempt.answer(held);
  await close();
});

test("shares with a strategy: the last try, too, ends within waitMs and requestTimeoutMs", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, requestTimeoutMs: 500 });
  const set = watch(locker.acquireAll(["a", "b"], { shared: true, waitMs: 600, retry: () => 0 }), "the set");
  await clock.pass(1_110);
  const { state } = set;
  for (const attempt of [...backend.attempts.waiting]) attempt.fail(noAnswer());
  for (const look of [...backend.looks.waiting]) look.fail(noAnswer());
  backend.looks.reply = () => held;
  backend.abandons.reply = () => gone;
  await clock.pass(2_000);
  await close();
  expect(state).toBe("rejected");
});

test("a set that was cancelled keeps the process alive no longer", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 5_000 });
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
  await settle();
  const before = clock.keepingAlive;
  controller.abort("enough");
  await settle();
  expect([set.state, before, clock.keepingAlive]).toEqual(["rejected", 1, 0]);
  backend.sets.take().fail(noAnswer());
  await close();
});

test("a set that ends before any answer is counted: cancelled, and failed", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
  await settle();
  controller.abort("enough");
  backend.sets.take().fail(noAnswer());
  await settle();
  expect(set.state).toBe("rejected");
  const other = watch(locker.tryAcquireAll(["a", "b"]), "another set");
  await clock.pass(1_100);
  expect(other.error).toBeInstanceOf(UnavailableError);
  expect(locker.stats()).toMatchObject({ cancelled: 1, failed: 1 });
  backend.sets.take().fail(noAnswer());
  await close();
});

const ended = new UnavailableError({ cause: Object.assign(new Error("ended"), { code: "CLIENT_ENDED" }) });

test.each([
  ["goes on after an error that may pass: a standby", new UnsafeBackendError({ problem: "a standby" }), 4],
  ["goes on after an error that may pass: a password that is changed back", badPassword(), 4],
  ["is not said again with a client that was ended", ended, 2],
] as const)("a last word %s", async (_, error, count) => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, requestTimeoutMs: 1_000 });
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
  await settle();
  const asked = backend.sets.take();
  controller.abort("enough");
  asked.answer(answer(backend, asked.request, 2));
  await settle();
  for (const abandon of [...backend.abandons.waiting]) abandon.fail(error);
  backend.abandons.reply = () => released;
  await clock.pass(5_000);
  expect(set.state).toBe("rejected");
  expect(backend.abandons.count).toBe(count);
  await close();
});

test("what a wait has failed with is explained once", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 1_000, requestTimeoutMs: 5_000 });
  backend.abandons.reply = () => released;
  let count = 0;
  backend.explain = async (error) => {
    count += 1;
    return error;
  };
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  const tried = backend.sets.take();
  tried.answer(answer(backend, tried.request, 0));
  await settle();
  const prefix = backend.sets.take();
  prefix.answer(answer(backend, prefix.request, 1));
  await clock.pass(6_000);
  expect(set.error).toBeInstanceOf(UnavailableError);
  expect(count).toBe(1);
  backend.attempts.take().fail(noAnswer());
  await clock.pass(10_000);
  await close();
});
