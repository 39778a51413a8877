// What `close` ends, waits for and tells, whatever code of the user's does meanwhile.
import { expect, test } from "vitest";
import type { Lock } from "../../src/index.js";
import { UnavailableError } from "../../src/index.js";
import { gone, noAnswer, released } from "./fake-backend.js";
import { clock, settle } from "./manual-clock.js";
import { type Opened, openFake } from "./open.js";
import { watch } from "./outcome.js";

async function hold({ locker, backend }: Opened, key: string, ttlMs: number): Promise<Lock> {
  const call = watch(locker.acquire(key, { ttlMs }));
  await settle();
  backend.attempts.take().answer(backend.granted(ttlMs));
  await settle();
  return call.result;
}

test("close() releases every lock, although onLost of one that it finds expired releases another", async () => {
  const locks = new Map<string, Lock>();
  const opened = openFake({
    keepAlive: false,
    onError: () => undefined,
    onLost: ({ key }) => void (key === "a" && watch(locks.get("b")?.release() as Promise<void>, "b's release")),
  });
  const { locker, backend } = opened;
  for (const [key, ttlMs] of [
    ["a", 1_000],
    ["b", 60_000],
    ["c", 60_000],
    ["d", 60_000],
  ] as const) {
    locks.set(key, await hold(opened, key, ttlMs));
  }
  backend.releases.reply = () => released;
  backend.abandons.reply = () => gone;
  const closed = watch(locker.close(), "close");
  clock.block(2_000); // the event loop is late: nobody has noticed yet that "a" has expired
  await clock.pass(10_000);
  closed.result;
  expect(locker.locks().map(({ key }) => key)).toEqual([]);
  expect(backend.releases.count).toBe(3);
});

test("a lock that a listener releases in order while the locker begins to close is no loss", async () => {
  const opened = openFake({ keepAlive: false });
  const { locker, backend } = opened;
  const a = await hold(opened, "a", 60_000);
  const b = await hold(opened, "b", 60_000);
  backend.releases.reply = () => released;
  const { signal } = b;
  let release = watch(Promise.resolve());
  a.signal.addEventListener("abort", () => {
    release = watch(b.release(), "b's release");
  });
  const closed = watch(locker.close(), "close");
  await clock.pass(10_000);
  closed.result;
  release.result;
  expect(signal.aborted).toBe(false);
});

test("close() waits for the last word of an acquire whose failure is still being explained", async () => {
  const { locker, backend } = openFake({ requestTimeoutMs: 1_000, waitMs: 0, onError: () => undefined });
  backend.explain = async (error) => {
    await backend.clock.sleep(250);
    return error;
  };
  const call = watch(locker.acquire("a"));
  await settle();
  const attempt = backend.attempts.take();
  await clock.pass(1_000);
  expect(call.state).toBe("pending"); // what was in its way is asked for
  backend.abandons.reply = () => released;
  const closed = watch(locker.close(), "close");
  await clock.pass(100);
  attempt.answer(backend.granted()); // it was granted after all
  await clock.pass(5_000);
  closed.result;
  expect(call.error).toBeInstanceOf(UnavailableError);
  expect(backend.abandons.count).toBe(1);
});

test("a locker that was closed while it rested does not sweep again when a keep-alive of long ago is stopped", async () => {
  const opened = openFake({ idleTimeoutMs: 1_000, sweepEveryMs: 10_000, ttlMs: 60_000 });
  const { locker, backend } = opened;
  let sweeps = 0;
  backend.sweep = () => {
    sweeps += 1;
    return Promise.reject(noAnswer());
  };
  const lock = await hold(opened, "a", 60_000);
  const stop = lock.keepAlive();
  backend.releases.reply = () => released;
  const release = watch(lock.release());
  await clock.pass(3_000);
  release.result;
  expect(backend.rests).toBe(1);
  const closed = watch(locker.close(), "close");
  await clock.pass(1_000);
  closed.result;
  const stopped = watch(stop(), "stop");
  await clock.pass(60_000);
  stopped.result;
  expect([sweeps, clock.timers]).toEqual([0, 0]);
});

test("lead that pauses after a loss is told at once that the locker closes", async () => {
  const { locker, backend } = openFake({ keepAlive: false, onError: () => undefined, onLost: () => undefined });
  const lead = watch(
    locker.lead("a", (_, signal) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())), {
      retry: () => 60_000,
    }),
    "lead",
  );
  await settle();
  const { token } = (backend.attempts.waiting[0] as NonNullable<(typeof backend.attempts.waiting)[0]>).request;
  const grant = backend.granted();
  backend.attempts.take().answer(grant);
  backend.abandons.reply = () => released;
  backend.releases.reply = () => released;
  await settle();
  backend.lose({ key: "a", token, fence: grant.fence }, "forced");
  await settle();
  const other = watch(locker.acquire("b"));
  await settle();
  backend.attempts.take().answer(backend.granted(100_000));
  await settle();
  const closed = watch(locker.close({ drainMs: 20_000 }), "close");
  await clock.pass(1_000);
  const { state } = lead;
  await clock.pass(30_000);
  other.result;
  closed.result;
  expect(state).toBe("rejected");
});
