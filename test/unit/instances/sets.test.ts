// Several keys over several instances: who tells what.
import { expect, test } from "vitest";
import { resolveLockerOptions } from "../../../src/config/resolve-options.js";
import { type LockerOptions, UnavailableError } from "../../../src/index.js";
import { Router } from "../../../src/instances/router.js";
import { RoutedLocker } from "../../../src/locker/routed-locker.js";
import { StoreLocker } from "../../../src/locker/store-locker.js";
import type { AcquireAllAnswer } from "../../../src/store/messages.js";
import { FakeBackend, gone, holder, noAnswer, notSent, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { watch } from "../outcome.js";
import { answer } from "../set-answers.js";

/** A locker over two instances, and a key of each: the first is the smaller. */
function openTwo(options: LockerOptions = {}) {
  const backends = { one: new FakeBackend(), two: new FakeBackend() };
  const instances = (["one", "two"] as const).map((name) => {
    const resolved = resolveLockerOptions(
      {
        url: "postgres://app@db.example/app",
        idleTimeoutMs: Number.POSITIVE_INFINITY,
        sweepEveryMs: Number.POSITIVE_INFINITY,
        statsFlushMs: Number.POSITIVE_INFINITY,
        ...options,
      },
      {},
      name,
    );
    return { name, weight: 1, locker: new StoreLocker(resolved, (events) => backends[name].listen(events)) };
  });
  const locker = new RoutedLocker(instances, "");
  const keys = Array.from({ length: 50 }, (_, index) => `k${String(index).padStart(2, "0")}`);
  const { one, two } = Object.fromEntries(instances.map((instance) => [instance.name, instance.locker])) as Record<
    "one" | "two",
    StoreLocker
  >;
  const router = new Router(
    instances.map(({ name, weight }) => ({ name, weight, target: name })),
    "",
  );
  const isOnOne = (key: string): boolean => router.of(key) === "one";
  const first = keys.find(isOnOne) as string;
  const second = keys.find((key) => key > first && !isOnOne(key)) as string;
  const close = async (): Promise<void> => {
    for (const backend of Object.values(backends)) {
      backend.releases.reply ??= () => released;
      backend.abandons.reply ??= () => gone;
    }
    const closed = watch(locker.close(), "close");
    await clock.pass(20_000);
    closed.result;
  };
  return { locker, one, two, backends, first, second, close };
}

test("over several instances a refusal is told by the locker of its key", async () => {
  const { locker, one, two, backends, first, second, close } = openTwo({ waitMs: 1_000 });
  expect([one.instances, two.instances]).toEqual([["one"], ["two"]]);
  const { sessionId } = backends.one.presence;
  backends.two.presence.sessionId = 8; // numbers of sessions mean nothing beyond their database
  const held2 = { outcome: "held" as const, holder: { ...holder(), sessionId } };
  for (const backend of Object.values(backends)) {
    backend.abandons.reply = () => released;
  }
  const set = watch(locker.acquireAll([first, second]), "the set");
  await settle();
  backends.one.sets.reply = (request) => answer(backends.one, request, 1);
  backends.one.attempts.reply = () => backends.one.granted();
  const refuse = (): AcquireAllAnswer => ({ outcome: "answered", grants: [], missing: { index: 0, answer: held2 } });
  backends.two.sets.reply = refuse;
  backends.two.attempts.reply = () => ({ ...backends.two.queued(), holder: held2.holder });
  backends.two.looks.reply = () => ({ ...backends.two.queued(), holder: held2.holder });
  for (const asked of [...backends.one.sets.waiting]) asked.answer(answer(backends.one, asked.request, 1));
  await clock.pass(3_000);
  expect(set.error).toMatchObject({ code: "wait-timeout", key: second, holder: { isThisProcess: false } });
  await close();
});

test("an outage of the second instance is told once, although the first one answers", async () => {
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const { locker, backends, first, second, close } = openTwo({ waitMs: 20_000, requestTimeoutMs: 1_000, onError });
  backends.one.abandons.reply = () => released;
  backends.one.sets.reply = (request) => answer(backends.one, request, request.items.length);
  backends.two.sets.reply = () => notSent();
  const set = watch(locker.acquireAll([first, second]), "the set");
  await clock.pass(23_000);
  expect(set.error).toBeInstanceOf(UnavailableError);
  expect(errors).toHaveLength(1);
  await close();
});

test("what the second instance does not answer is explained by that one", async () => {
  const { locker, backends, first, second, close } = openTwo({ requestTimeoutMs: 1_000 });
  const explained: string[] = [];
  for (const name of ["one", "two"] as const) {
    backends[name].explain = async (error) => {
      explained.push(name);
      return error;
    };
  }
  backends.one.abandons.reply = () => released;
  backends.one.sets.reply = (request) => answer(backends.one, request, request.items.length);
  const set = watch(locker.tryAcquireAll([first, second]), "the set");
  await clock.pass(1_100);
  expect(set.error).toBeInstanceOf(UnavailableError);
  backends.two.sets.take().fail(noAnswer());
  expect(explained).toEqual(["two"]);
  await close();
});

test("what the second instance could not release is told, although the first one has an outage that was told of", async () => {
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const { locker, backends, first, second, close } = openTwo({ requestTimeoutMs: 1_000, ttlMs: 30_000, onError });
  for (const backend of Object.values(backends)) {
    backend.sets.reply = (request) => answer(backend, request, request.items.length);
    backend.abandons.reply = () => released;
  }
  let end = (): void => undefined;
  const set = watch(
    locker.withLocks([first, second], () => new Promise<void>((resolve) => (end = resolve))),
    "the set",
  );
  await clock.pass(10_000); // the renewals of both are due
  backends.one.renewals.take().fail(noAnswer());
  backends.two.renewals.take().answer(backends.two.renewed());
  await settle();
  expect(errors).toHaveLength(1);
  backends.one.releases.reply = () => released;
  backends.two.releases.reply = () => noAnswer();
  end();
  await clock.pass(2_000);
  set.result;
  await close();
  expect(errors).toHaveLength(2);
});
