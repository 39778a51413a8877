// From a release to the next one who waits: within this process by the release itself, and for the others by the server's word.
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import type { Ticket } from "../../src/store/store.js";
import { type FakeStore, gone, noAnswer, released } from "./fake-store.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { type Outcome, watch } from "./outcome.js";

interface Queue extends Opened {
  readonly lock: Lock;
  readonly waiters: readonly Outcome<Lock>[];
}

/** One holds the key, and some wait behind it, each with a ticket of its own. */
async function openQueue(count: number, store?: FakeStore): Promise<Queue> {
  const opened = openFake({ keepAlive: false, waitMs: 60_000, ttlMs: 3_600_000 }, store);
  opened.store.keeps.reply = () => [];
  const holding = watch(opened.locker.acquire("a"));
  opened.store.attempts.take().answer(opened.store.granted(3_600_000));
  await settle();
  const waiters: Outcome<Lock>[] = [];
  for (let n = 0; n < count; n += 1) {
    waiters.push(watch(opened.locker.acquire("a"), `waiter ${n}`));
    await settle();
    const asked = opened.store.attempts.waiting.length > 0 ? opened.store.attempts.take() : opened.store.looks.take();
    asked.answer(opened.store.queued());
    await settle();
  }
  return { ...opened, lock: holding.result, waiters };
}

test("the next waiter of this process looks when the release is sent, not when it is answered", async () => {
  const { lock, store, waiters, close } = await openQueue(2);
  const release = watch(lock.release());
  await settle();

  expect(release.state).toBe("pending");
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  await settle();
  expect(waiters.map(({ state }) => state)).toEqual(["resolved", "pending"]);
  store.releases.take().answer(released);
  await settle();
  release.result;
  // Once, not again with the answer: the second waiter would look for nothing.
  expect(store.looks.waiting).toHaveLength(0);
  await close();
});

test("where the connection does not keep order, the next waiter looks when the release is answered", async () => {
  const { lock, store, close } = await openQueue(1);
  store.keepsOrder = false;
  const release = watch(lock.release());
  await settle();
  expect(store.looks.waiting).toHaveLength(0);
  store.releases.take().answer(released);
  await settle();

  release.result;
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.queued());
  await close();
});

test("who joined while the release was on its way is woken by its answer", async () => {
  const { lock, store, locker, close } = await openQueue(0);
  const release = watch(lock.release());
  await settle(); // sent, and nobody was there to be woken
  const late = watch(locker.acquire("a"));
  await settle();
  store.attempts.take().answer(store.queued()); // it saw the row before the release had it
  await settle();
  expect(store.looks.waiting).toHaveLength(0);
  store.releases.take().answer(released);
  await settle();
  release.result;
  // at once, and not at the poll a second later
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  await settle();
  expect(late.result.held).toBe(true);
  await close();
});

test("a release whose first attempt found nobody to wake has its answer wake those of a try-again, too", async () => {
  const { lock, store, waiters, close } = await openQueue(1);
  const release = watch(lock.release());
  await settle();
  store.looks.take().answer(store.queued()); // the look came too early
  store.releases.take().answer({ outcome: "busy", reason: null });
  await settle();
  store.releases.take().answer(released);
  await settle();
  release.result;
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  await settle();
  waiters[0]?.result;
  await close();
});

test("behind a waiter of another process nobody here looks when a release is sent, until one of ours is next", async () => {
  const { lock, store, waiters, close } = await openQueue(4);
  const release = async (held: Lock, isNextOurs: boolean): Promise<void> => {
    const released = watch(held.release());
    await settle();
    // Only a release after one whose next was ours has somebody look early.
    earlyLooks.push(store.looks.waiting.length);
    for (const look of store.looks.waiting) {
      const ticket = look.request.ticket as Ticket;
      look.answer(isNextOurs ? store.granted() : { outcome: "queued", ticket, lookInMs: null, holder: null });
    }
    await settle();
    store.releases.take().answer({ outcome: "released", reason: null, isNextOurs });
    await settle();
    released.result;
  };
  const earlyLooks: number[] = [];
  /** The other process has released in turn. */
  const grantByNotify = async (): Promise<void> => {
    store.wake();
    await settle();
    store.looks.take().answer(store.granted());
    await settle();
  };

  await release(lock, false); // nothing is known yet
  await grantByNotify();
  await release(waiters[0]?.result as Lock, false);
  expect(store.looks.waiting).toHaveLength(0); // nor does the answer wake anybody
  await grantByNotify();
  await release(waiters[1]?.result as Lock, true);
  expect(store.looks.waiting).toHaveLength(1); // the answer says that it is our turn
  store.looks.take().answer(store.granted());
  await settle();
  await release(waiters[2]?.result as Lock, true);
  expect(waiters[3]?.result.held).toBe(true);

  expect(earlyLooks).toEqual([1, 0, 0, 1]);
  expect(store.told).toEqual(["a", "a"]);
  await close();
});

test("a release that fails wakes the next one: it may have taken effect", async () => {
  const { lock, store, close } = await openQueue(1);
  const release = watch(lock.release());
  await settle();
  store.looks.take().answer(store.queued());
  await settle();
  await clock.pass(5_000);
  expect(release.error).toMatchObject({ code: "unavailable", outcome: "unknown" });
  // It is told in the middle of its poll, so it looks again at once.
  store.looks.take().answer(store.queued());
  await settle();
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.reply = () => store.queued();
  store.looks.take().answer(store.queued());
  store.releases.take().fail(noAnswer());
  await close();
});

test("a NOTIFY lets the first waiter of each key look, and nobody behind it", async () => {
  const { store, locker, close } = await openQueue(3);
  const other = watch(locker.acquire("b"));
  store.attempts.take().answer(store.queued());
  await settle();
  store.wake();
  await settle();

  expect(store.looks.waiting.map(({ request }) => request.key).sort()).toEqual(["a", "b"]);
  for (const asked of store.looks.waiting) asked.answer(store.granted());
  await settle();
  other.result;
  await close();
});

test("a NOTIFY during a look is not lost: the waiter looks again at once", async () => {
  const { store, close } = await openQueue(1);
  store.wake();
  await settle();
  const look = store.looks.take();
  store.wake();
  await settle();
  expect(store.looks.waiting).toHaveLength(0);
  look.answer({ outcome: "queued", ticket: { number: 1n, proof: 0n }, lookInMs: null, holder: null });
  await settle();
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  await close();
});

test("when the first waiter gives up, the one behind it looks within half a second", async () => {
  const opened = openFake({ keepAlive: false, waitMs: 60_000 });
  const { store, locker, close } = opened;
  store.keeps.reply = () => [];
  const controller = new AbortController();
  const first = watch(locker.acquire("a", { signal: controller.signal }));
  store.attempts.take().answer(store.queued());
  await settle();
  const second = watch(locker.acquire("a"));
  await settle();
  store.looks.take().answer(store.queued());
  await settle();
  controller.abort(new Error("enough"));
  await settle();
  expect(first.state).toBe("rejected");
  // Its last word is on its way; when that is answered, its entry is gone, and the next one looks at once.
  store.abandons.take().answer(gone);
  await settle();
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  await settle();
  second.result;
  await close();
});

test("a last word that is slow does not hold the next one up for more than half a second", async () => {
  const { store, locker, close } = openFake({ keepAlive: false, waitMs: 60_000 });
  store.keeps.reply = () => [];
  const controller = new AbortController();
  const first = watch(locker.acquire("a", { signal: controller.signal }));
  store.attempts.take().answer(store.queued());
  await settle();
  const second = watch(locker.acquire("a"));
  await settle();
  store.looks.take().answer(store.queued());
  await settle();
  controller.abort();
  await clock.pass(500);

  expect(first.state).toBe("rejected");
  expect(store.looks.waiting).toHaveLength(1);
  store.looks.take().answer(store.granted());
  store.abandons.take().answer(gone);
  await settle();
  second.result;
  await close();
});

test("those behind the first have their entries kept together, once a second, and look when theirs is gone", async () => {
  const { store, waiters, close } = await openQueue(4);
  const ticket = { number: 1n, proof: 0n };
  store.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: null, holder: null });
  store.keeps.reply = null;
  await clock.pass(1_100);
  const keep = store.keeps.take();
  expect(keep.request.entries).toHaveLength(3);
  const before = store.looks.count;
  const [, gone] = keep.request.entries;
  store.looks.reply = ({ token }) => (token === gone?.token ? store.queued() : undefined);
  keep.answer(gone === undefined ? [] : [gone]);
  await settle();

  expect(store.looks.count).toBe(before + 1);
  store.keeps.reply = () => [];
  store.looks.reply = ({ ticket }) => (ticket?.number === 1n ? store.granted() : undefined);
  await clock.pass(1_300);
  expect(waiters.map(({ state }) => state)).toEqual(["resolved", "pending", "pending", "pending"]);
  await close();
});

test("when entries cannot be kept for requestTimeoutMs, the waiters look for themselves, and go on waiting", async () => {
  const { store, waiters, lock, close } = await openQueue(3);
  const ticket = { number: 1n, proof: 0n };
  store.looks.reply = () => ({ outcome: "queued", ticket, lookInMs: null, holder: null });
  store.keeps.reply = null;
  store.abandons.reply = () => gone;
  await clock.pass(4_000);
  const before = store.looks.count;
  await clock.pass(2_500);

  expect(waiters.map(({ state }) => state)).toEqual(["pending", "pending", "pending"]);
  expect(store.looks.count - before).toBeGreaterThanOrEqual(4); // the first looks each second, and each of the others once
  expect(lock.held).toBe(true);
  await close();
});

test("a try waits for those of its own process that are leaving the queue, and then takes what is free", async () => {
  const { store, locker, close } = openFake({ keepAlive: false });
  const controller = new AbortController();
  const waiter = watch(locker.acquire("a", { signal: controller.signal, waitMs: 60_000 }));
  store.attempts.take().answer(store.queued());
  await settle();
  controller.abort();
  await settle();
  expect(waiter.state).toBe("rejected");
  const attempt = watch(locker.tryAcquire("a"));
  await settle();
  store.attempts.take().answer({ outcome: "held", holder: null }); // free, but the leaver is still in the queue
  await settle();
  expect(attempt.state).toBe("pending");
  store.abandons.take().answer(gone);
  await settle();
  store.looks.take().answer(store.granted());
  await settle();
  expect(attempt.result?.held).toBe(true);
  await close();
});

test("a try waits for leavers for a second at most, and once", async () => {
  const { store, locker, close } = openFake({ keepAlive: false });
  const controller = new AbortController();
  const waiter = watch(locker.acquire("a", { signal: controller.signal, waitMs: 60_000 }));
  store.attempts.take().answer(store.queued());
  await settle();
  controller.abort();
  const attempt = watch(locker.tryAcquire("a"));
  await settle();
  store.attempts.take().answer({ outcome: "held", holder: null });
  store.looks.reply = () => ({ outcome: "held", holder: null });
  await clock.pass(1_000);

  expect(waiter.state).toBe("rejected");
  expect(attempt.result).toBeNull();
  expect(store.looks.count).toBe(1);
  store.abandons.take().answer(gone);
  await close();
});
