// A release that comes too late is told why, precisely and for as long as the handle lives: no grace time has to be kept anywhere.
import { expect, test } from "vitest";
import { LeaseLostError, type Lock } from "../../src/index.js";
import { createDatabase } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;
const brief = { ttlMs: 300, keepAlive: false };

const refusalOf = (lock: Lock): Promise<unknown> =>
  lock.release().then(
    () => "released",
    (error: unknown) => error,
  );
const lostAs = (lock: Lock, reason: string) =>
  expect.objectContaining({ name: "LeaseLostError", code: "lease-lost", reason, key: lock.key, fence: lock.fence });

/** Makes the row as old as one that expired, or was freed, 11 minutes ago: the sweeper purges it after 10. */
const age = (key: string) => sql`
  update leasehold.leases set acquired_at = clock_timestamp() - interval '12 minutes',
         renewed_at = clock_timestamp() - interval '12 minutes', expires_at = clock_timestamp() - interval '11 minutes',
         released_at = case when token is null then clock_timestamp() - interval '11 minutes' end
   where key = ${key}`;
const isGone = async (key: string) => (await sql`select from leasehold.leases where key = ${key}`).length === 0;

test("long after the lease has expired it is told so, each time, and nothing is sent for it", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url));
  const lock = await locker.acquire("expired", brief);
  await until("it has expired", () => !lock.held);
  proxy.statements.length = 0;

  const errors = [await refusalOf(lock), await refusalOf(lock)];

  expect(errors).toEqual([lostAs(lock, "expired"), lostAs(lock, "expired")]);
  expect(errors[0]).toBeInstanceOf(LeaseLostError);
  expect(proxy.statements.filter(({ sql: text }) => /leasehold_internal\.release\(/.test(text))).toEqual([]);
});

test("after somebody else's grant, and after its release, it is told its own reason, and does not touch the other's", async () => {
  await using locker = openLocker(database);
  await using other = openLocker(database);
  const lock = await locker.acquire("granted", brief);
  const next = await other.acquire("granted");
  const during = await refusalOf(lock);
  const row = await leaseRow(sql, "granted");
  await next.release();
  const after = await refusalOf(lock);

  expect([during, after]).toEqual([lostAs(lock, "expired"), lostAs(lock, "expired")]);
  expect(row).toMatchObject(grantOf(next));
});

test("a handle that could not know yet is told by the row: expired, or taken by another", async () => {
  await using locker = openLocker(database, { ttlMs: 600_000, keepAlive: false });
  await using other = openLocker(database);
  const [expired, taken] = [await locker.acquire("row-expired"), await locker.acquire("row-taken")];
  await sql`update leasehold.leases set expires_at = clock_timestamp() - interval '1 second' where key like 'row-%'`;
  const next = await other.acquire("row-taken");
  const held = [expired.held, taken.held];
  const errors = [await refusalOf(expired), await refusalOf(taken)];
  const row = await leaseRow(sql, "row-taken");
  await next.release();

  expect(held).toEqual([true, true]);
  expect(errors).toEqual([lostAs(expired, "expired"), lostAs(taken, "taken")]);
  expect(row).toMatchObject(grantOf(next));
});

test("after the sweeper has purged the row it is told the same; a handle that could not know, that its grant is not known any more", async () => {
  await using locker = openLocker(database);
  await using unaware = openLocker(database, { ttlMs: 600_000, keepAlive: false });
  const [known, unknown] = [await locker.acquire("purged-known", brief), await unaware.acquire("purged-unknown")];
  await until("it has expired", () => !known.held);
  await until("its own last word has freed the row", async () => (await leaseRow(sql, known.key)).token === null);
  for (const key of [known.key, unknown.key]) await age(key);
  await until("both are purged", async () => {
    await locker.sweep();
    return (await isGone(known.key)) && (await isGone(unknown.key));
  });
  const held = unknown.held;
  const errors = [await refusalOf(known), await refusalOf(unknown)];

  expect(held).toBe(true);
  expect(errors).toEqual([lostAs(known, "expired"), lostAs(unknown, "taken")]);
});

test("of what was taken by force, or lost with its locker, it is told that", async () => {
  await using admin = openLocker(database);
  await using locker = openLocker(database);
  const forced = await locker.acquire("forced");
  await admin.forceRelease("forced", { immediate: true });
  const closing = openLocker(database);
  const closed = await closing.acquire("closed");
  await closing.close();
  const errors = [await refusalOf(forced), await refusalOf(closed)];

  expect(errors).toEqual([lostAs(forced, "forced"), lostAs(closed, "closed")]);
});
