// Several shares of one key in one process: which lock is told of, and what ends which.
import { expect, test } from "vitest";
import type { AcquireOptions, Lock } from "../../../src/index.js";
import { gone, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { type Opened, openFake } from "../open.js";
import { type Outcome, watch } from "../outcome.js";

const READ = { shared: true };

function open(): Opened {
  const opened = openFake({ keepAlive: false, ttlMs: 3_600_000 });
  opened.backend.abandons.reply = () => gone;
  return opened;
}

async function hold({ locker, backend }: Opened, options: AcquireOptions, fence?: bigint): Promise<Lock> {
  const call = watch(locker.acquire("a", options));
  // Behind a lock of this process an exclusive call queues at once: its first answer comes to a look.
  await settle();
  const given = fence === undefined ? {} : { fence };
  (backend.attempts.waiting.length > 0 ? backend.attempts : backend.looks)
    .take()
    .answer(backend.granted(3_600_000, given));
  await settle();
  return call.result;
}

test("get tells the oldest, locks all of them, and a release takes only its own away", async () => {
  const opened = open();
  const { locker, backend } = opened;
  backend.releases.reply = () => released;
  const locks = [await hold(opened, READ), await hold(opened, { capacity: 9, weight: 2 }), await hold(opened, READ)];
  expect(locks.map(({ mode, weight }) => [mode, weight])).toEqual([
    ["shared", 1],
    ["semaphore", 2],
    ["shared", 1],
  ]);
  expect(locker.locks("a")).toEqual(locks);
  const told: (Lock | undefined)[] = [];
  for (const lock of locks) {
    told.push(locker.get("a"));
    const ended = watch(lock.release());
    await settle();
    ended.result;
  }
  expect(told).toEqual(locks);
  expect([locker.get("a"), locker.locks()]).toEqual([undefined, []]);
  expect(backend.releases.count).toBe(3);
  await opened.close();
});

test("what the store says of one share ends that one alone", async () => {
  const opened = open();
  const { locker, backend } = opened;
  const tokens: string[] = [];
  const note = (call: Outcome<Lock>): Outcome<Lock> => {
    tokens.push(backend.attempts.waiting[0]?.request.token ?? "");
    return call;
  };
  const calls = [1, 2].map(() => {
    const call = note(watch(locker.acquire("a", READ)));
    backend.attempts.take().answer(backend.granted(3_600_000));
    return call;
  });
  await settle();
  const [first, second] = calls.map((call) => call.result) as [Lock, Lock];
  backend.lose({ key: "a", token: tokens[1] as string, fence: first.fence }, "taken");
  expect([first.held, second.held]).toEqual([true, true]); // no grant has this token and this fence
  backend.lose({ key: "a", token: tokens[1] as string, fence: second.fence }, "forced");
  expect([first.held, second.held]).toEqual([true, false]);
  expect(second.signal.reason).toMatchObject({ reason: "forced" });
  expect(locker.locks()).toEqual([first]);
  await opened.close();
});

test("an exclusive grant ends what was held in shares, and a share what was held alone", async () => {
  const opened = open();
  const { locker } = opened;
  const readers = [await hold(opened, READ), await hold(opened, READ)];
  const alone = await hold(opened, {});
  expect(readers.map(({ held, signal }) => [held, signal.reason?.reason])).toEqual([
    [false, "taken"],
    [false, "taken"],
  ]);
  expect([locker.get("a"), locker.locks("a")]).toEqual([alone, [alone]]);
  // Behind its own lock a reader queues at once, too.
  const reader = await hold(opened, READ);
  expect([alone.held, alone.signal.reason?.reason]).toEqual([false, "taken"]);
  expect([locker.get("a"), locker.locks("a")]).toEqual([reader, [reader]]);
  await opened.close();
});

test("of an exclusive grant and a share the one with the smaller fence has ended, whichever is heard of first", async () => {
  const opened = open();
  const { locker } = opened;
  const reader = await hold(opened, READ, 900n);
  const older = await hold(opened, {}, 800n);
  expect([older.held, reader.held]).toEqual([false, true]);
  expect(locker.locks("a")).toEqual([reader]);
  const newest = await hold(opened, {}, 950n);
  const late = await hold(opened, { capacity: 2 }, 940n);
  expect([reader.held, late.held, newest.held]).toEqual([false, false, true]);
  expect([locker.get("a"), locker.locks("a")]).toEqual([newest, [newest]]);
  await opened.close();
});

test("a timeout names each holder of this process as its own", async () => {
  const opened = open();
  const { locker, backend } = opened;
  const readers = [await hold(opened, READ), await hold(opened, READ)];
  const holders: (boolean | undefined)[] = [];
  for (const fence of [...readers.map((lock) => lock.fence), 7n]) {
    const tried = watch(locker.tryWithLock("a", () => undefined));
    await settle();
    const holder = { owner: "x", fence, weight: 1, sessionId: 99, expiresAtMs: 0 };
    backend.attempts.take().answer({ outcome: "held", holder });
    await settle();
    const result = tried.result;
    holders.push(result.acquired ? undefined : result.holder?.isThisProcess);
  }
  expect(holders).toEqual([true, true, false]);
  await opened.close();
});

test("who waits for a key alone that this process shares is told that nothing is upgraded", async () => {
  const opened = open();
  const { locker, backend } = opened;
  backend.looks.reply = () => backend.queued();
  await hold(opened, READ);
  const upgrade = watch(locker.acquire("a", { waitMs: 100 }));
  const beside = watch(locker.acquire("a", { capacity: 1, waitMs: 100 }));
  await clock.pass(5_000);
  expect(upgrade.error).toMatchObject({ code: "wait-timeout", isHeldHere: true });
  expect((upgrade.error as Error).message).toContain(
    "This process itself shares the key (shared or capacity), and waits for it alone: a lock is never upgraded.",
  );
  expect(beside.error).toMatchObject({ code: "wait-timeout", isHeldHere: true });
  expect((beside.error as Error).message).not.toContain("upgraded");
  await opened.close();
});

test("the code in the body of any share is inside of its key", async () => {
  const opened = openFake({ keepAlive: false, reentry: "throw" });
  const { locker, backend } = opened;
  backend.attempts.reply = () => backend.granted();
  backend.releases.reply = () => released;
  const inner: (() => Promise<unknown>)[] = [];
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const bodies = [1, 2].map(() =>
    watch(
      locker.withLock(
        "a",
        async () => {
          const refused = await locker.acquire("a", READ).catch((error: unknown) => error);
          inner.push(async () => refused);
          await ended;
        },
        READ,
      ),
    ),
  );
  await settle();
  const errors = await Promise.all(inner.map((error) => error()));
  end();
  await settle();
  for (const body of bodies) body.result;
  expect(errors).toMatchObject([{ code: "reentry" }, { code: "reentry" }]);
  await opened.close();
});
