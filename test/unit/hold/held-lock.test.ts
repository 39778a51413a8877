// What users do with a lock: the end of its block, and transactions that it is asked to guard.
import { expect, test } from "vitest";
import { UnavailableError } from "../../../src/errors/errors.js";
import type { GuardedDatabase, GuardedTransaction } from "../../../src/guard/transaction-of.js";
import { gone, released } from "../fake-backend.js";
import { clock, settle } from "../manual-clock.js";
import { openFake } from "../open.js";
import { watch } from "../outcome.js";
import { hold, holdAll } from "./held.js";

test.each(["released", "lost"])(
  "the end of the block of a lock that is %s already says nothing to anybody",
  async (end) => {
    const errors: unknown[] = [];
    const opened = openFake({ keepAlive: false, ttlMs: 1_000, onError: (error) => errors.push(error) });
    const { backend, close } = opened;
    backend.releases.reply = () => released;
    backend.abandons.reply = () => gone;
    const lock = await hold(opened);
    lock.signal.addEventListener("abort", () => undefined);
    const disposed = watch(
      (async () => {
        await using _ = lock;
        if (end === "released") await lock.release();
        else clock.block(1_000);
      })(),
    );
    await settle();
    disposed.result;
    expect([lock.held, errors]).toEqual([false, []]);
    expect(backend.releases.count).toBe(end === "released" ? 1 : 0);
    await close();
  },
);

test("a transaction without a body is refused with what goes where", async () => {
  const opened = openFake({ keepAlive: false });
  const lock = await hold(opened);
  const locks = await holdAll(opened, ["b", "c"]);
  const forgotten = [{} as GuardedDatabase, undefined as never] as const;
  await expect(lock.transaction(...forgotten)).rejects.toMatchObject({
    code: "invalid-option",
    message: expect.stringContaining("after the database: lock.transaction(db, async (tx) => { ... })"),
  });
  await expect(locks.transaction(...forgotten)).rejects.toMatchObject({
    code: "invalid-option",
    message: expect.stringContaining("after the database: locks.transaction(db, async (tx) => { ... })"),
  });
  await opened.close();
});

/** As a client of node-postgres, in a transaction of another database. */
const elsewhere = {
  connect: () => undefined,
  on: () => undefined,
  off: () => undefined,
  getTypeParser: () => undefined,
  query: () => Promise.reject(Object.assign(new Error("another database"), { code: "LH007" })),
} as GuardedTransaction;

test("after a guard in another database it is asked which one the locker's is, and that this failed is told to onError", async () => {
  const errors: unknown[] = [];
  const opened = openFake({ keepAlive: false, onError: (error) => errors.push(error) });
  const failure = new UnavailableError({ outcome: "unknown" });
  opened.backend.findDatabaseId = () => Promise.reject(failure);
  const lock = await hold(opened);
  const guarded = watch(lock.guard(elsewhere));
  await settle();
  expect(guarded.error).toMatchObject({ message: expect.stringContaining("another database than the one") });
  expect(errors).toEqual([failure]);
  await opened.close();
});
