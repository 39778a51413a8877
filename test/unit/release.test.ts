// A release: by fence or by token, again while that helps, and in the background when the caller has been told.
import { expect, test } from "vitest";
import { NotPermittedError, UnavailableError } from "../../src/errors/errors.js";
import type { Lock, LockerOptions } from "../../src/index.js";
import { gone, noAnswer, notSent, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { type Outcome, watch } from "./outcome.js";

interface Held extends Opened {
  readonly lock: Lock;
  readonly losses: unknown[];
}

async function openHeld(options: LockerOptions = {}): Promise<Held> {
  const losses: unknown[] = [];
  const opened = openFake({
    keepAlive: false,
    ttlMs: 60_000,
    onLost: (_lock, { reason }) => losses.push(reason),
    ...options,
  });
  const call = watch(opened.locker.acquire("a"));
  opened.backend.attempts.take().answer(opened.backend.granted(options.ttlMs ?? 60_000));
  await settle();
  return { ...opened, lock: call.result, losses };
}

async function startRelease({ lock }: Held): Promise<Outcome<void>> {
  const release = watch(lock.release(), "release");
  await settle();
  return release;
}

test("a release that succeeds ends the lock: not held, no loss, and a second one is refused", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  expect(held.lock.held).toBe(false);
  held.backend.releases.take().answer(released);
  await settle();

  release.result;
  await expect(held.lock.release()).rejects.toMatchObject({ code: "not-held" });
  await expect(held.lock.renew()).rejects.toMatchObject({ code: "not-held" });
  expect(held.lock.signal.aborted).toBe(false);
  expect(held.losses).toEqual([]);
  await held.close();
  expect(held.backend.releases.count).toBe(1);
});

test.each([
  ["gone, whoever has it now", { outcome: "gone", reason: "taken" }, "taken"],
  ["gone without a trace", gone, "expired"],
  ["expired before", { outcome: "expired", reason: "expired" }, "expired"],
  ["taken away by force", { outcome: "expired", reason: "forced" }, "forced"],
] as const)("a release that finds the lease %s rejects with the loss", async (_, answer, reason) => {
  const held = await openHeld();
  const release = await startRelease(held);
  held.backend.releases.take().answer(answer);
  await settle();

  expect(release.error).toMatchObject({ code: "lease-lost", reason });
  expect(held.losses).toEqual([reason]);
  held.backend.abandons.take().answer(gone);
  await held.close();
});

test("a release after one without an answer finds nothing, and has succeeded", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  held.backend.releases.take().fail(noAnswer());
  await settle();
  held.backend.releases.take().answer({ outcome: "gone", reason: "taken" });
  await settle();

  release.result;
  expect(held.losses).toEqual([]);
  await held.close();
});

test("a release after one that was not sent, which finds nothing, was lost", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  held.backend.releases.take().fail(notSent());
  await settle();
  held.backend.releases.take().answer({ outcome: "gone", reason: "taken" });
  await settle();

  expect(release.error).toMatchObject({ reason: "taken" });
  held.backend.abandons.take().answer(gone);
  await held.close();
});

test("a release that had no answer in time rejects with what was in its way, and hands the key over meanwhile", async () => {
  const held = await openHeld();
  const { backend } = held;
  let explained = (_: UnavailableError): void => undefined;
  backend.explain = () =>
    new Promise((resolve) => {
      explained = resolve;
    });
  const release = await startRelease(held);
  await clock.pass(5_000);
  expect([release.state, held.lock.held]).toEqual(["pending", false]);
  expect(held.locker.locks()).toEqual([]);
  const error = new UnavailableError({ outcome: "unknown", message: "process 42 has a table locked" });
  explained(error);
  await settle();
  expect(release.error).toBe(error);
  backend.abandons.reply = () => released;
  await held.close();
});

test("a release whose row is busy is asked again, faster than a waiter would notice, and for requestTimeoutMs", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  const { backend } = held;
  backend.releases.reply = () => ({ outcome: "busy", reason: null });
  backend.abandons.reply = () => ({ outcome: "busy", reason: null });
  backend.releases.take().answer({ outcome: "busy", reason: null });
  await clock.pass(50);
  expect(backend.releases.count).toBeGreaterThanOrEqual(4);
  await clock.pass(4_950);
  expect(backend.releases.count).toBeLessThanOrEqual(40);

  expect(release.error).toMatchObject({
    code: "unavailable",
    outcome: "not-sent",
    message: expect.stringContaining("locked"),
  });
  // In the background it goes on by its token, until somebody answers.
  await clock.pass(10_000);
  expect(backend.abandons.count).toBeGreaterThan(10);
  backend.abandons.reply = () => released;
  await clock.pass(600);
  const { count } = backend.abandons;
  await clock.pass(10_000);
  expect(backend.abandons.count).toBe(count);
  expect(held.losses).toEqual([]);
  await held.close();
});

test("a last word gives up when whatever it could find has expired", async () => {
  const held = await openHeld({ ttlMs: 10_000 });
  const release = await startRelease(held);
  const { backend } = held;
  backend.abandons.reply = () => noAnswer();
  await clock.pass(5_000);
  expect(release.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  backend.releases.take().fail(noAnswer());
  await clock.pass(14_000);
  const { count } = backend.abandons;
  await clock.pass(60_000);

  expect(backend.abandons.count).toBe(count);
  expect(count).toBeGreaterThan(10);
  await held.close();
});

test("a silent release times out as unknown, and its answer comes too late to matter", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  await clock.pass(4_999);
  expect(release.state).toBe("pending");
  await clock.pass(1);
  expect(release.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  held.backend.releases.take().answer({ outcome: "expired", reason: "expired" });
  await settle();

  expect(held.losses).toEqual([]);
  held.backend.abandons.take().answer(gone);
  await held.close();
  expect(held.backend.abandons.count).toBe(1);
});

test("a release that fails for good rejects with that error, and the last word is said", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  const refused = new NotPermittedError({ statement: "select 1" });
  held.backend.releases.take().fail(refused);
  await settle();

  expect(release.error).toBe(refused);
  held.backend.abandons.take().answer(released);
  await held.close();
});

test("close waits for a release that is on its way, and takes no connection from beneath it", async () => {
  const held = await openHeld();
  const release = await startRelease(held);
  const closed = watch(held.locker.close(), "close");
  await clock.pass(2_000);
  expect([closed.state, held.backend.closes]).toEqual(["pending", 0]);
  held.backend.releases.take().answer(released);
  await clock.pass(10);

  release.result;
  closed.result;
  expect(held.backend.closes).toBe(1);
});

test("await using releases, and reports what fails instead of throwing", async () => {
  const errors: unknown[] = [];
  const held = await openHeld({ onError: (error) => errors.push(error) });
  const disposed = watch(Promise.resolve(held.lock[Symbol.asyncDispose]()));
  await settle();
  held.backend.releases.take().answer({ outcome: "gone", reason: "taken" });
  await settle();

  disposed.result;
  expect(errors).toMatchObject([{ reason: "taken" }]);
  held.backend.abandons.take().answer(gone);
  await held.close();
});
