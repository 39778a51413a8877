// What this process believes of a grant, by both of its clocks and by what its session says.
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { gone, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { watch } from "./outcome.js";

const noKeepAlive = { keepAlive: false };

async function hold({ locker, backend }: Opened, key = "a", options: object = {}): Promise<Lock> {
  const call = watch(locker.acquire(key, options));
  const attempt = backend.attempts.take();
  attempt.answer(backend.granted(attempt.request.terms.ttlMs));
  await settle();
  return call.result;
}

test("a lease expires at its deadline, its signal fires then, and onLost is called once", async () => {
  const losses: unknown[] = [];
  const opened = openFake({
    ...noKeepAlive,
    ttlMs: 1_000,
    onLost: (lock, error) => losses.push([lock.key, error.reason]),
  });
  const lock = await hold(opened);
  const { signal } = lock;
  await clock.pass(999);
  expect([lock.held, signal.aborted, lock.remainingMs]).toEqual([true, false, 1]);
  await clock.pass(1);

  expect([lock.held, signal.aborted, lock.remainingMs]).toEqual([false, true, 0]);
  expect(signal.reason).toMatchObject({ code: "lease-lost", reason: "expired" });
  expect(losses).toEqual([["a", "expired"]]);
  expect(opened.locker.locks()).toHaveLength(0);
  // A renewal may have been on its way: the last word frees what it left.
  opened.backend.abandons.take().answer({ outcome: "expired", reason: "expired" });
  await clock.pass(60_000);
  expect(losses).toHaveLength(1);
  await expect(lock.release()).rejects.toBe(signal.reason);
  await opened.close();
});

test.each([
  ["a loss without an onLost goes to onError when nobody has read the signal", false, [{ reason: "expired" }]],
  ["a loss that its signal tells does not go to onError", true, []],
] as const)("%s", async (_, isWatched, told) => {
  const errors: unknown[] = [];
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000, onError: (error) => errors.push(error) });
  const lock = await hold(opened);
  const signals = isWatched ? [lock.signal] : [];
  await clock.pass(1_000);
  expect(errors).toMatchObject(told);
  expect(signals.every(({ aborted }) => aborted)).toBe(true);
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("a lease expires while the machine sleeps: the monotonic clock alone would not notice", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 10_000 });
  const lock = await hold(opened);
  clock.suspend(10_000);

  expect(lock.held).toBe(false);
  expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: "expired" }));
  await settle();
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("a wall clock that is set back does not make a lease last longer", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000 });
  const lock = await hold(opened);
  clock.setWall(-3_600_000);
  await clock.pass(1_000);

  expect(lock.held).toBe(false);
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("a blocked event loop fires no timer, yet nobody is told that the lock is held", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000 });
  const lock = await hold(opened);
  clock.block(1_000);

  expect(lock.held).toBe(false);
  expect(lock.signal.aborted).toBe(true);
  expect(opened.locker.get("a")).toBeUndefined();
  opened.backend.abandons.reply = () => gone;
  await opened.close();
});

test.each(["renew", "release"] as const)(
  "a lease that expired while nobody looked is refused by %s, which sends nothing",
  async (call) => {
    const opened = openFake({ ...noKeepAlive, ttlMs: 1_000 });
    const { backend } = opened;
    const lock = await hold(opened);
    clock.block(1_000);

    await expect(lock[call]()).rejects.toMatchObject({ reason: "expired" });
    expect([backend.renewals.count, backend.releases.count]).toEqual([0, 0]);
    backend.abandons.reply = () => gone;
    await opened.close();
  },
);

test("an answer that comes after the end of a lease does not bring it back", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000 });
  const { backend } = opened;
  const lock = await hold(opened);
  const renewal = watch(lock.renew(30_000), "renew");
  await settle();
  clock.block(1_000); // no timer has told of it yet
  backend.renewals.take().answer(backend.renewed(30_000));
  await settle();

  expect(renewal.error).toMatchObject({ reason: "expired" });
  expect([lock.held, lock.signal.aborted]).toEqual([false, true]);
  backend.abandons.reply = () => gone;
  await opened.close();
});

test("a lock says since when it is held and until when, and has one signal", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000 });
  const { backend } = opened;
  const grantedAtMs = clock.wallMs;
  const lock = await hold(opened);
  const { signal } = lock;
  await clock.pass(400);
  expect(lock.heldMs).toBe(400);
  expect([lock.acquiredAt.getTime(), lock.expiresAt.getTime()]).toEqual([grantedAtMs, grantedAtMs + 1_000]);
  lock.assertHeld();
  const renewal = watch(lock.renew());
  await settle();
  backend.renewals.take().answer(backend.renewed(1_000));
  await settle();
  renewal.result;

  expect(lock.expiresAt.getTime()).toBe(grantedAtMs + 1_400);
  expect(lock.signal).toBe(signal);
  await clock.pass(1_000);
  expect(signal.aborted).toBe(true);
  backend.abandons.reply = () => gone;
  await opened.close();
});

test("a lease that was renewed far ahead is looked at again, and expires at its new deadline", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 2_000 });
  const lock = await hold(opened);
  await clock.pass(1_900); // it has a timer of its own by now
  const renewal = watch(lock.renew(5_000));
  await settle();
  opened.backend.renewals.take().answer(opened.backend.renewed(5_000));
  await settle();
  renewal.result;
  await clock.pass(4_999);
  expect(lock.held).toBe(true);
  expect(lock.signal.aborted).toBe(false);
  const { signal } = lock;
  await clock.pass(1);
  expect(signal.aborted).toBe(true);
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("a short lease beside a long one expires in time", async () => {
  const opened = openFake(noKeepAlive);
  const long = await hold(opened, "long", { ttlMs: 60_000 });
  const short = await hold(opened, "short", { ttlMs: 3_000 });
  const tiny = await hold(opened, "tiny", { ttlMs: 100 });
  const signals = [long, short, tiny].map(({ signal }) => signal);
  const aborted = () => signals.map((signal) => signal.aborted);
  opened.backend.abandons.reply = () => gone;
  await clock.pass(100);
  expect(aborted()).toEqual([false, false, true]);
  await clock.pass(2_900);
  expect(aborted()).toEqual([false, true, true]);
  await clock.pass(57_000);
  expect(aborted()).toEqual([true, true, true]);
  await opened.close();
});

test("10,000 leases with a deadline each need a few looks a second, until they are near their end", async () => {
  const opened = openFake(noKeepAlive);
  const { backend, locker } = opened;
  backend.attempts.reply = ({ terms }) => backend.granted(terms.ttlMs);
  for (let from = 0; from < 10_000; from += 1_000) {
    const some = Array.from({ length: 1_000 }, (_, n) =>
      watch(locker.acquire(`key ${from + n}`, { ttlMs: 60_000 + (from + n) * 3 })),
    );
    await settle();
    expect(some.every(({ state }) => state === "resolved")).toBe(true);
  }
  await clock.pass(30_000);
  const before = clock.fired;
  await clock.pass(20_000);

  expect(clock.timers).toBeLessThanOrEqual(2);
  expect(clock.fired - before).toBeLessThanOrEqual(5 * 20);
  // And when they end, one after the other: a timer for each, and still no more than a few looks at all of them.
  backend.abandons.reply = () => gone;
  await clock.pass(10_000);
  const [fired, held] = [clock.fired, locker.locks().length];
  await clock.pass(3_000);
  const ended = held - locker.locks().length;
  expect(ended).toBeGreaterThan(900);
  expect(clock.fired - fired - ended).toBeLessThanOrEqual(5 * 3);
  backend.releases.reply = () => released;
  await opened.close();
});

test("a lease at its maximum hold is lost for that reason", async () => {
  const opened = openFake({ ...noKeepAlive, ttlMs: 1_000, maxHoldMs: 1_000 });
  const lock = await hold(opened);
  const { signal } = lock;
  await clock.pass(1_000);

  expect(signal.reason).toMatchObject({ reason: "max-hold" });
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("a lease is not held while its session is not believed, and held again when it is, without being lost", async () => {
  const opened = openFake(noKeepAlive);
  const lock = await hold(opened);
  const { signal } = lock;
  opened.backend.presence.isBelieved = false;
  expect([lock.held, lock.remainingMs, signal.aborted]).toEqual([false, 0, false]);
  expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: "not-held" }));
  opened.backend.presence.isBelieved = true;
  expect(lock.held).toBe(true);
  await opened.close();
});

test("after a reconnect a lease counts as held when a renewal under the new session says so, and not before", async () => {
  const opened = openFake(noKeepAlive);
  const { backend } = opened;
  const lock = await hold(opened);
  backend.reconnect();
  expect(lock.held).toBe(false);
  await clock.pass(1);
  const renewal = backend.renewals.take();
  // It proves, and does not prolong: nobody asked for that.
  expect(renewal.request.askedTtlMs).toBeNull();
  renewal.answer({ ...backend.renewed(), incarnation: backend.presence.incarnation - 1 } as never);
  await settle();
  expect(lock.held).toBe(false);
  backend.reconnect();
  await clock.pass(1);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  await opened.close();
});

test("an answer from before a reconnect does not undo what the new session has proven", async () => {
  const opened = openFake(noKeepAlive);
  const { backend } = opened;
  const lock = await hold(opened);
  const renewal = watch(lock.renew());
  await settle();
  const [asked, late] = [backend.renewals.take(), backend.renewed()];
  backend.reconnect();
  await clock.pass(1);
  backend.renewals.take().answer(backend.renewed());
  await settle();
  expect(lock.held).toBe(true);
  asked.answer(late);
  await settle();
  renewal.result;
  expect(lock.held).toBe(true);
  await opened.close();
});

test("a grant that was asked for under the session before is proven under the new one at once", async () => {
  const opened = openFake(noKeepAlive);
  const { backend, locker } = opened;
  const call = watch(locker.acquire("a"));
  const grant = backend.granted();
  backend.reconnect();
  backend.attempts.take().answer(grant);
  await clock.pass(1);
  const lock = call.result;
  expect(lock.held).toBe(false);
  backend.renewals.take().answer({ outcome: "lost", reason: "taken" });
  await settle();
  expect(lock.signal.reason).toMatchObject({ reason: "taken" });
  backend.abandons.take().answer(gone);
  await opened.close();
});

test("of two grants of one key in this process the older one is lost as taken", async () => {
  const opened = openFake(noKeepAlive);
  const old = await hold(opened);
  const next = watch(opened.locker.acquire("a")); // waits for its own process: no first attempt
  await settle();
  opened.backend.looks.take().answer(opened.backend.granted());
  await settle();
  const current = next.result;

  expect(old.signal.reason).toMatchObject({ reason: "taken" });
  expect(current.held).toBe(true);
  expect(opened.locker.get("a")).toBe(current);
  opened.backend.abandons.take().answer(gone);
  await opened.close();
});

test("close fires the signals at once, waits for drainMs, and then releases beneath the holders", async () => {
  const opened = openFake(noKeepAlive);
  const { backend, locker } = opened;
  const lock = await hold(opened);
  const other = await hold(opened, "b");
  const { signal } = lock;
  const closed = watch(locker.close({ drainMs: 3_000 }), "close");
  await clock.pass(1);
  expect(signal.reason).toMatchObject({ reason: "closed" });
  expect([lock.held, backend.releases.count]).toEqual([true, 0]);
  await clock.pass(1_000);
  const release = watch(lock.release());
  await settle();
  backend.releases.take().answer(released);
  await settle();
  release.result;
  await clock.pass(1_998);
  expect(backend.releases.count).toBe(1);
  await clock.pass(1);
  backend.releases.take().answer(released);
  await clock.pass(1);
  closed.result;
  expect(() => other.assertHeld()).toThrow(expect.objectContaining({ reason: "closed" }));
});

test("close ends early when the last lock is released", async () => {
  const opened = openFake(noKeepAlive);
  const { backend, locker } = opened;
  const lock = await hold(opened);
  const closed = watch(locker.close({ drainMs: 60_000 }), "close");
  await clock.pass(10);
  backend.releases.reply = () => released;
  const release = watch(lock.release());
  await clock.pass(10);

  release.result;
  closed.result;
});
