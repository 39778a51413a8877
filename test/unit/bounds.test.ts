// A call has one bound for all that it asks: connecting, waiting for its turn, and who was in its way.
import { expect, test } from "vitest";
import type { DetachedLock } from "../../src/index.js";
import { busy, noAnswer, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";

const detached: DetachedLock = { key: "a", token: "b9d64f4c-9ae4-4d9a-8f5e-1f9b2f0d6c11", fence: "77", instance: null };

test("adopt takes requestTimeoutMs, and not as much again for what is asked after connecting", async () => {
  const { locker, backend, close } = openFake({ requestTimeoutMs: 1_000 });
  backend.opening = backend.clock.sleep(900);
  const call = watch(locker.adopt(detached), "adopt");
  await clock.pass(1_100);
  const state = call.state;
  await clock.pass(5_000);
  backend.adoptions.take().fail(noAnswer());
  expect(state).toBe("rejected");
  await close();
});

test.each(["ping", "check", "isLocked"] as const)(
  "%s takes requestTimeoutMs, and not as much again for what is asked after connecting",
  async (method) => {
    const { locker, backend, close } = openFake({ requestTimeoutMs: 1_000 });
    backend.opening = backend.clock.sleep(900);
    backend.ping = () => new Promise(() => undefined);
    backend.check = () => new Promise(() => undefined);
    const call = watch<unknown>(locker[method]("a"), method);
    await clock.pass(1_100);
    const state = call.state;
    await clock.pass(5_000);
    expect(state).toBe("rejected");
    await close();
  },
);

test("the last look of a wait ends within requestTimeoutMs of waitMs, however long it waited for its turn", async () => {
  const { locker, backend, close } = openFake({ requestTimeoutMs: 1_000, onError: () => undefined });
  backend.looks.reply = () => backend.queued();
  backend.attempts.reply = () => backend.queued();
  backend.keeps.reply = () => [];
  // 501 behind the first of this process: their last looks take turns.
  const firstOne = watch(locker.acquire("a", { waitMs: 60_000 }), "the first");
  await clock.pass(50);
  const others = Array.from({ length: 501 }, (_, n) =>
    watch(locker.acquire("a", { waitMs: n === 500 ? 510 : 500 }), `${n}`),
  );
  await clock.pass(400);
  backend.looks.reply = null; // Postgres hangs
  backend.keeps.reply = null;
  backend.abandons.reply = () => released;
  await clock.pass(1_150);
  const states = others.map(({ state }) => state);
  await clock.pass(2_000);
  for (const asked of [...backend.looks.waiting]) asked.fail(noAnswer());
  for (const asked of [...backend.keeps.waiting]) asked.fail(noAnswer());
  backend.looks.reply = () => backend.queued();
  await close();
  firstOne.error;
  expect(states.filter((state) => state === "pending")).toEqual([]);
});

test("an acquire that retries does not wait longer than requestTimeoutMs after waitMs for who was in its way", async () => {
  const { locker, backend, close } = openFake({ requestTimeoutMs: 1_000, onError: () => undefined });
  backend.check = () => new Promise(() => undefined);
  const call = watch(locker.acquire("a", { waitMs: 100, retry: () => 50 }));
  await settle();
  const slow = async (ms: number) => {
    const kind = backend.looks.waiting.length > 0 ? backend.looks : backend.attempts;
    await clock.pass(ms);
    kind.take().answer(busy);
    await settle();
  };
  await slow(10);
  await clock.pass(5);
  await slow(5);
  await clock.pass(10);
  await slow(5);
  await clock.pass(50);
  await slow(320);
  await clock.pass(5);
  await slow(320);
  await clock.pass(10);
  await slow(320);
  await clock.pass(60);
  const before = call.state;
  await clock.pass(1_200);
  await close();
  expect(before).toBe("rejected");
});
