// What a locker says and knows of the locks that it holds.
import { expect, test } from "vitest";
import type { Lock } from "../../../src/index.js";
import { gone, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { type Opened, openFake } from "../open.js";
import { watch } from "../outcome.js";
import { hold } from "./held.js";

const LONG = { keepAlive: false, ttlMs: 3_600_000 };

async function release(lock: Lock | undefined): Promise<void> {
  const call = watch(lock?.release() ?? Promise.resolve());
  await settle();
  call.result;
}

test("a lock that its release finds lost counts as lost, and not as released", async () => {
  const opened = openFake({ ...LONG, onLost: () => undefined });
  const { backend, locker, close } = opened;
  const lock = await hold(opened);
  const call = watch(lock.release());
  await settle();
  backend.releases.take().answer({ outcome: "expired", reason: "forced" });
  await settle();
  expect(call.error).toMatchObject({ code: "lease-lost", reason: "forced" });
  expect(locker.stats()).toMatchObject({ released: 0, lost: { forced: 1 } });
  await close();
});

test("of all locks those of one key are told of when a key is given", async () => {
  const opened = openFake(LONG);
  const { locker, close } = opened;
  const locks = [await hold(opened, "a"), await hold(opened, "b")];
  expect([locker.locks(), locker.locks("b"), locker.locks("c")]).toEqual([locks, [locks[1]], []]);
  await close();
});

test("a loss that nobody listens to is told to onError: neither onLost nor a reader of the signal was there", async () => {
  const errors: unknown[] = [];
  const opened = openFake({ keepAlive: false, onError: (error) => errors.push(error) });
  const { backend, close } = opened;
  backend.abandons.reply = () => gone;
  await hold(opened, "unheard", { ttlMs: 1_000 });
  const { signal } = await hold(opened, "watched", { ttlMs: 1_000 });
  await hold(opened, "told", { ttlMs: 1_000, onLost: () => undefined });
  await clock.pass(1_000);
  expect(signal.aborted).toBe(true);
  expect(errors).toEqual([expect.objectContaining({ code: "lease-lost", key: "unheard" })]);
  await close();
});

test.each([
  ["the interval that it was acquired with", { renewEveryMs: 4_000 }, null, 4_000],
  ["a third of its TTL, if it was renewed for less than that interval", { renewEveryMs: 9_000 }, 6_000, 2_000],
] as const)("keepAlive without an interval has %s", async (_, options, ttlMs, everyMs) => {
  const opened = openFake({ keepAlive: false, ttlMs: 30_000, ...options });
  const { backend, close } = opened;
  const lock = await hold(opened);
  backend.renewals.reply = ({ askedTtlMs }) => backend.renewed(askedTtlMs ?? 0);
  if (ttlMs !== null) {
    const renewal = watch(lock.renew(ttlMs));
    await settle();
    renewal.result;
  }
  const { count } = backend.renewals;
  lock.keepAlive();
  await clock.pass(everyMs - 1);
  expect(backend.renewals.count).toBe(count);
  await clock.pass(1);
  expect(backend.renewals.count).toBe(count + 1);
  await close();
});

/** Whether `check` says that this process holds the key, and which holders it says that of: the one that there is has this session and fence. */
async function isToldAsOurs({ locker, backend }: Opened, sessionId: number | null, fence: bigint): Promise<unknown> {
  const holder = { owner: "x", fence, weight: null, sessionId, expiresAtMs: clock.wallMs };
  const time = { acquiredAtMs: clock.wallMs, expiresAtMs: clock.wallMs, remainingMs: 0, isSessionAlive: null };
  const blocked = { isBlocked: false, blockingPid: null, blockingTransaction: null };
  const rest = { ...time, ...blocked, mode: "exclusive", metadata: null, waiters: 0 } as const;
  backend.check = async () => ({ state: "held", ...holder, holders: [holder], ...rest });
  const call = watch(locker.check("a"));
  await settle();
  return [call.result?.isThisProcess, call.result?.holders.map(({ isThisProcess }) => isThisProcess)];
}

test("a holder is this process if it has its session or a fence of its own; where there is no session the fence decides", async () => {
  const opened = openFake(LONG);
  const { backend, close } = opened;
  const { fence } = await hold(opened);
  const { sessionId } = backend.presence;
  // a grant of an acquire that has given up, say, until its last word is said
  expect(await isToldAsOurs(opened, sessionId, fence + 1n)).toEqual([true, [true]]);
  expect(await isToldAsOurs(opened, 99, fence)).toEqual([true, [true]]);
  expect(await isToldAsOurs(opened, 99, fence + 1n)).toEqual([false, [false]]);
  backend.presence.sessionId = null;
  expect(await isToldAsOurs(opened, null, fence)).toEqual([true, [true]]);
  expect(await isToldAsOurs(opened, null, fence + 1n)).toEqual([false, [false]]);
  await close();
});

test("a grant that is heard of after a newer one of its key is lost as taken, and the newer one stays", async () => {
  const opened = openFake({ ...LONG, onLost: () => undefined });
  const { backend, locker, close } = opened;
  backend.abandons.reply = () => gone;
  const newer = await hold(opened, "a", {}, 900n);
  const older = await hold(opened, "a", {}, 800n);
  expect([newer.held, older.held, older.signal.reason]).toMatchObject([true, false, { reason: "taken" }]);
  expect([locker.get("a"), locker.locks("a")]).toEqual([newer, [newer]]);
  await close();
});

test("a grant that is lost when it is heard of is told as acquired first, and is not held by then", async () => {
  const told: unknown[] = [];
  const opened = openFake({
    ...LONG,
    onAcquired: ({ fence, held }) => told.push(["acquired", fence, held]),
    onLost: ({ fence }, { reason }) => told.push(["lost", fence, reason]),
  });
  const { backend, locker, close } = opened;
  backend.abandons.reply = () => gone;
  await hold(opened, "a", {}, 900n);
  await hold(opened, "a", {}, 800n);
  expect(told).toEqual([
    ["acquired", 900n, true],
    ["acquired", 800n, false],
    ["lost", 800n, "taken"],
  ]);
  expect(locker.stats()).toMatchObject({ acquired: 2, lost: { taken: 1 } });
  await close();
});

test("what a set holds that is not whole yet is this process's, where the fence decides and to who waits for it", async () => {
  const opened = openFake(LONG);
  const { backend, locker, close } = opened;
  backend.presence.sessionId = null;
  backend.looks.reply = () => backend.queued();
  const set = watch(locker.acquireAll(["a", "b"]));
  await settle();
  const part = backend.granted(30_000);
  for (const grants of [[], [part]]) {
    // all of them, then as many as there are; then it waits for the next
    const missing = { index: grants.length, answer: { outcome: "held", holder: null } } as const;
    backend.sets.take().answer({ outcome: "answered", grants, missing });
    await settle();
  }
  expect(await isToldAsOurs(opened, null, part.fence)).toEqual([true, [true]]);
  backend.attempts.reply = () => backend.queued();
  const waiting = watch(locker.acquire("a", { waitMs: 10 }));
  await clock.pass(10);
  expect(waiting.error).toMatchObject({ code: "wait-timeout", isHeldHere: true });
  await close();
  expect(set.error).toBeDefined();
});

test("where nothing is excluded no grant ends another, and get knows the newest that is left", async () => {
  const opened = openFake({ ...LONG, onLost: () => undefined });
  const { backend, locker, close } = opened;
  backend.excludes = false;
  backend.releases.reply = () => released;
  const options = [{}, {}, { shared: true }, {}];
  const locks: Lock[] = [];
  for (const one of options) locks.push(await hold(opened, "a", one));
  const [first, second, shared, last] = locks;
  expect(locks.map(({ held }) => held)).toEqual([true, true, true, true]);
  for (const [lock, next] of [
    [last, second],
    [second, first],
    [first, shared],
    [shared, undefined],
  ] as const) {
    expect(locker.get("a")).toBe(lock);
    await release(lock);
    expect(locker.get("a")).toBe(next);
  }
  await close();
});

test("a key whose last share was released is asked for as one that nobody here holds", async () => {
  const opened = openFake(LONG);
  const { backend, locker, close } = opened;
  backend.releases.reply = () => released;
  const readers = [await hold(opened, "a", { shared: true }), await hold(opened, "a", { shared: true })];
  for (const reader of readers) await release(reader);
  const next = watch(locker.acquire("a", { waitMs: 60_000 }));
  await settle();
  expect([backend.attempts.waiting.length, backend.looks.count]).toEqual([1, 0]); // it does not go to the queue at once
  backend.attempts.take().answer(backend.granted());
  await settle();
  await release(next.result);
  await close();
});
