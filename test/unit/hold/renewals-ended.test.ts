// What is asked of a lock that has ended, or whose renewals were stopped, and what its answers still do.
import { expect, test } from "vitest";
import type { Lock, LockerOptions } from "../../../src/index.js";
import { noAnswer, notSent, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { type Opened, openFake } from "../open.js";
import { watch } from "../outcome.js";

interface Held extends Opened {
  readonly lock: Lock;
}

async function openHeld(options: LockerOptions = {}): Promise<Held> {
  const opened = openFake({ ttlMs: 30_000, ...options });
  opened.backend.attempts.reply = ({ terms }) => opened.backend.granted(terms.ttlMs);
  const call = watch(opened.locker.acquire("a"));
  await settle();
  return { ...opened, lock: call.result };
}

async function release({ lock, backend }: Held): Promise<void> {
  const call = watch(lock.release());
  await settle();
  backend.releases.take().answer(released);
  await settle();
  call.result;
}

test("what stops a keepAlive does not stop the question whether the lock is still held", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  const stop = lock.keepAlive();
  backend.reconnect();
  const stopped = watch(stop());
  await clock.pass(1);
  stopped.result;
  const asked = backend.renewals.take();
  expect(asked.request.askedTtlMs).toBeNull();
  asked.answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  await clock.pass(20_000);
  expect(backend.renewals.count).toBe(1);
  await close();
});

test.each(["is answered", "fails"] as const)(
  "a renewal that %s after the release counts nothing, tells nobody and starts no timer",
  async (end) => {
    const errors: unknown[] = [];
    const held = await openHeld({ idleTimeoutMs: 1_000, onError: (error) => errors.push(error) });
    const { locker, backend, close } = held;
    await clock.pass(10_000);
    const renewal = backend.renewals.take();
    await release(held);
    await clock.pass(1_000);
    expect([backend.rests, clock.timers]).toEqual([1, 0]);
    end === "is answered" ? renewal.answer(backend.renewed()) : renewal.fail(noAnswer());
    await settle();
    expect([clock.timers, errors, locker.stats().renewed]).toEqual([0, [], 0]);
    await close();
  },
);

test("a renewal counts when it was asked for and confirmed: not one that was busy, nor one that only proves", async () => {
  const held = await openHeld();
  const { locker, backend, close } = held;
  const left = watch(locker.acquire("b", { keepAlive: false }));
  await clock.pass(10_000);
  backend.renewals.take().answer({ outcome: "busy" });
  await settle();
  expect(locker.stats().renewed).toBe(0);
  await clock.pass(100);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(locker.stats().renewed).toBe(1);
  backend.reconnect();
  await clock.pass(1);
  expect(backend.renewals.waiting.map(({ request }) => request.key)).toEqual(["a", "b"]);
  for (const asked of backend.renewals.waiting) asked.answer(backend.renewed());
  await settle();
  expect([left.result.held, locker.stats().renewed]).toEqual([true, 2]);
  await close();
});

test("a lock that backs off does not come along with the others: it is asked about at its own pace", async () => {
  const { lock, locker, backend, close } = await openHeld({ onError: () => undefined });
  const other = watch(locker.acquire("b", { keepAlive: false }));
  await settle();
  backend.renewals.reply = ({ key }) => (key === lock.key ? notSent() : backend.renewed());
  await clock.pass(14_000); // its pauses have grown to a second
  other.result.keepAlive({ everyMs: 100 });
  const times: number[] = [];
  backend.renewals.reply = ({ key }) => {
    if (key !== lock.key) return backend.renewed();
    times.push(clock.monotonicMs);
    return notSent();
  };
  await clock.pass(5_000);
  const pauses = times.slice(1).map((time, n) => time - (times[n] as number));
  expect(pauses.length).toBeGreaterThan(2);
  expect(Math.min(...pauses)).toBeGreaterThanOrEqual(800);
  await close();
});

test("renew() of a lock that is released meanwhile says so with its answer, whatever that is", async () => {
  const held = await openHeld({ keepAlive: false });
  const { lock, backend, close } = held;
  const renewal = watch(lock.renew());
  await settle();
  await release(held);
  backend.renewals.take().answer({ outcome: "busy" });
  await settle();
  expect(renewal.error).toMatchObject({ code: "not-held", message: expect.stringContaining("it was released") });
  await close();
});

test("renew() of a lock that is released during its pause asks no more", async () => {
  const held = await openHeld({ keepAlive: false });
  const { lock, backend, close } = held;
  const renewal = watch(lock.renew());
  await settle();
  backend.renewals.take().fail(notSent());
  await settle();
  await release(held);
  await clock.pass(1_000);
  expect(renewal.error).toMatchObject({ code: "not-held", message: expect.stringContaining("it was released") });
  expect(backend.renewals.count).toBe(1);
  await close();
});

test("renew() of a lock whose row stays locked says that it may still be held", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  backend.renewals.reply = () => ({ outcome: "busy" });
  const renewal = watch(lock.renew());
  await clock.pass(5_000);
  expect(renewal.error).toMatchObject({ name: "UnavailableError", outcome: "not-sent" });
  expect((renewal.error as Error).message).toContain("its row is locked by another transaction");
  expect(lock.held).toBe(true);
  await close();
});
