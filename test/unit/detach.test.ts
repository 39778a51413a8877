// Detaching: what is waited for before, and what the handle is while there is no answer and when there is none.
import { expect, test } from "vitest";
import { NotPermittedError, UnavailableError } from "../../src/errors/errors.js";
import type { DetachedLock, Lock, LockerOptions } from "../../src/index.js";
import { noAnswer, notSent, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { type Outcome, watch } from "./outcome.js";

interface Held extends Opened {
  readonly lock: Lock;
  readonly losses: string[];
}

async function openHeld(options: LockerOptions = {}): Promise<Held> {
  const losses: string[] = [];
  const opened = openFake({
    ttlMs: 30_000,
    onLost: (_, { reason }) => losses.push(reason),
    onError: () => {},
    ...options,
  });
  const call = watch(opened.locker.acquire("a"));
  const attempt = opened.backend.attempts.take();
  attempt.answer(opened.backend.granted(attempt.request.terms.ttlMs));
  await settle();
  return { ...opened, lock: call.result, losses };
}

async function detach({ lock }: Held): Promise<Outcome<DetachedLock>> {
  const call = watch(lock.detach(), "detach");
  await settle();
  return call;
}

test("it is asked for by key, token and fence, for a full TTL; until it is answered the lock is held", async () => {
  const held = await openHeld();
  const { lock, locker, backend, close } = held;
  const call = await detach(held);
  const asked = backend.detaches.take();
  const { token } = asked.request;
  expect(asked.request).toEqual({ key: "a", token, fence: lock.fence, ttlMs: 30_000 });
  expect([lock.held, locker.locks()]).toEqual([true, [lock]]);
  asked.answer(backend.renewed());
  await settle();
  expect(call.result).toEqual({ key: "a", token, fence: String(lock.fence), instance: null });
  expect([lock.held, locker.locks()]).toEqual([false, []]);
  await close();
  // no release and no last word: it is somebody else's
  expect([backend.releases.count, backend.abandons.count, backend.renewals.count]).toEqual([0, 0, 0]);
});

test("it ends the renewals, and nothing of the handle fires when its lease would have expired", async () => {
  const held = await openHeld();
  const { lock, backend, close, losses } = held;
  const { signal } = lock;
  const call = await detach(held);
  backend.detaches.take().answer(backend.renewed());
  await settle();
  call.result;
  await clock.pass(120_000);
  expect([backend.renewals.count, signal.aborted, losses]).toEqual([0, false, []]);
  expect(backend.rests).toBe(0);
  await close();
});

test("a locker that has nothing left but a lock that it gave away rests", async () => {
  const held = await openHeld({ idleTimeoutMs: 1_000 });
  const { backend, close } = held;
  const call = await detach(held);
  backend.detaches.take().answer(backend.renewed());
  await settle();
  call.result;
  await clock.pass(3_000);
  expect(backend.rests).toBe(1);
  await close();
});

test("a renewal in flight is waited for", async () => {
  const held = await openHeld();
  const { backend, close } = held;
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  const call = await detach(held);
  expect(backend.detaches.count).toBe(0);
  renewal.answer(backend.renewed());
  await settle();
  backend.detaches.take().answer(backend.renewed());
  await settle();
  call.result;
  await clock.pass(60_000);
  expect(backend.renewals.count).toBe(1);
  await close();
});

test("a renewal in flight that says that the lock is lost ends it", async () => {
  const held = await openHeld();
  const { backend, close, losses } = held;
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  const call = await detach(held);
  renewal.answer({ outcome: "lost", reason: "forced" });
  await settle();
  expect(call.error).toMatchObject({ code: "lease-lost", reason: "forced" });
  expect([backend.detaches.count, losses]).toEqual([0, ["forced"]]);
  await close();
});

test("a renewal that is never answered does not hold it up for longer than requestTimeoutMs", async () => {
  const held = await openHeld({ requestTimeoutMs: 2_000 });
  const { lock, backend, close } = held;
  await clock.pass(10_000);
  backend.renewals.take();
  const call = await detach(held);
  await clock.pass(2_000);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "not-sent" });
  expect((call.error as Error).message).toContain("It is still held");
  expect([backend.detaches.count, lock.held]).toEqual([0, true]);
  await close();
});

test("a renewal that was waited for leaves no more than the rest of requestTimeoutMs", async () => {
  const held = await openHeld({ requestTimeoutMs: 2_000 });
  const { lock, backend, close } = held;
  await clock.pass(10_000);
  const call = await detach(held);
  await clock.pass(1_500);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(backend.detaches.count).toBe(1);
  await clock.pass(499);
  expect(call.state).toBe("pending");
  await clock.pass(1);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(lock.held).toBe(true);
  await close();
});

test.each([
  ["renewed at once", { keepAlive: true }, 1],
  ["left alone if nobody renews it", { keepAlive: false }, 0],
] as const)("without an answer it rejects, and the lock is held as before: %s", async (_, options, renewals) => {
  const held = await openHeld({ requestTimeoutMs: 2_000, ...options });
  const { lock, locker, backend, close, losses } = held;
  await clock.pass(9_000);
  const call = await detach(held);
  await clock.pass(1_999);
  expect(backend.renewals.count).toBe(0);
  await clock.pass(1);
  expect(call.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect([lock.held, locker.locks(), losses]).toEqual([true, [lock], []]);
  // it was due after 10 s
  await clock.pass(1);
  expect(backend.renewals.count).toBe(renewals);
  backend.renewals.waiting[0]?.answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  // a late answer changes nothing
  backend.detaches.take().answer(backend.renewed());
  await settle();
  expect([lock.held, locker.locks()]).toEqual([true, [lock]]);
  await close();
});

test("what fails for a passing reason is asked again", async () => {
  const held = await openHeld();
  const { backend, close } = held;
  const call = await detach(held);
  for (const error of [notSent(), noAnswer()]) {
    backend.detaches.take().fail(error);
    await clock.pass(200);
  }
  for (const outcome of ["busy", "unproven"] as const) {
    backend.detaches.take().answer({ outcome });
    await clock.pass(200);
  }
  backend.detaches.take().answer(backend.renewed());
  await settle();
  call.result;
  await close();
});

test("a row that stays locked, or a session that does not come back, is an UnavailableError after requestTimeoutMs", async () => {
  const held = await openHeld({ requestTimeoutMs: 1_000 });
  const { lock, backend, close } = held;
  backend.detaches.reply = () => ({ outcome: "busy" });
  const call = await detach(held);
  await clock.pass(1_000);
  expect(call.error).toBeInstanceOf(UnavailableError);
  expect(call.error).toMatchObject({
    outcome: "not-sent",
    message: expect.stringContaining("is locked by another transaction"),
  });
  expect(lock.held).toBe(true);
  await close();
});

test("any other failure is told at once, and the lock is held", async () => {
  const held = await openHeld();
  const { lock, backend, close } = held;
  const call = await detach(held);
  backend.detaches.take().fail(new NotPermittedError({ role: "app", statement: "grant" }));
  await settle();
  expect(call.error).toBeInstanceOf(NotPermittedError);
  expect(lock.held).toBe(true);
  await clock.pass(10_000);
  expect(backend.renewals.count).toBe(1);
  await close();
});

test("an answer that the lock is lost ends it as such", async () => {
  const held = await openHeld();
  const { lock, backend, close, losses } = held;
  const { signal } = lock;
  const call = await detach(held);
  backend.detaches.take().answer({ outcome: "lost", reason: "taken" });
  await settle();
  expect(call.error).toMatchObject({ code: "lease-lost", reason: "taken" });
  expect([losses, signal.aborted]).toEqual([["taken"], true]);
  await close();
});

test("a lock that expires meanwhile is lost, and what the request did is undone by its token", async () => {
  const held = await openHeld({ ttlMs: 1_000, keepAlive: false });
  const { backend, close, losses } = held;
  const call = await detach(held);
  const asked = backend.detaches.take();
  await clock.pass(1_000);
  expect(call.error).toMatchObject({ code: "lease-lost", reason: "expired" });
  asked.answer(backend.renewed());
  await settle();
  expect([losses, backend.abandons.take().request.token]).toEqual([["expired"], asked.request.token]);
  await close();
});

test("a lock that is released meanwhile is not handed over", async () => {
  const held = await openHeld();
  const { lock, backend, close } = held;
  const call = await detach(held);
  const release = watch(lock.release());
  await settle();
  backend.detaches.take().answer(backend.renewed());
  await settle();
  expect(call.error).toMatchObject({ code: "not-held", message: expect.stringContaining("it was released") });
  backend.releases.take().answer(released);
  await settle();
  release.result;
  await close();
});

test("of two calls at once, one resolves", async () => {
  const held = await openHeld();
  const { backend, close } = held;
  const calls = [await detach(held), await detach(held)];
  backend.detaches.take().answer(backend.renewed());
  await settle();
  backend.detaches.take().answer(backend.renewed());
  await settle();
  expect(calls.map(({ state }) => state)).toEqual(["resolved", "rejected"]);
  expect(calls[1]?.error).toMatchObject({ code: "not-held", message: expect.stringContaining("it was detached") });
  await close();
});

test("a lock whose renewals were stopped meanwhile is not renewed again when it could not be detached", async () => {
  const held = await openHeld({ requestTimeoutMs: 2_000 });
  const { lock, backend, close } = held;
  const stop = lock.keepAlive();
  const call = await detach(held);
  void watch(stop());
  await clock.pass(2_000);
  expect(call.state).toBe("rejected");
  await clock.pass(20_000);
  expect(backend.renewals.count).toBe(0);
  await close();
});

test("a lock that a new session has to prove is asked about when it could not be detached", async () => {
  const held = await openHeld({ requestTimeoutMs: 2_000, keepAlive: false });
  const { lock, backend, close } = held;
  const call = await detach(held);
  backend.reconnect();
  await clock.pass(1_000);
  expect([backend.renewals.count, lock.held]).toEqual([0, false]);
  await clock.pass(1_000);
  expect(call.state).toBe("rejected");
  await clock.pass(1);
  expect(backend.renewals.take().request.askedTtlMs).toBeNull();
  await close();
});

test("close() takes a lock that is being detached", async () => {
  const held = await openHeld();
  const { backend, close } = held;
  const call = await detach(held);
  await close();
  backend.detaches.take().answer(backend.renewed());
  await settle();
  expect(call.error).toMatchObject({ code: "lease-lost", reason: "closed" });
  expect(backend.releases.count).toBe(1);
});

test("one that is answered after close() has ended leaves no timer behind", async () => {
  const held = await openHeld({ ttlMs: 3_600_000 });
  const { locker, backend } = held;
  backend.releases.reply = () => released;
  const call = await detach(held);
  const closed = watch(locker.close(), "close");
  await clock.pass(1);
  closed.result;
  backend.detaches.take().answer(backend.renewed());
  await settle();
  expect(call.error).toMatchObject({ reason: "closed" });
  expect(clock.timers).toBe(0);
});

test("an acquire of it that had no answer is waited for, until it cannot be carried out any more", async () => {
  const { locker, backend, close } = openFake({ requestTimeoutMs: 5_000, keepAlive: false });
  const acquiring = watch(locker.acquire("a"));
  backend.attempts.take().fail(noAnswer());
  await settle();
  backend.looks.take().answer(backend.granted(60_000));
  await settle();
  const call = watch(acquiring.result.detach(), "detach");
  await clock.pass(4_999);
  expect(backend.detaches.count).toBe(0);
  // its deadline, and a margin for drift
  await clock.pass(100);
  backend.detaches.take().answer(backend.renewed());
  await settle();
  call.result;
  await close();
  expect(backend.abandons.count).toBe(0);
});
