import { randomUUID } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow, tokenOf } from "../support/lease-row.js";
import { type LockState, openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const takeoverDelayMs = 1_000;

/** Blocks the event loop of a process with a lock, at least for three times the takeover delay, until the work is done. */
async function whileBlocked(
  holder: Awaited<ReturnType<typeof openLockProcess>>,
  key: string,
  work: () => Promise<void>,
): Promise<LockState> {
  const untilFile = join(tmpdir(), `leasehold-${randomUUID()}`);
  const blocked = holder.worker.request<LockState>("block", { key, ms: 3 * takeoverDelayMs, untilFile });
  try {
    await holder.worker.next("blocking");
    await work();
  } finally {
    await writeFile(untilFile, "");
  }
  const state = await blocked;
  await rm(untilFile);
  return state;
}

test("a holder whose session is cut while its event loop is blocked believes no more when another holds", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs } });
  await using locker = openLocker(database, { takeoverDelayMs });
  const first = await holder.acquire("a");

  let second = 0n;
  const state = await whileBlocked(holder, "a", async () => {
    const { pid, token } = await leaseRow(sql, "a");
    expect(await sql`select pg_terminate_backend(${pid}) as done`).toEqual([{ done: true }]);
    const lock = await locker.acquire("a");
    second = lock.fence;
    expect(await tokenOf(sql, "a")).not.toBe(token);
  });

  expect(second).toBeGreaterThan(first.fence);
  // by the clocks alone: no timer and no answer has run yet, and the TTL is far
  expect(state).toMatchObject({ held: false, remainingMs: 0, refusal: { name: "NotHeldError" }, signal: null });
  // then it is told
  expect(await holder.worker.next("signal")).toEqual({ key: "a", reason: "taken" });
  expect((await holder.state("a")).refusal).toEqual({ name: "LeaseLostError", reason: "taken" });
  expect(locker.get("a")?.held).toBe(true);
  await holder.close();
});

test("a holder whose event loop is blocked while its session stands is unproven, then proven again, and never lost", async () => {
  await using holder = await openLockProcess(database, { options: { ttlMs: 60_000, takeoverDelayMs } });
  await using locker = openLocker(database, { takeoverDelayMs });
  const first = await holder.acquire("b");

  const state = await whileBlocked(holder, "b", async () => {
    await until("its last heartbeat is older than the delay", async () => {
      const row = await leaseRow(sql, "b");
      return row.seenAt !== null && row.now > row.seenAt + takeoverDelayMs;
    });
    expect(await locker.tryAcquire("b")).toBeNull();
  });

  expect(state).toMatchObject({ held: false, refusal: { name: "NotHeldError" }, signal: null });
  await until("it is proven again", async () => (await holder.state("b")).held);
  expect(await leaseRow(sql, "b")).toMatchObject(grantOf(first));
  expect((await holder.state("b")).signal).toBeNull();
  await holder.close();
});
