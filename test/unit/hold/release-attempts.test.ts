// The attempts of one release: what an answer to a later one says depends on what became of those before it.
import { expect, test } from "vitest";
import type { AcquireOptions, Lock, LockerOptions } from "../../../src/index.js";
import { gone, noAnswer, notSent, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { type Opened, openFake } from "../open.js";
import { type Outcome, watch } from "../outcome.js";

interface Releasing extends Opened {
  readonly lock: Lock;
  readonly release: Outcome<void>;
}

const busy = { outcome: "busy", reason: null } as const;

/** A lock whose release has been sent. */
async function openReleasing(options: LockerOptions & AcquireOptions = {}): Promise<Releasing> {
  const opened = openFake({ keepAlive: false, ttlMs: 60_000, ...options });
  const call = watch(opened.locker.acquire("a"));
  opened.backend.attempts.take().answer(opened.backend.granted(60_000));
  await settle();
  const lock = call.result;
  const release = watch(lock.release(), "release");
  await settle();
  return { ...opened, lock, release };
}

test.each([
  ["lost", "was busy", [busy]],
  ["lost", "was busy and one was not sent", [busy, notSent()]],
  ["released", "was busy and one had no answer", [busy, noAnswer()]],
  ["released", "had no answer and one was not sent", [noAnswer(), notSent()]],
] as const)("a lock that is gone is %s when an earlier attempt to release it %s", async (outcome, _, earlier) => {
  const { backend, release, close } = await openReleasing();
  for (const fate of earlier) {
    const attempt = backend.releases.take();
    fate instanceof Error ? attempt.fail(fate) : attempt.answer(fate);
    await clock.pass(20);
  }
  backend.releases.take().answer(gone);
  await settle();

  if (outcome === "lost") expect(release.error).toMatchObject({ code: "lease-lost", reason: "expired" });
  else release.result;
  // Nobody else waits, so no attempt has told another process to look.
  expect(backend.told).toEqual([]);
  await close();
});

test("a lock is lost when its release by the token finds nothing, and no other attempt can have freed it", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  const call = watch(locker.acquire("a"));
  backend.attempts.take().fail(noAnswer());
  await settle();
  backend.looks.take().answer(backend.granted());
  await clock.pass(5_100); // the server refuses the lost attempt by now
  const release = watch(call.result.release());
  await settle();
  backend.abandons.take().answer(gone);
  await settle();
  expect(release.error).toMatchObject({ code: "lease-lost", reason: "expired" });
  await close();
});

test("requestTimeoutMs counts from the call on, however late its first attempt was answered", async () => {
  const { backend, release, close } = await openReleasing({ requestTimeoutMs: 5_000 });
  await clock.pass(3_000);
  backend.releases.reply = () => busy;
  backend.releases.take().answer(busy);
  await clock.pass(1_500);
  expect(release.state).toBe("pending");
  await clock.pass(500);
  expect(release.error).toMatchObject({ code: "unavailable", message: expect.stringContaining("locked") });
  backend.abandons.reply = () => released;
  await close();
});

test("a failure that comes after requestTimeoutMs sends nothing: the last word goes on by itself", async () => {
  const { locker, backend, release, close } = await openReleasing();
  await clock.pass(5_000);
  expect(release.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  backend.releases.take().fail(noAnswer());
  await clock.pass(1_000);
  expect([backend.releases.count, locker.stats().released]).toEqual([1, 1]);
  backend.abandons.take().answer(released);
  await close();
});

test("a release that cannot be sent from here rejects at once, and the last word frees the lock", async () => {
  const opened = openFake({ keepAlive: false });
  const { locker, backend, close } = opened;
  backend.attempts.reply = () => backend.granted();
  const call = watch(locker.acquire("a"));
  await settle();
  const refusal = notSent();
  backend.refuseHere = () => refusal;
  const release = watch(call.result.release());
  await settle();
  expect(release.error).toBe(refusal);
  expect([backend.releases.count, call.result.held]).toEqual([0, false]);
  backend.refuseHere = null;
  expect(backend.abandons.take().request).toMatchObject({ key: "a", wasHeld: true });
  await close();
});

test.each([
  ["an exclusive lock", {}, false],
  ["a read lock", { shared: true }, true],
  ["a part of a semaphore", { capacity: 2 }, true],
] as const)("the release of %s says whether others may share its key", async (_, share, isShared) => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  backend.attempts.reply = () => backend.granted();
  const call = watch(locker.acquire("a", share));
  await settle();
  const release = watch(call.result.release());
  await settle();
  const asked = backend.releases.take();
  expect(asked.request.isShared).toBe(isShared);
  asked.answer(released);
  await settle();
  release.result;
  await close();
});

test("the time of a hold is counted from the grant to the call that releases it, not to its answer", async () => {
  const { locker, backend, close } = openFake({ keepAlive: false });
  backend.attempts.reply = () => backend.granted();
  const call = watch(locker.acquire("a"));
  await clock.pass(700);
  const release = watch(call.result.release());
  await clock.pass(900);
  backend.releases.take().answer(released);
  await settle();
  release.result;
  expect(locker.stats().holds).toMatchObject({ sumMs: 700 });
  await close();
});
