// Several keys under a clock that the test moves: when they are given back, when they are asked for again, and how calls end.
import { expect, test } from "vitest";
import {
  LeaseLostError,
  type LockerOptions,
  type LockSet,
  UnavailableError,
  WaitTimeoutError,
} from "../../src/index.js";
import type { AcquireAllRequest } from "../../src/store/messages.js";
import { gone, holder, noAnswer, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";
import { answer, inLine } from "./set-answers.js";

function keysOf({ items }: AcquireAllRequest): string[] {
  return items.map(({ key }) => key);
}

/** A set that waits for `c`, with `a` and `b` held. */
const waitingForC = (waitMs = 60_000, options: LockerOptions = {}) =>
  inLine(["d", "c", "b", "a"], 2, { ttlMs: 9_000, waitMs, ...options });

test("it tries all, then takes a prefix, waits for the next key alone, and goes on behind that", async () => {
  const { backend, set, tried, prefix, waiting, close } = await waitingForC();
  waiting.answer(backend.granted(9_000));
  await settle();
  expect(backend.sets.waiting).toHaveLength(0);
  const last = backend.attempts.take(); // of one key there is no prefix
  const before = set.state;
  last.answer(backend.granted(9_000));
  await settle();
  expect([keysOf(tried.request), tried.request.takesPrefix]).toEqual([["a", "b", "c", "d"], false]);
  expect([keysOf(prefix.request), prefix.request.takesPrefix]).toEqual([["a", "b", "c", "d"], true]);
  expect([waiting.request.key, last.request.key]).toEqual(["c", "d"]);
  expect(before).toBe("pending");
  expect(set.result.locks.map(({ key, held: isHeld }) => [key, isHeld])).toEqual(
    ["d", "c", "b", "a"].map((key) => [key, true]),
  );
  expect(new Set([...tried.request.items, ...prefix.request.items].map(({ token }) => token)).size).toBe(8);
  await close();
});

test("what it holds is renewed while it waits, every third of the TTL", async () => {
  const { backend, set, waiting, close } = await waitingForC();
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  backend.renewals.reply = () => backend.renewed(9_000);
  await clock.pass(27_500);
  expect(set.state).toBe("pending");
  expect(backend.renewals.count).toBe(2 * 9);
  backend.looks.reply = () => backend.granted(9_000);
  await clock.pass(2_000);
  const last = backend.attempts.take();
  last.answer(backend.granted(9_000));
  await settle();
  expect(set.result.held).toBe(true);
  await close();
});

test("a set that waited is renewed from then on by the caller's interval, counted from the last renewal of each key", async () => {
  const { backend, set, waiting, close } = await waitingForC(60_000, { renewEveryMs: 8_100 });
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  backend.renewals.reply = () => backend.renewed(9_000);
  await clock.pass(5_500); // the parts were renewed after 3,000 ms, and end 12,000 ms from the start
  backend.looks.reply = () => backend.granted(9_000);
  await clock.pass(1_500);
  backend.attempts.take().answer(backend.granted(9_000));
  await settle();
  const { locks } = set.result;
  await clock.pass(20_000);
  expect(locks.map((lock) => lock.held)).toEqual([true, true, true, true]);
  await close();
});

test("a part that is lost ends the wait: the others are given back before anything else is asked, and it begins again", async () => {
  const { backend, set, waiting, locker, close } = await waitingForC();
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  backend.abandons.reply = null;
  backend.renewals.reply = ({ key }) => (key === "a" ? { outcome: "lost", reason: "forced" } : backend.renewed(9_000));
  await clock.pass(3_100);
  const abandoned = backend.abandons.waiting.map(({ request }) => [request.key, request.wasHeld]);
  const askedBefore = backend.sets.waiting.length;
  for (const abandon of backend.abandons.waiting) abandon.answer(released);
  backend.abandons.reply = () => released;
  await settle();
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 4));
  await settle();
  expect(abandoned.sort()).toEqual([
    ["a", false],
    ["b", false],
    ["c", false],
  ]);
  expect(askedBefore).toBe(0);
  expect([keysOf(again.request), again.request.takesPrefix]).toEqual([["a", "b", "c", "d"], false]);
  expect(set.result.held).toBe(true);
  expect(locker.stats()).toMatchObject({ acquired: 4, activeLeases: 4, lost: { forced: 0 } });
  await close();
});

test.each(["each by itself", "in one turn"])(
  "all parts that expire %s end the wait once, and it begins again",
  async (how) => {
    const { backend, set, waiting, close } = await waitingForC();
    waiting.answer(backend.queued());
    backend.looks.reply = () => backend.queued();
    if (how === "in one turn") {
      clock.block(12_000); // the event loop stood still
      await settle();
    } else {
      await clock.pass(9_500);
    }
    await clock.pass(100);
    expect(set.state).toBe("pending");
    const again = backend.sets.take();
    again.answer(answer(backend, again.request, 4));
    await settle();
    expect(set.result.held).toBe(true);
    await close();
  },
);

test("it begins again only within what is left of waitMs, and then names the key that it lost", async () => {
  const { backend, set, waiting, close } = await waitingForC(3_050);
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  backend.renewals.reply = () => ({ outcome: "lost", reason: "forced" });
  backend.abandons.reply = null;
  await clock.pass(3_060); // the time is over while it is given back
  for (const abandon of backend.abandons.waiting) abandon.answer(released);
  backend.abandons.reply = () => released;
  await clock.pass(10);
  expect(set.state).toBe("rejected");
  expect(set.error).toBeInstanceOf(WaitTimeoutError);
  expect(set.error).toMatchObject({ waitMs: 3_050 });
  expect(backend.sets.waiting).toHaveLength(0);
  await close();
});

test("a try that had no answer and is then refused has a last word for every key, before the set stands in line", async () => {
  const { backend, locker, close } = openFake({ waitMs: 60_000, requestTimeoutMs: 1_000 });
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  backend.sets.take().fail(noAnswer());
  await clock.pass(20);
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 0));
  await settle();
  const askedEarly = backend.sets.waiting.length + backend.attempts.waiting.length + backend.abandons.waiting.length;
  await clock.pass(1_100); // now the server refuses the attempt that had no answer
  const words = backend.abandons.waiting.map(({ request }) => [request.key, request.isDoubted]);
  const askedBefore = backend.sets.waiting.length + backend.attempts.waiting.length;
  for (const abandon of backend.abandons.waiting) abandon.answer(gone);
  await settle();
  const prefix = backend.sets.take();
  prefix.answer(answer(backend, prefix.request, 2));
  await settle();
  expect([askedEarly, askedBefore]).toEqual([0, 0]);
  expect(words).toEqual([
    ["a", true],
    ["b", true],
  ]);
  expect(prefix.request.takesPrefix).toBe(true);
  expect(set.result.held).toBe(true);
  await close();
});

test("a repeated request has the same tokens, and its grants are the set's", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  const set = watch(locker.tryAcquireAll(["a", "b"]), "the set");
  await settle();
  const first = backend.sets.take();
  first.fail(noAnswer());
  await clock.pass(20);
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 2));
  await settle();
  expect(again.request.items.map(({ token }) => token)).toEqual(first.request.items.map(({ token }) => token));
  expect(again.request.notAfterMs).toBe(first.request.notAfterMs);
  expect((set.result as LockSet).held).toBe(true);
  await close();
});

test("a signal ends it at once while its request is under way; what that is granted later is given back", async () => {
  const { backend, locker, close } = openFake();
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
  await settle();
  const asked = backend.sets.take();
  controller.abort("enough");
  await settle();
  const before = [set.state, set.error, backend.abandons.waiting.length];
  asked.answer(answer(backend, asked.request, 2));
  await settle();
  const words = backend.abandons.waiting.map(({ request }) => request.key);
  expect(before).toEqual(["rejected", "enough", 0]);
  expect(words).toEqual(["a", "b"]);
  expect(locker.locks()).toEqual([]);
  for (const abandon of backend.abandons.waiting) abandon.answer(released);
  await close();
});

test("a row that is locked makes it ask again, twice within some 20 ms; then a try is refused", async () => {
  const { backend, locker, close } = openFake();
  backend.sets.reply = (request) => answer(backend, request, 0, "busy");
  const set = watch(locker.tryAcquireAll(["a", "b"]), "the set");
  await clock.pass(40);
  expect(set.result).toBeNull();
  expect(backend.sets.count).toBe(3);
  await close();
});

test("without an answer a try ends after requestTimeoutMs", async () => {
  const { backend, locker, close } = openFake({ requestTimeoutMs: 1_000 });
  const set = watch(locker.tryAcquireAll(["a", "b"]), "the set");
  await clock.pass(1_001);
  expect(set.state).toBe("rejected");
  expect(set.error).toBeInstanceOf(UnavailableError);
  backend.sets.take().fail(noAnswer());
  backend.abandons.reply = () => gone;
  await clock.pass(2_000);
  expect(backend.abandons.count).toBe(2);
  await close();
});

test("all are held only when a session that was replaced meanwhile has proven them", async () => {
  const { backend, set, waiting, close } = await waitingForC();
  waiting.answer(backend.granted(9_000));
  await settle();
  const last = backend.attempts.take();
  backend.reconnect();
  last.answer(backend.granted(9_000));
  await settle();
  const before = set.state;
  await clock.pass(1); // the renewals are due
  for (const renewal of backend.renewals.waiting) renewal.answer(backend.renewed(9_000));
  await clock.pass(20);
  expect(before).toBe("pending");
  expect(set.result.held).toBe(true);
  await close();
});

test("the locker's onLost is told of a loss once the set is held, and the signal with the key", async () => {
  const lost: string[] = [];
  const { backend, locker, close } = openFake({ ttlMs: 9_000, onLost: ({ key }) => lost.push(key) });
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  const asked = backend.sets.take();
  asked.answer(answer(backend, asked.request, 2));
  await settle();
  const { signal } = set.result;
  backend.renewals.reply = ({ key }) => (key === "b" ? { outcome: "lost", reason: "taken" } : backend.renewed(9_000));
  backend.abandons.reply = () => gone;
  await clock.pass(3_100);
  expect(lost).toEqual(["b"]);
  expect(signal.reason).toBeInstanceOf(LeaseLostError);
  expect(signal.reason).toMatchObject({ key: "b", reason: "taken" });
  await close();
});

test("the first wait that is refused is a timeout that names its key", async () => {
  const { backend, set, waiting, close } = await waitingForC(2_000);
  waiting.answer(backend.queued());
  backend.looks.reply = () => backend.queued();
  await clock.pass(2_100);
  expect(set.error).toMatchObject({ name: "WaitTimeoutError", key: "c", waitMs: 2_000 });
  expect(backend.abandons.count).toBe(3);
  await close();
});

test("it ends within waitMs and requestTimeoutMs, however late the answers are and whatever is left to be given back", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 1_000, requestTimeoutMs: 5_000 });
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  backend.sets.take().fail(noAnswer()); // so there may be something to be given back
  await clock.pass(4_000);
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 0));
  await clock.pass(1_900);
  const before = set.state;
  await clock.pass(200);
  expect([before, set.error]).toEqual(["pending", expect.any(WaitTimeoutError)]);
  await close();
});

test("it does not stand in line when waitMs is over: who was in the way is told", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 1_000, requestTimeoutMs: 5_000 });
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  const tried = backend.sets.take();
  tried.answer(answer(backend, tried.request, 0));
  await settle();
  const prefix = backend.sets.take();
  await clock.pass(1_500);
  prefix.answer(answer(backend, prefix.request, 0));
  await settle();
  expect(backend.attempts.waiting).toHaveLength(0);
  expect(set.error).toMatchObject({ code: "wait-timeout", key: "a", holder: { owner: holder().owner } });
  await close();
});

test("what it gives back is freed at once, although an attempt without an answer holds up the last word", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 60_000, requestTimeoutMs: 5_000 });
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b", "c"], { signal: controller.signal, minHoldMs: 1_000 }), "the set");
  await settle();
  const tried = backend.sets.take();
  tried.answer(answer(backend, tried.request, 0));
  await settle();
  backend.sets.take().fail(noAnswer());
  await clock.pass(20);
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 2));
  await settle();
  controller.abort();
  await settle();
  expect(set.state).toBe("rejected");
  const behind = watch(locker.acquire("a"), "one that waits");
  await settle();
  backend.attempts.take().answer(backend.queued());
  await settle();
  const tokens = again.request.items.map(({ token }) => token);
  const early = backend.abandons.waiting.map(({ request }) => request.token);
  for (const asked of [...backend.abandons.waiting]) asked.answer(released);
  await settle();
  backend.looks.take().answer(backend.granted(60_000)); // it was woken
  await settle();
  expect(behind.state).toBe("resolved");
  await clock.pass(5_100);
  const late = backend.abandons.waiting.map(({ request }) => request.token);
  for (const asked of backend.abandons.waiting) asked.answer(gone);
  expect([early, late.toSorted()]).toEqual([tokens.slice(0, 2), tokens.toSorted()]);
  await close();
});

test("a last word frees what could not be freed at once", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 60_000, requestTimeoutMs: 5_000 });
  const controller = new AbortController();
  const set = watch(locker.acquireAll(["a", "b"], { signal: controller.signal }), "the set");
  await settle();
  backend.sets.take().fail(noAnswer());
  await clock.pass(20);
  const again = backend.sets.take();
  again.answer(answer(backend, again.request, 1));
  await settle();
  controller.abort();
  expect(backend.abandons.waiting.map(({ request }) => request.key)).toEqual(["a"]);
  for (const asked of [...backend.abandons.waiting]) asked.fail(noAnswer());
  await clock.pass(5_100);
  expect(set.state).toBe("rejected");
  expect(backend.abandons.waiting.map(({ request }) => request.key).toSorted()).toEqual(["a", "b"]);
  for (const asked of backend.abandons.waiting) asked.answer(gone);
  await close();
});

test("a set whose session does not come back is not waited for longer than that", async () => {
  const { backend, locker, close } = openFake({ ttlMs: 60_000, waitMs: 1_000, requestTimeoutMs: 5_000 });
  backend.abandons.reply = () => released;
  const set = watch(locker.acquireAll(["a", "b"]), "the set");
  await settle();
  backend.presence.isBelieved = false;
  const tried = backend.sets.take();
  tried.answer(answer(backend, tried.request, 2));
  await clock.pass(5_900);
  const before = set.state;
  await clock.pass(200);
  expect([before, set.error]).toEqual(["pending", expect.any(UnavailableError)]);
  backend.presence.isBelieved = true;
  await close();
});
