// A share that one locker gives away and another one goes on with, beside others who share the key.
import { expect, test } from "vitest";
import { LeaseLostError, NotHeldError } from "../../src/index.js";
import { openGuard } from "../fencing/session.js";
import { renewRows } from "../support/acts.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

const rowOf = async (fence: bigint) =>
  (
    await sql`select token::text, owner, session_id, takeover_ms, ttl_ms, weight, capacity, expires_at from leasehold.shares where fence = ${String(fence)}`
  )[0];

test("it stays what it is: a part of a semaphore, a read lock", async () => {
  await using first = openLocker(database, { owner: "first" });
  await using second = openLocker(database, { owner: "second" });
  const part = await first.acquire("a", { capacity: 5, weight: 3, metadata: { n: 1 }, ttlMs: 50_000 });
  const beside = await first.acquire("a", { capacity: 5 });
  const detached = await part.detach();
  expect(part.held).toBe(false);
  expect(await rowOf(part.fence)).toMatchObject({
    owner: "first",
    session_id: null,
    takeover_ms: null,
    ttl_ms: 50_000,
  });
  expect(await first.tryAcquire("a", { capacity: 5, weight: 2 })).toBeNull();

  const lock = await second.adopt(detached);
  expect(lock).toMatchObject({ mode: "semaphore", weight: 3, fence: part.fence, metadata: { n: 1 }, owner: "second" });
  const row = await rowOf(part.fence);
  expect(row).toMatchObject({ owner: "second", weight: 3, capacity: 5, session_id: expect.any(Number) });
  expect(row?.token).not.toBe(detached.token);
  await lock.renew();
  await beside.renew();
  // released as a share: so another fits
  await lock.release();
  await (await first.acquire("a", { capacity: 5, weight: 4, waitMs: 0 })).release();
  await beside.release();

  const reading = await second.adopt(await (await first.acquire("b", { shared: true })).detach());
  expect(reading).toMatchObject({ mode: "shared", weight: 1 });
  const other = await first.acquire("b", { shared: true, waitMs: 0 });
  for (const reader of [reading, other]) await reader.release();
});

test("handed over once: the second adopter and the old token are told that it is taken, whatever was granted since", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  for (const hasLater of [false, true]) {
    const lock = await first.acquire("c", { shared: true });
    const detached = await lock.detach();
    const adopted = await second.adopt(detached);
    const later = hasLater ? await first.acquire("c", { shared: true }) : null;
    await expect(first.adopt(detached)).rejects.toMatchObject({ name: "LeaseLostError", reason: "taken" });
    const old = renewRows([{ key: "c", token: detached.token, fence: lock.fence }]);
    expect(await sql.unsafe(`select * from ${old} r`)).toMatchObject([{ outcome: "lost", reason: "taken" }]);
    await adopted.renew();
    await adopted.release();
    await later?.release();
  }
});

test("a guard of it is waited for by who adopts, and not by who detaches; those of others do not matter", async () => {
  await using first = openLocker(database, { keepAlive: false });
  await using second = openLocker(database, { requestTimeoutMs: 1_000 });
  const lock = await first.acquire("d", { shared: true, ttlMs: 60_000 });
  const other = await first.acquire("d", { shared: true, ttlMs: 60_000 });
  await using beside = await openGuard(database, other);
  await using session = await openGuard(database, lock);
  const detached = await lock.detach();
  await expect(second.adopt(detached)).rejects.toMatchObject({
    name: "UnavailableError",
    message: expect.stringContaining(`server process ${session.pid}`),
  });
  await session.rollback();
  const adopted = await second.adopt(detached);
  expect(adopted.fence).toBe(lock.fence);
  await beside.rollback();
  for (const share of [adopted, other]) await share.release();
});

test("not one that its holder has not let go of, nor one that has ended", async () => {
  await using first = openLocker(database, { owner: "holder", keepAlive: false });
  await using second = openLocker(database);
  const held = await first.acquire("e", { capacity: 3, ttlMs: 60_000 });
  const row = await rowOf(held.fence);
  const grant = { key: "e", token: row?.token, fence: held.fence };
  const refused = await second.adopt(grant).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(NotHeldError);
  expect(refused).toMatchObject({ message: expect.stringContaining('"holder" holds it') });
  await held.renew();

  const detached = await held.detach();
  await sql`update leasehold.shares set expires_at = clock_timestamp() where fence = ${String(held.fence)}`;
  await expect(second.adopt(detached)).rejects.toMatchObject({ reason: "expired" });
  const next = await first.acquire("e", { capacity: 3 });
  await expect(second.adopt(detached)).rejects.toBeInstanceOf(LeaseLostError);
  await next.release();
  const forced = await first.acquire("e", { capacity: 3 });
  const given = await forced.detach();
  await second.forceRelease("e");
  await expect(second.adopt(given)).rejects.toMatchObject({ reason: "forced" });
  await second.forceRelease("e", { immediate: true });
});

test("a maximum hold goes on, also in the hands of who asks for more", async () => {
  await using first = openLocker(database);
  await using second = openLocker(database);
  const lock = await first.acquire("f", { shared: true, maxHoldMs: 40_000, ttlMs: 30_000 });
  const end = lock.acquiredAt.getTime() + 40_000;
  const adopted = await second.adopt(await lock.detach(), { maxHoldMs: 900_000, ttlMs: 600_000 });
  expect(adopted.expiresAt.getTime()).toBe(end);
  await adopted.renew();
  expect(adopted.expiresAt.getTime()).toBe(end);
  await adopted.release();
});

test("detach_lock() of a share never shortens it", async () => {
  await using locker = openLocker(database, { presence: "off", keepAlive: false });
  const lock = await locker.acquire("g", { shared: true, ttlMs: 60_000 });
  const before = await rowOf(lock.fence);
  await sql`select leasehold.detach_lock('g', ${before?.token}, '1 s')`;
  const after = await rowOf(lock.fence);
  await lock.release();

  expect(after).toEqual({ ...before, ttl_ms: 1_000 });
});
