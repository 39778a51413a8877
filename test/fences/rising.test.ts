import { expect, test } from "vitest";
import { ask, giveBack } from "../support/ask.js";
import { openClient } from "../support/client.js";
import { startCluster } from "../support/cluster.js";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { tokenOf } from "../support/lease-row.js";
import { openLockProcess } from "../support/lock-process.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

function expectRising(fences: readonly bigint[]): void {
  for (const [index, fence] of fences.slice(1).entries()) expect(fence).toBeGreaterThan(fences[index] as bigint);
}

test("a key's fence rises over release, renewal, expiry, the death of its holder, force and the loss of its row", async () => {
  await using locker = openLocker(database, { takeoverDelayMs: 1_000 });
  await using dying = await openLockProcess(database, { options: { ttlMs: 20_000, takeoverDelayMs: 1_000 } });
  const fences: bigint[] = [];

  const released = await locker.acquire("a");
  fences.push(released.fence);
  await released.release();
  const renewed = await locker.acquire("a");
  const before = renewed.fence;
  await renewed.renew(40_000);
  expect(renewed.fence).toBe(before);
  expect((await sql`select fence::text from leasehold.leases where key = 'a'`)[0]?.fence).toBe(String(before));
  fences.push(renewed.fence);
  await renewed.release();
  const expiring = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  fences.push(expiring.fence);
  fences.push((await dying.acquire("a")).fence);
  await dying.worker.kill("SIGKILL");
  const taken = await locker.acquire("a");
  fences.push(taken.fence);
  await locker.forceRelease("a", { immediate: true });
  const forced = await locker.acquire("a");
  fences.push(forced.fence);
  await forced.release();
  // as the purge of a row that was free for long
  await sql`delete from leasehold.leases where key = 'a'`;
  await using last = await locker.acquire("a");
  fences.push(last.fence);

  expect(fences).toHaveLength(7);
  expectRising(fences);
  await taken.release().catch(() => {});
  expectLeft(database, "sessions");
});

test("a key whose last fence is larger than the log has come to counts on from there, alone and in a batch", async () => {
  await using own = await createDatabase();
  const old = 9n << 48n; // as restored from elsewhere, without its epoch
  for (const key of ["a", "b", "c"]) {
    await own.sql`insert into leasehold.leases (key, fence, ttl_ms, released_at) values (${key}, ${String(old)}::bigint, 0, now())`;
  }
  for (const keys of [["a"], ["b", "c"]]) {
    const granted = await ask(own.sql, keys);
    expect(granted.map(({ fence }) => fence)).toEqual(keys.map(() => old + 1n));
    await giveBack(own.sql, granted);
  }
});

// Of the write-ahead log nothing can be seen to be drawn; of the sequence, which takes its place where that is hidden, it can.
test("a fence is drawn by a grant alone, once it has the row: not by a try, a look or a batch that finds it locked or held", async () => {
  await sql`update leasehold.fence_epoch set source = 'manual'`;
  await using locker = openLocker(database);
  await using other = openLocker(database, { presence: "off" });
  const keys = ["drawn-1", "drawn-2", "drawn-3"];
  const drawn = async () => BigInt((await sql`select last_value::text as n from leasehold.fences`)[0]?.n);
  const tryAll = () => Promise.all(keys.map((key) => locker.tryAcquire(key)));
  const none = keys.map(() => null);
  for (const lock of await Promise.all(keys.map((key) => other.acquire(key)))) await lock.release();
  const before = await drawn();
  const stranger = await openClient(database.url);

  await stranger.begin(async (tx) => {
    // free by all that can be read, and not to be had
    await tx`select from leasehold.leases where key in ${tx(keys)} for update`;
    expect(await locker.tryAcquire("drawn-1")).toBeNull();
    expect(await tryAll()).toEqual(none);
    await expect(locker.acquire("drawn-1", { waitMs: 100 })).rejects.toMatchObject({ code: "wait-timeout" });
    expect(await drawn()).toBe(before);
  });
  await stranger.end();
  const held = await Promise.all(keys.map((key) => other.acquire(key)));
  expect(await locker.tryAcquire("drawn-1")).toBeNull();
  expect(await tryAll()).toEqual(none);
  await expect(locker.acquire("drawn-1", { waitMs: 100 })).rejects.toMatchObject({ code: "wait-timeout" });

  expect(await drawn()).toBe(before + 1n);
  for (const lock of held) await lock.release();
  await sql`update leasehold.fence_epoch set source = 'auto'`;
});

test("fences rise over crashes of Postgres", async () => {
  await using cluster = await startCluster();
  await using fresh = await createDatabase({ on: cluster });
  // the release may be lost in the crash: then the TTL frees the key
  await using locker = openLocker(fresh, { ttlMs: 1_000 });
  const fences: bigint[] = [];
  for (let round = 0; round < 3; round += 1) {
    for (let step = 0; step < 5; step += 1) {
      const lock = await locker.acquire("a");
      fences.push(lock.fence);
      if (step < 4) await lock.release();
      else await Promise.allSettled([cluster.restart("immediate"), lock.release()]);
    }
  }

  expectRising(fences);
  // what was acknowledged was durable
  const [row] = await fresh.sql`select fence::text, acquisitions::int from leasehold.leases where key = 'a'`;
  expect(row).toEqual({ fence: String(fences.at(-1)), acquisitions: fences.length });
});

test("a grant is durable when it is answered, also for a role that does not wait for its commits", async () => {
  await using cluster = await startCluster({ settings: { synchronous_commit: "off", wal_writer_delay: "10s" } });
  await using fresh = await createDatabase({ on: cluster });
  await using locker = openLocker(fresh, { ttlMs: 60_000 });
  const [setting] = await fresh.sql`show synchronous_commit`;
  expect(setting).toEqual({ synchronous_commit: "off" });
  await locker.ready();

  const locks = await Promise.all(["a", "b", "c"].map((key) => locker.acquire(key)));
  const tokens = await Promise.all(locks.map(({ key }) => tokenOf(fresh.sql, key)));
  await cluster.restart("immediate");

  const rows = await fresh.sql`select key, fence::text, token::text from leasehold.leases order by key`;
  const wanted = locks.map(({ key, fence }, index) => ({ key, fence: String(fence), token: tokens[index] }));
  expect(rows.map((row) => ({ ...row }))).toEqual(wanted.sort((a, b) => (a.key < b.key ? -1 : 1)));
});

test("an epoch cannot be raised so high that fences begin anew below zero", async () => {
  const own = await createDatabase();
  const bump = (above: bigint) => own.sql`select leasehold.bump_epoch(${String(above)}::bigint) as first`;
  for (const above of [2n ** 63n - 1n, 2n ** 62n]) {
    const answer = await bump(above).catch((error: { code: string }) => error.code);
    expect(answer).toBe("LH003");
  }
  const [raised] = await bump(2n ** 62n - 1n);
  expect(raised?.first).toBe(String(2n ** 62n));
  const [again] = await bump(0n);
  expect(BigInt(again?.first)).toBeGreaterThan(2n ** 62n);
  await using locker = openLocker(own);
  await using lock = await locker.acquire("a");
  expect(lock.fence).toBeGreaterThan(BigInt(again?.first));
});
