// A loss that nobody listens to is told all the same; a signal may have any number of listeners.
import { expect, onTestFinished, test, vi } from "vitest";
import type { Lock, Locker } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { until } from "../support/until.js";

const database = await createDatabase();

// A copy of the library that has not warned yet: files share processes.
vi.resetModules();
const { openLocker } = await import("../support/lockers.js");

/** What the process is warned of from now on. */
function warnings(): Error[] {
  const seen: Error[] = [];
  const listen = (warning: Error): void => void seen.push(warning);
  process.on("warning", listen);
  onTestFinished(() => void process.off("warning", listen));
  return seen;
}

const unheard = (seen: readonly Error[]) =>
  seen.filter((warning) => "code" in warning && warning.code === "LEASEHOLD_LOCK_LOST");

/** Loses the lock, and waits until that is known. */
async function lose(locker: Locker, lock: Lock): Promise<void> {
  const { lost } = locker.stats();
  await locker.forceRelease(lock.key, { immediate: true });
  await lock.renew().catch(() => undefined);
  await until("it is known", () => locker.stats().lost.forced + locker.stats().lost.taken > lost.forced + lost.taken);
}

/** Warnings are emitted in a later turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

// One after the other: the warning comes once for each process.
test("with an onLost, an onError or a signal that was read, nobody is warned", async () => {
  const seen = warnings();
  const losses: unknown[] = [];
  const errors: unknown[] = [];
  await using listening = openLocker(database, { onLost: (_, error) => losses.push(error) });
  await using reporting = openLocker(database, { onError: (error) => errors.push(error) });
  await using silent = openLocker(database);
  await lose(listening, await listening.acquire("a"));
  await lose(reporting, await reporting.acquire("a"));
  const watched = await silent.acquire("a");
  const { signal } = watched;
  await lose(silent, watched);
  await turn();

  expect(signal.aborted).toBe(true);
  expect(losses).toEqual([expect.objectContaining({ code: "lease-lost", key: "a" })]);
  expect(errors).toEqual([expect.objectContaining({ code: "lease-lost", key: "a" })]);
  expect(unheard(seen)).toEqual([]);
});

test("without any of them the process is warned, once", async () => {
  const seen = warnings();
  await using locker = openLocker(database);
  for (const key of ["a", "b"]) await lose(locker, await locker.acquire(key));
  await using another = openLocker(database);
  await lose(another, await another.acquire("c"));
  await turn();

  expect(unheard(seen)).toHaveLength(1);
  expect(unheard(seen)[0]?.message).toMatch(
    /^Lost the lock on "a" .*The code that held it could not know at once: read lock\.signal there, or give the locker an onLost/,
  );
});

test("a signal may have more than ten listeners", async () => {
  const seen = warnings();
  await using locker = openLocker(database);
  const lock = await locker.acquire("a");
  let heard = 0;
  for (let n = 0; n < 50; n += 1) lock.signal.addEventListener("abort", () => heard++);
  await lose(locker, lock);
  await turn();
  expect(heard).toBe(50);
  expect(seen).toEqual([]);
});
