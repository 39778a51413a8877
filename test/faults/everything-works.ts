import type postgres from "postgres";
import { expect } from "vitest";
import type { Locker } from "../../src/index.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { until } from "../support/until.js";

/** Two lockers over one database take, await, renew and release a key, and share a busy one. */
export async function everythingWorks(sql: postgres.Sql, one: Locker, two: Locker, key: string): Promise<void> {
  await Promise.all([one.ready(), two.ready()]);
  const lock = await one.acquire(key, { metadata: { "it's": "a \\ backslash" } });
  const { signal } = lock;
  expect(await two.tryAcquire(key)).toBeNull();
  expect(await two.check(key)).toMatchObject({ state: "held", metadata: { "it's": "a \\ backslash" } });
  const { expiresAt } = await leaseRow(sql, key);
  const waiting = two.acquire(key);
  await until("it was renewed past its first TTL", async () => (await leaseRow(sql, key)).now > expiresAt);
  expect(signal.aborted).toBe(false);
  expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
  await lock.release();
  const next = await waiting;
  expect(next.fence).toBeGreaterThan(lock.fence);
  await next.renew(5_000);
  await next.release();

  const fences: bigint[] = [];
  await Promise.all(
    [one, two, one, two].map(async (locker) => {
      for (let turn = 0; turn < 4; turn += 1)
        await locker.withLock(`${key}-hot`, (held) => {
          held.assertHeld();
          fences.push(held.fence);
        });
    }),
  );
  expect(fences).toHaveLength(16);
  expect(fences).toEqual([...new Set(fences)].sort((a, b) => (a < b ? -1 : 1)));
}
