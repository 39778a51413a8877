// Two lockers over a network that delays, loses and reorders: nobody holds a key beside somebody else, every call ends, and nothing is
// left. Chance is seeded: LEASEHOLD_SEED=<the seed that was printed>.
import { expect, test } from "vitest";
import { backoffBy } from "../../src/config/backoff.js";
import type { Lock } from "../../src/index.js";
import type { Locker } from "../../src/locker/locker.js";
import { chooseSeed, randomFrom } from "../support/random.js";
import { clock } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";
import { SimulatedServer, weathers } from "./simulated-server.js";

const KEYS = ["a", "b", "c"];
const ROUNDS = 600;

test.each(weathers(9_000, 6_000))("over %s", async (name, weather) => {
  const random = randomFrom(chooseSeed(name));
  const server = new SimulatedServer(random);
  Object.assign(server.weather, weather);
  const lockers = [true, false].map((keepsOrder) =>
    openFake({ ttlMs: 4_000, waitMs: 8_000, onError: () => undefined }, server.connect({ keepsOrder })),
  );
  const backoff = backoffBy(random);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const calls: { readonly what: string; readonly outcome: ReturnType<typeof watch<unknown>> }[] = [];
  const call = (what: string, promise: Promise<unknown>) => calls.push({ what, outcome: watch(promise, what) });

  const fences = new Set<bigint>();
  const use = ({ fence }: Lock): void => {
    expect(fences.has(fence), "two locks with one fence").toBe(false);
    fences.add(fence);
  };
  const act = (locker: Locker): void => {
    const key = pick(KEYS);
    const kind = random();
    const held = locker.get(key);
    if (held !== undefined && kind < 0.5) {
      call("release", held.release());
    } else if (held !== undefined && kind < 0.6) {
      call("renew", held.renew(Math.floor(2_000 + random() * 4_000)));
    } else if (kind < 0.75) {
      const controller = new AbortController();
      const retry = random() < 0.5 ? undefined : backoff.exponential(50, { retries: Math.floor(random() * 10) });
      const waitMs = Math.floor(random() * 8_000);
      const options = { signal: controller.signal, keepAlive: random() < 0.5, waitMs, retry };
      call("acquire", locker.acquire(key, options).then(use));
      if (random() < 0.4) void clockTimeout(random() * 3_000, () => controller.abort());
    } else {
      call(
        "tryAcquire",
        locker.tryAcquire(key, { keepAlive: random() < 0.5 }).then((lock) => lock && use(lock)),
      );
    }
  };
  const due: { readonly atMs: number; readonly work: () => void }[] = [];
  const clockTimeout = (ms: number, work: () => void) => due.push({ atMs: clock.monotonicMs + ms, work });

  for (let round = 0; round < ROUNDS; round += 1) {
    act(pick(lockers).locker);
    await clock.pass(random() ** 2 * 500);
    for (const { work } of due.filter(({ atMs }) => atMs <= clock.monotonicMs)) work();
    for (let n = due.length - 1; n >= 0; n -= 1) {
      if ((due[n]?.atMs ?? 0) <= clock.monotonicMs) due.splice(n, 1);
    }
    for (const key of KEYS) {
      const holders = lockers.map(({ locker }) => locker.get(key)).filter((lock) => lock?.held);
      expect(holders.length, `round ${round}, ${key}`).toBeLessThanOrEqual(1);
      // What is believed to be held is held.
      if (holders[0] !== undefined) expect(server.holder(key)?.fence, `round ${round}, ${key}`).toBe(holders[0].fence);
    }
  }

  // The network recovers, and everybody gets what they wait for, or their time is up.
  Object.assign(server.weather, { lossThere: 0, lossBack: 0, refusal: 0, maxDelayMs: 20 });
  await clock.pass(20_000);
  expect(calls.filter(({ outcome }) => outcome.state === "pending").map(({ what }) => what)).toEqual([]);
  for (const { what, outcome } of calls) {
    const { state, error } = outcome;
    if (state === "rejected") {
      const isExpected =
        error instanceof DOMException ||
        /^(unavailable|wait-timeout|retries-exhausted|lease-lost|not-held)$/.test(
          String((error as { code?: unknown }).code),
        );
      expect(isExpected, `${what}: ${error}`).toBe(true);
    }
  }
  expect(fences.size).toBeGreaterThan(3);
  // What is still there belongs to somebody: nothing has leaked.
  const believed = lockers.flatMap(({ locker }) => locker.locks().map(({ key }) => `lease of ${key}`));
  await clock.pass(10_000);
  expect(server.left().filter((what) => !believed.includes(what))).toEqual([]);
  for (const { locker } of lockers) {
    const closed = watch(locker.close(), "close");
    await clock.pass(30_000);
    closed.result;
  }
  expect(server.left()).toEqual([]);
});
