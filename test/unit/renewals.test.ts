// Renewals: when they are sent, which come along, and what follows from their answers.
import { expect, test } from "vitest";
import { UnavailableError } from "../../src/errors/errors.js";
import type { Lock, LockerOptions } from "../../src/index.js";
import { gone, noAnswer, notSent, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { watch } from "./outcome.js";

async function hold(opened: Opened, key = "a", options: object = {}): Promise<Lock> {
  return (await grant(opened, key, options)).lock;
}

/** The lock, and the token that it was asked for with. */
async function grant({ locker, backend }: Opened, key: string, options: object): Promise<Granted> {
  const call = watch(locker.acquire(key, options));
  const attempt = backend.attempts.take();
  attempt.answer(backend.granted(attempt.request.terms.ttlMs));
  await settle();
  return { lock: call.result, token: attempt.request.token };
}

interface Granted {
  readonly lock: Lock;
  readonly token: string;
}

async function openHeld(options: LockerOptions = {}): Promise<Opened & Granted> {
  const opened = openFake({ ttlMs: 30_000, ...options });
  return { ...opened, ...(await grant(opened, "a", {})) };
}

test("a lock is renewed after a third of its TTL, for its TTL, again and again", async () => {
  const { lock, token, backend, close } = await openHeld();
  for (let round = 1; round <= 3; round += 1) {
    await clock.pass(9_999);
    expect(backend.renewals.count).toBe(round - 1);
    await clock.pass(1);
    const renewal = backend.renewals.take();
    expect(renewal.request).toMatchObject({ key: "a", token, fence: lock.fence, askedTtlMs: 30_000 });
    renewal.answer(backend.renewed());
    await settle();
  }
  expect(lock.held).toBe(true);
  await close();
});

test("leases that are due within half an interval come along: granted one by one, they soon go together", async () => {
  const opened = openFake({ ttlMs: 30_000 });
  const { backend, close } = opened;
  await hold(opened, "a");
  await clock.pass(4_000);
  await hold(opened, "b");
  await clock.pass(2_000);
  await hold(opened, "c");
  await clock.pass(4_000); // 10 s, 6 s and 4 s old
  expect(backend.renewals.waiting.map(({ request }) => request.key)).toEqual(["a", "b"]);
  for (const asked of backend.renewals.waiting) asked.answer(backend.renewed());
  await clock.pass(6_000); // 10 s for c; a and b have 4 s to go
  expect(backend.renewals.waiting.map(({ request }) => request.key)).toEqual(["a", "b", "c"]);
  for (const asked of backend.renewals.waiting) asked.answer(backend.renewed());
  await clock.pass(10_000);
  expect(backend.renewals.waiting).toHaveLength(3);
  await close();
});

test("a renewal is not sent again while one is on its way", async () => {
  const { backend, close } = await openHeld();
  await clock.pass(29_000);
  expect(backend.renewals.count).toBe(1);
  backend.renewals.take().answer(backend.renewed());
  await close();
});

test("what fails is tried again soon, at a growing pace of a second at most, and the outage is reported once", async () => {
  const errors: unknown[] = [];
  const { lock, backend, close } = await openHeld({ onError: (error) => errors.push(error) });
  const times: number[] = [];
  backend.renewals.reply = () => {
    times.push(clock.monotonicMs);
    return notSent();
  };
  await clock.pass(19_000);
  const gaps = times.slice(1).map((time, n) => time - (times[n] as number));
  expect(gaps[0]).toBeLessThanOrEqual(61);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1_201);
  expect(gaps.slice(-3).every((gap) => gap >= 800)).toBe(true);
  expect(times.length).toBeGreaterThan(10);
  expect(errors).toHaveLength(1);
  expect(errors[0]).toBeInstanceOf(UnavailableError);

  // And back to its pace, once it is answered.
  backend.renewals.reply = () => backend.renewed();
  await clock.pass(1_300);
  const { count } = backend.renewals;
  await clock.pass(8_500);
  expect(backend.renewals.count).toBe(count);
  await clock.pass(1_500);
  expect(backend.renewals.count).toBe(count + 1);
  expect(lock.held).toBe(true);
  await close();
});

test("a busy or unproven answer is asked again, and is no error", async () => {
  const errors: unknown[] = [];
  const { lock, backend, close } = await openHeld({ onError: (error) => errors.push(error) });
  const answers = [{ outcome: "busy" }, { outcome: "unproven" }] as const;
  backend.renewals.reply = () => answers[backend.renewals.count - 1] ?? backend.renewed();
  await clock.pass(10_300);

  expect(backend.renewals.count).toBe(3);
  expect(errors).toEqual([]);
  expect(lock.held).toBe(true);
  await close();
});

test("renewals that fail until the lease expires lose it, and end", async () => {
  const losses: unknown[] = [];
  const { lock, backend, close } = await openHeld({
    onError: () => undefined,
    onLost: (_, error) => losses.push(error.reason),
  });
  backend.renewals.reply = () => noAnswer();
  backend.abandons.reply = () => gone;
  await clock.pass(30_000);
  expect([lock.held, losses]).toEqual([false, ["expired"]]);
  const { count } = backend.renewals;
  await clock.pass(60_000);
  expect(backend.renewals.count).toBe(count);
  await close();
});

test("a renewal that says lost ends the lease with its reason, and the last word is said", async () => {
  const { lock, backend, close } = await openHeld();
  const { signal } = lock;
  await clock.pass(10_000);
  backend.renewals.take().answer({ outcome: "lost", reason: "forced" });
  await settle();

  expect(signal.reason).toMatchObject({ code: "lease-lost", reason: "forced" });
  backend.abandons.take().answer(gone);
  await clock.pass(60_000);
  expect(backend.renewals.count).toBe(1);
  await close();
});

test("a renewal that is answered after its lease expired does not bring it back", async () => {
  const { lock, backend, close } = await openHeld();
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  await clock.pass(20_000);
  expect(lock.held).toBe(false);
  renewal.answer(backend.renewed(60_000));
  await settle();
  expect([lock.held, lock.remainingMs]).toEqual([false, 0]);
  backend.abandons.take().answer(released);
  await close();
});

test("a renewal that is answered after the release changes nothing, and is not sent again", async () => {
  const { lock, backend, close } = await openHeld();
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  const release = watch(lock.release());
  await settle();
  backend.releases.take().answer(released);
  renewal.answer({ outcome: "lost", reason: "taken" });
  await clock.pass(60_000);

  release.result;
  expect(lock.signal.aborted).toBe(false);
  expect(backend.renewals.count).toBe(1);
  await close();
});

test("an answer never shortens what is believed", async () => {
  const { lock, backend, close } = await openHeld();
  await clock.pass(10_000);
  backend.renewals.take().answer(backend.renewed(1_000));
  await settle();
  expect(lock.remainingMs).toBe(20_000);
  await close();
});

test("keepAlive that is stopped renews no more, and goes on when it is started again", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  backend.renewals.reply = () => backend.renewed();
  await clock.pass(12_000);
  expect(backend.renewals.count).toBe(0);
  const stop = lock.keepAlive({ everyMs: 2_000 });
  await clock.pass(4_100);
  expect(backend.renewals.count).toBe(2);
  await stop();
  await clock.pass(10_000);
  expect(backend.renewals.count).toBe(2);
  lock.keepAlive();
  await clock.pass(10_000);
  expect(backend.renewals.count).toBe(3);
  await close();
});

test("what has stopped a keepAlive does not stop a later one, which takes the place of the earlier", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  backend.renewals.reply = () => backend.renewed();
  const stopFirst = lock.keepAlive({ everyMs: 2_000 });
  await stopFirst();
  const stopSecond = lock.keepAlive({ everyMs: 2_000 });
  await stopFirst();
  await clock.pass(2_000);
  expect(backend.renewals.count).toBe(1);

  const stopThird = lock.keepAlive({ everyMs: 5_000 });
  await stopSecond();
  await clock.pass(10_000);
  expect(backend.renewals.count).toBe(3);
  await stopThird();
  await stopThird();
  await clock.pass(10_000);
  expect(backend.renewals.count).toBe(3);
  await close();
});

test.each(["release", "loss"] as const)(
  "a keepAlive ends by itself with the %s, and may be stopped after it",
  async (end) => {
    const { lock, backend, close } = await openHeld({ keepAlive: false });
    backend.renewals.reply = () => backend.renewed();
    backend.abandons.reply = () => gone;
    const stop = lock.keepAlive({ everyMs: 2_000 });
    await clock.pass(4_000);
    if (end === "release") {
      const release = watch(lock.release());
      await settle();
      backend.releases.take().answer(released);
      await settle();
      release.result;
    } else {
      backend.renewals.reply = () => ({ outcome: "lost", reason: "taken" });
      await clock.pass(2_000);
      expect(lock.held).toBe(false);
    }
    const { count } = backend.renewals;
    await clock.pass(60_000);
    expect(backend.renewals.count).toBe(count);
    await stop();
    await stop();
    expect(clock.keepingAlive).toBe(0);
    await close();
  },
);

test("after a reconnect all are asked at once, without asking for more time than they have where nobody does", async () => {
  const opened = openFake({ ttlMs: 30_000 });
  const { backend, close } = opened;
  await hold(opened, "kept");
  await hold(opened, "left", { keepAlive: false });
  backend.reconnect();
  await clock.pass(1);
  expect(backend.renewals.waiting.map(({ request }) => [request.key, request.askedTtlMs])).toEqual([
    ["kept", 30_000],
    ["left", null],
  ]);
  await close();
});

test("a reconnect while a renewal is on its way has it asked again, under the new session", async () => {
  const { lock, backend, close } = await openHeld();
  await clock.pass(10_000);
  const renewal = backend.renewals.take();
  const old = backend.renewed();
  backend.reconnect();
  await clock.pass(1);
  expect(backend.renewals.waiting).toHaveLength(0);
  renewal.answer(old);
  await clock.pass(1);
  expect(lock.held).toBe(false);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  await close();
});

test("a reconnect does not fetch in what is backing off: it is asked at once, too", async () => {
  const { lock, backend, close } = await openHeld({ onError: () => undefined });
  backend.renewals.reply = () => notSent();
  await clock.pass(15_000);
  backend.renewals.reply = () => backend.renewed();
  backend.reconnect();
  await clock.pass(1);
  expect(lock.held).toBe(true);
  await close();
});

test("renew() by hand asks for its own time, again until it is answered, and the lock keeps that time", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  const renewal = watch(lock.renew(60_000));
  await settle();
  backend.renewals.take().answer({ outcome: "busy" });
  await clock.pass(20);
  backend.renewals.take().fail(noAnswer());
  await clock.pass(50);
  const asked = backend.renewals.take();
  expect(asked.request.askedTtlMs).toBe(60_000);
  asked.answer(backend.renewed(60_000));
  await settle();

  renewal.result;
  expect([lock.ttlMs, lock.remainingMs]).toEqual([60_000, 60_000]);
  await close();
});

test("renew() that is silent rejects after requestTimeoutMs, while the lock is still held", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  const renewal = watch(lock.renew());
  await clock.pass(4_999);
  expect(renewal.state).toBe("pending");
  await clock.pass(1);
  expect(renewal.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  expect(lock.held).toBe(true);
  backend.renewals.take().answer(backend.renewed());
  await close();
});

test("renew() of a lease that expires meanwhile rejects with the loss", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false, ttlMs: 2_000 });
  backend.abandons.reply = () => gone;
  const renewal = watch(lock.renew());
  await clock.pass(2_000);

  expect(renewal.error).toMatchObject({ code: "lease-lost", reason: "expired" });
  await close();
});

test("renew() that hears of a loss rejects with it", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  const renewal = watch(lock.renew());
  await settle();
  backend.renewals.take().answer({ outcome: "lost", reason: "taken" });
  await settle();

  expect(renewal.error).toMatchObject({ code: "lease-lost", reason: "taken" });
  backend.abandons.take().answer(gone);
  await close();
});

test("the last word waits for as long as a renewal by hand has asked for", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false, ttlMs: 2_000 });
  const renewal = watch(lock.renew(40_000));
  await settle();
  backend.renewals.take().fail(noAnswer()); // it may have been carried out
  backend.renewals.reply = () => noAnswer();
  backend.abandons.reply = () => noAnswer();
  await clock.pass(2_000);
  expect(renewal.state).toBe("rejected");
  await clock.pass(40_000);
  const { count } = backend.abandons;
  expect(count).toBeGreaterThan(60);
  await clock.pass(20_000);
  expect(backend.abandons.count).toBeLessThan(count + 10);
  await close();
});

test.each([3_000, 10_000])(
  "a lock that is renewed every 10 s, and was renewed by hand for %i ms, is renewed sooner",
  async (ttlMs) => {
    const { lock, backend, close } = await openHeld({ ttlMs: 30_000 });
    const renewal = watch(lock.renew(ttlMs));
    await settle();
    backend.renewals.take().answer(backend.renewed(ttlMs));
    await settle();
    renewal.result;
    backend.renewals.reply = () => backend.renewed(ttlMs);
    await clock.pass(60_000);
    expect(lock.held).toBe(true);
    await close();
  },
);

test("the listener of keepAlive hears of an outage once, until a renewal succeeds; the locker's does not", async () => {
  const [errors, others]: [unknown[], unknown[]] = [[], []];
  const { lock, backend, close } = await openHeld({ keepAlive: false, onError: (error) => others.push(error) });
  lock.keepAlive({ everyMs: 2_000, onError: (error) => errors.push(error) });
  for (const outages of [1, 2]) {
    backend.renewals.reply = () => notSent();
    await clock.pass(6_000);
    expect(errors).toHaveLength(outages);
    backend.renewals.reply = () => backend.renewed();
    await clock.pass(4_000);
  }
  expect(errors.every((error) => error instanceof UnavailableError)).toBe(true);
  expect(others).toEqual([]);
  await close();
});

test("what stops a keepAlive resolves when the renewal in flight is answered, or has failed", async () => {
  const { lock, backend, close } = await openHeld({ keepAlive: false });
  for (const end of ["answered", "failed"] as const) {
    const stop = lock.keepAlive({ everyMs: 2_000, onError: () => undefined });
    await clock.pass(2_000);
    const renewal = backend.renewals.take();
    const stopped = watch(stop());
    const again = watch(stop());
    await settle();
    expect([stopped.state, again.state]).toEqual(["pending", "pending"]);
    if (end === "answered") renewal.answer(backend.renewed());
    else renewal.fail(noAnswer());
    await settle();
    expect([stopped.state, again.state], end).toEqual(["resolved", "resolved"]);
    await stop();
  }
  await clock.pass(1_000);
  await close();
});
