import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;
await sql`create table protected (key text primary key, fence bigint not null default 0, writes integer not null default 0)`;

test.each(["on", "off"] as const)(
  "nothing that a holder does after it was frozen past its TTL succeeds (presence %s)",
  async (presence) => {
    const key = `frozen-${presence}`;
    await sql`insert into protected (key) values (${key})`;
    await using frozen = await openLockProcess(database, {
      options: { ttlMs: 5_000, takeoverDelayMs: 1_000, presence },
    });
    await using next = await openLockProcess(database, { options: { ttlMs: 30_000, presence } });
    const first = await frozen.acquire(key);
    expect(await frozen.write(key)).toBe(1);

    frozen.worker.stop();
    const old = await leaseRow(sql, key);
    const second = await next.acquire(key);
    expect((await leaseRow(sql, key)).acquiredAt).toBeGreaterThanOrEqual(old.expiresAt);
    expect(await next.write(key)).toBe(1);
    // it is the first thing that it finds when it goes on
    const going = frozen.goOn(key);
    frozen.worker.cont();
    const after = await going;

    const lost = { name: "LeaseLostError", reason: "expired" };
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(after.state).toMatchObject({ held: false, remainingMs: 0, refusal: lost });
    expect(after.renewal).toEqual(lost);
    expect(after.release).toEqual(lost);
    expect(after.written).toBe(0);
    expect(await frozen.worker.next("signal")).toEqual({ key, reason: "expired" });
    expect(await frozen.worker.next("lost")).toEqual({ key, reason: "expired" });
    expect((await next.state(key)).held).toBe(true);
    expect(await next.write(key)).toBe(1);
    await frozen.close();
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(second));
    await next.close();
  },
);

test("a holder whose machine was suspended past the TTL, with its monotonic clock standing still, believes no more", async () => {
  await using suspended = await openLockProcess(database, { options: { ttlMs: 30_000, takeoverDelayMs: 5_000 } });
  await using locker = openLocker(database);
  await suspended.acquire("suspended");
  await suspended.acquire("long", { ttlMs: 100_000 });

  const unproven = await suspended.worker.request("suspend", { key: "long", ms: 6_000 });
  const after = await suspended.worker.request("suspend", { key: "suspended", ms: 30_000 });

  // past the heartbeat bound it is unproven, past the TTL it is lost
  expect(unproven).toMatchObject({ held: false, refusal: { name: "NotHeldError" }, signal: null });
  expect(after).toMatchObject({
    held: false,
    refusal: { name: "LeaseLostError", reason: "expired" },
    signal: "expired",
  });
  // what it lets go of is free for others at once
  await using lock = await locker.acquire("suspended");
  expect(lock.held).toBe(true);
  await suspended.close();
});
