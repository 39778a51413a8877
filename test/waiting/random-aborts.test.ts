import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { seeded } from "../support/random.js";

const TIMES = process.env.LEASEHOLD_LONG ? 20_000 : 1_000;
const AT_ONCE = 40;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});

test(`${TIMES} acquires aborted at random moments leave nothing`, { timeout: 600_000 }, async () => {
  const random = seeded("random aborts");
  const presences = ["on", "on", "off"] as const;
  const lockers = presences.map((presence) => openLocker(database, { presence, ttlMs: 20_000 }));
  await Promise.all(lockers.map((locker) => locker.ready()));
  const counts = { granted: 0, aborted: 0 };
  let started = 0;
  let listeners = 0;

  const worker = async (): Promise<void> => {
    while (started < TIMES) {
      started += 1;
      const n = Math.floor(random() * lockers.length);
      const locker = lockers[n];
      // keys of its own for the one without presence, whose waits only poll: it would have the others wait for that
      const key = `${presences[n]} ${Math.floor(random() ** 2 * 8)}`;
      const controller = new AbortController();
      const reason = new Error("a random abort");
      // from before it is sent to long after it has joined the queue
      const abortMs = random() ** 2 * 250;
      const holdMs = random() < 0.5 ? 0 : random() * 10;
      const timer = setTimeout(() => controller.abort(reason), abortMs);
      try {
        const lock = await locker?.acquire(key, { signal: controller.signal });
        counts.granted += 1;
        if (holdMs > 0) await sleep(holdMs);
        await lock?.release();
      } catch (error) {
        if (error !== reason) throw error;
        counts.aborted += 1;
      } finally {
        clearTimeout(timer);
        listeners += getEventListeners(controller.signal, "abort").length;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const locks = lockers.flatMap((locker) => locker.locks());
  await Promise.all(lockers.map((locker) => locker.close()));

  // both did happen, or this test shows little; on a busy machine most are aborted
  expect(counts.aborted).toBeGreaterThan(0);
  expect(counts.granted).toBeGreaterThan(0);
  expect(listeners).toBe(0);
  expect(locks).toEqual([]);
  const { sql } = database;
  expect(await sql`select key from leasehold.leases where token is not null`).toEqual([]);
  expect(await sql`select key from leasehold.waiters`).toEqual([]);
  expect(await sql`select id from leasehold.sessions`).toEqual([]);
});
