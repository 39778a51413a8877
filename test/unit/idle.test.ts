// A locker that nobody uses gives its connections back, and takes no timer along.
import { expect, test } from "vitest";
import { released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";

test("connections are given back when nothing went on for idleTimeoutMs, however much went on before", async () => {
  const { locker, backend, close } = openFake({ idleTimeoutMs: 10_000, keepAlive: false });
  backend.attempts.reply = () => backend.granted();
  backend.releases.reply = () => released;
  for (let n = 0; n < 20; n += 1) {
    const call = watch(locker.withLock("a", () => n));
    await clock.pass(1_000);
    expect(call.result).toBe(n);
  }
  expect(backend.rests).toBe(0);
  await clock.pass(8_999);
  expect(backend.rests).toBe(0);
  await clock.pass(1);
  expect(backend.rests).toBe(1);
  expect(clock.timers).toBe(0);
  await clock.pass(60_000);
  expect(backend.rests).toBe(1);
  await close();
});

test("whatever is held, waited for or on its way keeps the connections", async () => {
  const { locker, backend, close } = openFake({
    idleTimeoutMs: 1_000,
    keepAlive: false,
    ttlMs: 600_000,
    waitMs: 600_000,
  });
  const lockCall = watch(locker.acquire("a"));
  await clock.pass(2_000);
  expect(backend.rests).toBe(0); // its first attempt
  backend.attempts.take().answer(backend.granted(600_000));
  await clock.pass(5_000);
  expect(backend.rests).toBe(0); // held
  const waiter = watch(locker.acquire("a"));
  await settle();
  backend.looks.take().answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  const release = watch(lockCall.result.release());
  await clock.pass(3_000);
  expect(backend.rests).toBe(0); // released, not answered, and waited for
  backend.releases.take().answer(released);
  backend.looks.reply = () => backend.granted(600_000);
  await clock.pass(1_300);
  release.result;
  const second = watch(waiter.result.release());
  await settle();
  backend.releases.take().fail((await import("./fake-backend.js")).notSent());
  await clock.pass(4_000);
  expect(backend.rests).toBe(0);
  backend.releases.reply = () => released;
  backend.releases.take().answer(released);
  await clock.pass(1_001);
  second.result;
  expect(backend.rests).toBe(1);
  await close();
});

test("a last word that is due keeps the connections until it is said", async () => {
  const { locker, backend, close } = openFake({ idleTimeoutMs: 1_000 });
  const controller = new AbortController();
  const call = watch(locker.acquire("a", { signal: controller.signal }));
  await settle();
  controller.abort();
  await clock.pass(3_000);
  expect(call.state).toBe("rejected");
  expect(backend.rests).toBe(0);
  backend.attempts.take().answer(backend.granted());
  await settle();
  backend.abandons.take().answer(released);
  await clock.pass(1_001);
  expect(backend.rests).toBe(1);
  await close();
});

test("no timer is left of the renewals of a lock that was released", async () => {
  const { locker, backend, close } = openFake({ idleTimeoutMs: 1_000, ttlMs: 3_600_000 });
  backend.attempts.reply = () => backend.granted(3_600_000);
  backend.releases.reply = () => released;
  const call = watch(locker.withLock("a", () => undefined));
  await clock.pass(1_000);
  call.result;
  expect([backend.rests, clock.timers]).toEqual([1, 0]);
  await close();
});
