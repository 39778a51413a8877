// From a release to the next one who waits: within this process by the release itself, and for the others by the server's word.
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import type { Ticket } from "../../src/store/messages.js";
import { type FakeBackend, gone, noAnswer, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { type Outcome, watch } from "./outcome.js";

interface Queue extends Opened {
  readonly lock: Lock;
  readonly waiters: readonly Outcome<Lock>[];
}

/** One holds the key, and some wait behind it, each with a ticket of its own. */
async function openQueue(count: number, backend?: FakeBackend): Promise<Queue> {
  const opened = openFake({ keepAlive: false, waitMs: 60_000, ttlMs: 3_600_000 }, backend);
  opened.backend.keeps.reply = () => [];
  const holding = watch(opened.locker.acquire("a"));
  opened.backend.attempts.take().answer(opened.backend.granted(3_600_000));
  await settle();
  const waiters: Outcome<Lock>[] = [];
  for (let n = 0; n < count; n += 1) {
    waiters.push(watch(opened.locker.acquire("a"), `waiter ${n}`));
    await settle();
    const asked =
      opened.backend.attempts.waiting.length > 0 ? opened.backend.attempts.take() : opened.backend.looks.take();
    asked.answer(opened.backend.queued());
    await settle();
  }
  return { ...opened, lock: holding.result, waiters };
}

test("the next waiter of this process looks when the release is sent, not when it is answered", async () => {
  const { lock, backend, waiters, close } = await openQueue(2);
  const release = watch(lock.release());
  await settle();

  expect(release.state).toBe("pending");
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(waiters.map(({ state }) => state)).toEqual(["resolved", "pending"]);
  backend.releases.take().answer(released);
  await settle();
  release.result;
  // Once, not again with the answer: the second waiter would look for nothing.
  expect(backend.looks.waiting).toHaveLength(0);
  await close();
});

test.each([
  ["nobody looks when a read lock is released: others may go on to read", { shared: true }, 0],
  ["who is next looks when a part of a semaphore is sent: there is room for it", { capacity: 1 }, 1],
] as const)("%s", async (_, share, looks) => {
  const { backend, locker, close } = openFake({ keepAlive: false, waitMs: 60_000 });
  backend.attempts.reply = () => backend.granted();
  const held = watch(locker.acquire("a", share));
  await settle();
  const next = watch(locker.acquire("a"));
  await settle();
  backend.looks.take().answer(backend.queued());
  await settle();
  const release = watch(held.result.release());
  await settle();
  expect([backend.looks.waiting.length, backend.told]).toEqual([looks, []]);
  backend.releases.take().answer({ outcome: "released", reason: null, isNextOurs: true });
  await settle();
  release.result;
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(next.result.held).toBe(true);
  await close();
});

test("where the connection does not keep order, the next waiter looks when the release is answered", async () => {
  const { lock, backend, close } = await openQueue(1);
  backend.keepsOrder = false;
  const release = watch(lock.release());
  await settle();
  expect(backend.looks.waiting).toHaveLength(0);
  backend.releases.take().answer(released);
  await settle();

  release.result;
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.queued());
  await close();
});

test("who joined while the release was on its way is woken by its answer", async () => {
  const { lock, backend, locker, close } = await openQueue(0);
  const release = watch(lock.release());
  await settle(); // sent, and nobody was there to be woken
  const late = watch(locker.acquire("a"));
  await settle();
  backend.attempts.take().answer(backend.queued()); // it saw the row before the release had it
  await settle();
  expect(backend.looks.waiting).toHaveLength(0);
  backend.releases.take().answer(released);
  await settle();
  release.result;
  // at once, and not at the poll a second later
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(late.result.held).toBe(true);
  await close();
});

test("a release whose first attempt found nobody to wake has its answer wake those of a try-again, too", async () => {
  const { lock, backend, waiters, close } = await openQueue(1);
  const release = watch(lock.release());
  await settle();
  backend.looks.take().answer(backend.queued()); // the look came too early
  backend.releases.take().answer({ outcome: "busy", reason: null });
  await settle();
  backend.releases.take().answer(released);
  await settle();
  release.result;
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  await settle();
  waiters[0]?.result;
  await close();
});

test("behind a waiter of another process nobody here looks when a release is sent, until one of ours is next", async () => {
  const { lock, backend, waiters, close } = await openQueue(4);
  const release = async (held: Lock, isNextOurs: boolean): Promise<void> => {
    const released = watch(held.release());
    await settle();
    // Only a release after one whose next was ours has somebody look early.
    earlyLooks.push(backend.looks.waiting.length);
    toldOthers.push(backend.told.length);
    for (const look of backend.looks.waiting) {
      const ticket = look.request.ticket as Ticket;
      look.answer(isNextOurs ? backend.granted() : { outcome: "queued", ticket, lookInMs: null, holder: null });
    }
    await settle();
    backend.releases.take().answer({ outcome: "released", reason: null, isNextOurs });
    await settle();
    released.result;
  };
  const earlyLooks: number[] = [];
  const toldOthers: number[] = [];
  /** The other process has released in turn. */
  const grantByNotify = async (): Promise<void> => {
    backend.wake();
    await settle();
    backend.looks.take().answer(backend.granted());
    await settle();
  };

  await release(lock, false); // nothing is known yet
  await grantByNotify();
  await release(waiters[0]?.result as Lock, false);
  expect(backend.looks.waiting).toHaveLength(0); // nor does the answer wake anybody
  await grantByNotify();
  await release(waiters[1]?.result as Lock, true);
  expect(backend.looks.waiting).toHaveLength(1); // the answer says that it is our turn
  backend.looks.take().answer(backend.granted());
  await settle();
  await release(waiters[2]?.result as Lock, true);
  expect(waiters[3]?.result.held).toBe(true);

  expect(earlyLooks).toEqual([1, 0, 0, 1]);
  expect(toldOthers).toEqual([0, 1, 2, 2]);
  await close();
});

test("a release that fails wakes the next one: it may have taken effect", async () => {
  const { lock, backend, close } = await openQueue(1);
  const release = watch(lock.release());
  await settle();
  backend.looks.take().answer(backend.queued());
  await settle();
  await clock.pass(5_000);
  expect(release.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  // It is told in the middle of its poll, so it looks again at once.
  backend.looks.take().answer(backend.queued());
  await settle();
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.reply = () => backend.queued();
  backend.looks.take().answer(backend.queued());
  backend.releases.take().fail(noAnswer());
  await close();
});

test("a NOTIFY lets the first waiter of each key look, and nobody behind it", async () => {
  const { backend, locker, close } = await openQueue(3);
  const other = watch(locker.acquire("b"));
  backend.attempts.take().answer(backend.queued());
  await settle();
  backend.wake();
  await settle();

  expect(backend.looks.waiting.map(({ request }) => request.key).sort()).toEqual(["a", "b"]);
  for (const asked of backend.looks.waiting) asked.answer(backend.granted());
  await settle();
  other.result;
  await close();
});

test("a NOTIFY during a look is not lost: the waiter looks again at once", async () => {
  const { backend, close } = await openQueue(1);
  backend.wake();
  await settle();
  const look = backend.looks.take();
  backend.wake();
  await settle();
  expect(backend.looks.waiting).toHaveLength(0);
  look.answer({ outcome: "queued", ticket: { number: 1n, proof: 0n }, lookInMs: null, holder: null });
  await settle();
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  await close();
});

test("when the first waiter gives up, the one behind it looks within half a second", async () => {
  const opened = openFake({ keepAlive: false, waitMs: 60_000 });
  const { backend, locker, close } = opened;
  backend.keeps.reply = () => [];
  const controller = new AbortController();
  const first = watch(locker.acquire("a", { signal: controller.signal }));
  backend.attempts.take().answer(backend.queued());
  await settle();
  const second = watch(locker.acquire("a"));
  await settle();
  backend.looks.take().answer(backend.queued());
  await settle();
  controller.abort(new Error("enough"));
  await settle();
  expect(first.state).toBe("rejected");
  // Its last word is on its way; when that is answered, its entry is gone, and the next one looks at once.
  backend.abandons.take().answer(gone);
  await settle();
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  await settle();
  second.result;
  await close();
});

test("a last word that is slow does not hold the next one up for more than half a second", async () => {
  const { backend, locker, close } = openFake({ keepAlive: false, waitMs: 60_000 });
  backend.keeps.reply = () => [];
  const controller = new AbortController();
  const first = watch(locker.acquire("a", { signal: controller.signal }));
  backend.attempts.take().answer(backend.queued());
  await settle();
  const second = watch(locker.acquire("a"));
  await settle();
  backend.looks.take().answer(backend.queued());
  await settle();
  controller.abort();
  await clock.pass(500);

  expect(first.state).toBe("rejected");
  expect(backend.looks.waiting).toHaveLength(1);
  backend.looks.take().answer(backend.granted());
  backend.abandons.take().answer(gone);
  await settle();
  second.result;
  await close();
});

test("those behind the first have their entries kept together, once a second, and look when theirs is gone", async () => {
  const { backend, waiters, close } = await openQueue(4);
  const ticket = { number: 1n, proof: 0n };
  backend.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: null, holder: null });
  backend.keeps.reply = null;
  await clock.pass(1_100);
  const keep = backend.keeps.take();
  expect(keep.request.entries).toHaveLength(3);
  const before = backend.looks.count;
  const [, gone] = keep.request.entries;
  backend.looks.reply = ({ token }) => (token === gone?.token ? backend.queued() : undefined);
  keep.answer(gone === undefined ? [] : [gone]);
  await settle();

  expect(backend.looks.count).toBe(before + 1);
  backend.keeps.reply = () => [];
  backend.looks.reply = ({ ticket }) => (ticket?.number === 1n ? backend.granted() : undefined);
  await clock.pass(1_300);
  expect(waiters.map(({ state }) => state)).toEqual(["resolved", "pending", "pending", "pending"]);
  await close();
});

test("when entries cannot be kept for requestTimeoutMs, the waiters look for themselves, and go on waiting", async () => {
  const { backend, waiters, lock, close } = await openQueue(3);
  const ticket = { number: 1n, proof: 0n };
  backend.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: null, holder: null });
  backend.keeps.reply = null;
  backend.abandons.reply = () => gone;
  await clock.pass(4_000);
  const before = backend.looks.count;
  await clock.pass(2_500);

  expect(waiters.map(({ state }) => state)).toEqual(["pending", "pending", "pending"]);
  expect(backend.looks.count - before).toBeGreaterThanOrEqual(4); // the first looks each second, and each of the others once
  expect(lock.held).toBe(true);
  await close();
});

test("a try waits for those of its own process that are leaving the queue, and then takes what is free", async () => {
  const { backend, locker, close } = openFake({ keepAlive: false });
  const controller = new AbortController();
  const waiter = watch(locker.acquire("a", { signal: controller.signal, waitMs: 60_000 }));
  backend.attempts.take().answer(backend.queued());
  await settle();
  controller.abort();
  await settle();
  expect(waiter.state).toBe("rejected");
  const attempt = watch(locker.tryAcquire("a"));
  await settle();
  backend.attempts.take().answer({ outcome: "held", holder: null }); // free, but the leaver is still in the queue
  await settle();
  expect(attempt.state).toBe("pending");
  backend.abandons.take().answer(gone);
  await settle();
  backend.looks.take().answer(backend.granted());
  await settle();
  expect(attempt.result?.held).toBe(true);
  await close();
});

test("a try waits for leavers for a second at most, and once", async () => {
  const { backend, locker, close } = openFake({ keepAlive: false });
  const controller = new AbortController();
  const waiter = watch(locker.acquire("a", { signal: controller.signal, waitMs: 60_000 }));
  backend.attempts.take().answer(backend.queued());
  await settle();
  controller.abort();
  const attempt = watch(locker.tryAcquire("a"));
  await settle();
  backend.attempts.take().answer({ outcome: "held", holder: null });
  backend.looks.reply = () => ({ outcome: "held", holder: null });
  await clock.pass(1_000);

  expect(waiter.state).toBe("rejected");
  expect(attempt.result).toBeNull();
  expect(backend.looks.count).toBe(1);
  backend.abandons.take().answer(gone);
  await close();
});
