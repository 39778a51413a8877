// Sets of two lockers over a network that delays, loses and reorders, and of one store that is asked for one key at a time: every call ends in
// time, nobody holds a key beside somebody else, and nothing is left. Chance is seeded: LEASEHOLD_SEED=<the seed that was printed>.
import { expect, test } from "vitest";
import { backoffBy } from "../../src/config/backoff.js";
import type { LockSet } from "../../src/index.js";
import type { Locker } from "../../src/locker/locker.js";
import { chooseSeed, randomFrom } from "../support/random.js";
import { clock } from "./manual-clock.js";
import { openFake } from "./open.js";
import { watch } from "./outcome.js";
import { SimulatedServer, weathers } from "./simulated-server.js";

const KEYS = ["a", "b", "c", "d"];
const ROUNDS = 300;
const REQUEST_MS = 2_000;
/** For pauses and a last word's own rounding. */
const LITTLE_MS = 100;

test.each(weathers(5_000, 4_000))("sets over %s", async (name, weather) => {
  const random = randomFrom(chooseSeed(name));
  const server = new SimulatedServer(random);
  Object.assign(server.weather, weather);
  // A long one shows what is left behind; a short one loses parts.
  const ttlMs = random() < 0.5 ? 6_000 : 60_000;
  const lockers = [true, false, false].map((keepsOrder, index) => {
    const backend = server.connect({ keepsOrder });
    if (index === 2) Object.assign(backend, { acquireAll: null });
    const options = { ttlMs, waitMs: 4_000, requestTimeoutMs: REQUEST_MS, onError: () => undefined };
    return openFake(options, backend);
  });
  const backoff = backoffBy(random);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const calls: { readonly what: string; readonly outcome: ReturnType<typeof watch<unknown>> }[] = [];
  const late: string[] = [];
  const call = (what: string, promise: Promise<unknown>, boundMs: number) => {
    const atMs = clock.monotonicMs;
    const check = (): void => {
      const ms = clock.monotonicMs - atMs;
      if (ms > boundMs + LITTLE_MS) late.push(`${what} took ${ms} of ${boundMs} ms`);
    };
    calls.push({ what, outcome: watch(promise, what) });
    promise.then(check, check);
  };
  let sets = 0;
  const use = (set: LockSet | null): void => {
    if (set === null) return;
    sets += 1;
    for (const lock of set.locks) {
      if (lock.held) expect(server.holder(lock.key)?.fence, `granted ${lock.key}`).toBe(lock.fence);
    }
    due.push({
      atMs: clock.monotonicMs + random() * 2_000,
      work: () => call("release", set.release(), REQUEST_MS),
    });
  };
  const due: { readonly atMs: number; readonly work: () => void }[] = [];
  const act = (locker: Locker): void => {
    const keys = KEYS.filter(() => random() < 0.5);
    if (keys.length === 0) keys.push("a");
    keys.sort(() => random() - 0.5);
    const kind = random();
    const keepAlive = random() < 0.5;
    if (kind < 0.6) {
      const controller = new AbortController();
      const retry = random() < 0.7 ? undefined : backoff.exponential(50, { retries: Math.floor(random() * 10) });
      const waitMs = Math.floor(random() * 6_000);
      const maxHoldMs = random() < 0.3 ? 6_500 : undefined;
      const minHoldMs = random() < 0.3 ? 100 : undefined;
      const options = { signal: controller.signal, keepAlive, waitMs, retry, maxHoldMs, minHoldMs };
      call(`acquireAll(${keys})`, locker.acquireAll(keys, options).then(use), waitMs + REQUEST_MS);
      if (random() < 0.4) due.push({ atMs: clock.monotonicMs + random() * 3_000, work: () => controller.abort() });
    } else {
      call(`tryAcquireAll(${keys})`, locker.tryAcquireAll(keys, { keepAlive }).then(use), REQUEST_MS);
    }
  };

  for (let round = 0; round < ROUNDS; round += 1) {
    act(pick(lockers).locker);
    await clock.pass(random() ** 2 * 2_000);
    for (const one of due.filter(({ atMs }) => atMs <= clock.monotonicMs)) {
      due.splice(due.indexOf(one), 1);
      one.work();
    }
    for (const key of KEYS) {
      const holders = lockers.map(({ locker }) => locker.get(key)).filter((lock) => lock?.held);
      expect(holders.length, `round ${round}, ${key}`).toBeLessThanOrEqual(1);
      if (holders[0] !== undefined) expect(server.holder(key)?.fence, `round ${round}, ${key}`).toBe(holders[0].fence);
    }
  }

  Object.assign(server.weather, { lossThere: 0, lossBack: 0, refusal: 0, maxDelayMs: 20 });
  await clock.pass(5_000);
  while (due.length > 0) due.pop()?.work();
  // Not so long that what was left would have expired by itself: each renewal would have to be the holder's.
  await clock.pass(4_500);
  expect(calls.filter(({ outcome }) => outcome.state === "pending").map(({ what }) => what)).toEqual([]);
  for (const { what, outcome } of calls) {
    const { state, error } = outcome;
    if (state !== "rejected") continue;
    const code = String((error as { code?: unknown }).code);
    const isExpected =
      error instanceof DOMException || /^(unavailable|wait-timeout|retries-exhausted|lease-lost|not-held)$/.test(code);
    expect(isExpected, `${what}: ${error}`).toBe(true);
  }
  expect(late).toEqual([]);
  expect(sets).toBeGreaterThan(3);
  const believed = lockers.flatMap(({ locker }) => locker.locks().map(({ key }) => `lease of ${key}`));
  expect(server.left().filter((what) => !believed.includes(what))).toEqual([]);
  for (const { locker } of lockers) {
    const closed = watch(locker.close(), "close");
    await clock.pass(30_000);
    closed.result;
  }
  expect(clock.keepingAlive).toBe(0);
  expect(server.left()).toEqual([]);
});
