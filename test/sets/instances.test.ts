// Sets over several instances, and over stores that ask for one key at a time.
import { expect, onTestFinished, test } from "vitest";
import {
  ClosedError,
  createLocker,
  type Locker,
  type LockerOptions,
  UnavailableError,
  UnsupportedError,
  WaitTimeoutError,
} from "../../src/index.js";
import { Router } from "../../src/instances/router.js";
import { memoryStore, noopStore, type StoreFactory } from "../../src/store.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { seeded } from "../support/random.js";
import { storeWith } from "../support/store-with.js";
import { until } from "../support/until.js";

const names = ["east", "west"];
const router = new Router(names.map((name) => ({ name, weight: 1, target: name })));

/** Keys in the order of their bytes that are on these instances. */
function keysOn(...wanted: readonly string[]): string[] {
  const keys: string[] = [];
  for (let number = 1_000; keys.length < wanted.length; number += 1) {
    if (router.of(`order:${number}`) === wanted[keys.length]) keys.push(`order:${number}`);
  }
  return keys;
}

function open(stores: Readonly<Record<string, StoreFactory>>, options: LockerOptions = {}): Locker {
  const instances = Object.fromEntries(names.map((name) => [name, { store: stores[name] as StoreFactory }]));
  const locker = createLocker({ waitMs: 30_000, requestTimeoutMs: 1_000, instances, ...options });
  onTestFinished(() => locker.close().catch(() => undefined));
  return locker;
}

const memory = () => ({ east: memoryStore(), west: memoryStore() });
const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

test("a set holds its keys on each of their instances, and gives them back", async () => {
  const stores = memory();
  const [locker, other] = [open(stores), open(stores)];
  const keys = keysOn("east", "west", "east", "west");
  const set = await locker.acquireAll([...keys].reverse());
  const on = set.locks.map(({ key, instance }) => [key, instance]);
  const none = await other.tryAcquireAll(keys.slice(1, 3));
  const tried = await other.tryWithLocks(["zzz", ...keys.slice(1, 3)], () => 1);
  const held = locker.locks().length;
  await set.release();
  const free = await other.tryWithLocks(keys, (locks) => locks.held);
  expect(on).toEqual([...keys].reverse().map((key) => [key, router.of(key)]));
  expect(none).toBeNull();
  expect(tried).toMatchObject({ acquired: false, holder: { isThisProcess: false } });
  expect(keys.slice(1, 3)).toContain(tried.acquired ? null : tried.key);
  expect(held).toBe(4);
  expect(free).toMatchObject({ value: true });
});

test("a set that waits holds no key that is larger than the one that it waits for, also on another instance", async () => {
  const stores = memory();
  const [holder, locker, other] = [open(stores), open(stores), open(stores)];
  const [first, second, third, fourth] = keysOn("east", "west", "east", "west") as [string, string, string, string];
  const held = await holder.acquire(second);
  const waiting = locker.acquireAll([fourth, third, second, first]);
  await until("it waits", async () => ((await other.check(second))?.waiters ?? 0) > 0);
  const state = await Promise.all([first, third, fourth].map((key) => other.isLocked(key)));
  await held.release();
  await (await waiting).release();
  expect(state).toEqual([true, false, false]);
});

test("two sets over two instances, named in opposite order, never wait for each other", async () => {
  const [one, two] = await Promise.all([startCluster({ ownIdentity: true }), startCluster({ ownIdentity: true })]);
  onTestFinished(async () => {
    await Promise.all([one.destroy(), two.destroy()]);
  });
  const [east, west] = await Promise.all([createDatabase({ on: one }), createDatabase({ on: two })]);
  const openRouted = () =>
    createLocker({ waitMs: 120_000, instances: { east: { url: east.url }, west: { url: west.url } } });
  const lockers = [openRouted(), openRouted()];
  const random = seeded("sets over two instances");
  const keys = keysOn("west", "east", "west", "east", "east", "west");
  let meals = 0;
  const eat = async (locker: Locker, isReversed: boolean) => {
    for (let meal = 0; meal < 10; meal += 1) {
      const wanted = keys.filter(() => random() < 0.5);
      const some = wanted.length === 0 ? keys : wanted;
      const set = await locker.acquireAll(isReversed ? [...some].reverse() : some);
      set.assertHeld();
      meals += 1;
      await set.release();
    }
  };
  await Promise.all(lockers.flatMap((locker, index) => [eat(locker, index === 0), eat(locker, index === 1)]));
  const set = await (lockers[0] as Locker).acquireAll(keys);
  const elsewhere = await errorOf(set.transaction(east.sql, () => undefined));
  const own = await set.get(keys[1] as string)?.transaction(east.sql, () => "guarded");
  await set.release();
  await Promise.all(lockers.map((locker) => locker.close()));
  expect(meals).toBe(40);
  expect(elsewhere).toBeInstanceOf(UnsupportedError);
  expect(own).toBe("guarded");
});

test("an instance that cannot be reached fails the set, and what it had elsewhere is given back", async () => {
  const stores = memory();
  const away: StoreFactory = (context) => {
    const fail = () => Promise.reject(new UnavailableError({ message: "the network is away" }));
    return storeWith(memoryStore()(context), { open: fail, ping: fail });
  };
  const locker = open({ ...stores, west: away });
  const other = open(stores);
  const keys = keysOn("east", "west", "east");
  const tried = await errorOf(locker.tryAcquireAll(keys));
  const waited = await errorOf(locker.acquireAll(keys, { waitMs: 500 }));
  const free = await other.tryWithLocks([keys[0] as string, keys[2] as string], () => "free");
  const rest = await locker.withLocks([keys[0] as string, keys[2] as string], () => "reached");
  expect(tried).toBeInstanceOf(UnavailableError);
  expect(waited).toBeInstanceOf(UnavailableError);
  expect(free).toMatchObject({ value: "free" });
  expect(rest).toBe("reached");
});

test.each([
  ["memory", memoryStore],
  ["noop", noopStore],
] as const)("over the store %s, which asks for one key at a time, sets are as anywhere", async (name, make) => {
  const store = make();
  const openOne = () => {
    const locker = createLocker({ store, waitMs: 30_000, reentry: "throw" });
    onTestFinished(() => locker.close());
    return locker;
  };
  const [locker, other] = [openOne(), openOne()];
  const set = await locker.acquireAll(["b", "a", "b"]);
  const isTaken = (await other.tryAcquireAll(["0", "b"])) === null;
  const waiting = other.acquireAll(["a", "c"]);
  const late = await errorOf(other.acquireAll(["b", "d"], { waitMs: 50 }));
  const d = await locker.tryWithLock("d", () => "free");
  await set.release();
  const theirs = await waiting;
  const keys = theirs.locks.map(({ key }) => key);
  await theirs.release();
  expect(set.locks.map(({ key }) => key)).toEqual(["b", "a"]);
  expect(isTaken).toBe(name === "memory");
  expect(late instanceof WaitTimeoutError && late.key === "b").toBe(name === "memory");
  expect(d).toMatchObject({ value: "free" });
  expect(keys).toEqual(["a", "c"]);
});

test("a locker over instances that is closed refuses sets, and ends those that wait", async () => {
  const stores = memory();
  const [holder, locker] = [open(stores), open(stores)];
  const [first, second] = keysOn("east", "west") as [string, string];
  const held = await holder.acquire(second);
  const waiting = errorOf(locker.acquireAll([first, second]));
  await until("it waits", async () => ((await holder.check(second))?.waiters ?? 0) > 0);
  await locker.close();
  const free = await holder.tryWithLock(first, () => "free");
  const refused = await errorOf(locker.tryAcquireAll([first]));
  await held.release();
  expect(await waiting).toBeInstanceOf(ClosedError);
  expect(free).toMatchObject({ value: "free" });
  expect(refused).toBeInstanceOf(ClosedError);
});
