// A lock that was lost is remembered for a while: a late release, by its handle or in SQL, is told why, and debug() shows it.
import { expect, test } from "vitest";
import { LeaseLostError, type Lock, type Locker, type LostLock } from "../../src/index.js";
import type { ObservedLease } from "../../src/observe/observer.js";
import { RecentlyLost } from "../../src/observe/recently-lost.js";
import { type Clock, systemClock } from "../../src/runtime/clock.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

/** What debug says of it once its last word was answered. */
function settled(locker: Locker, { fence }: Lock): Promise<LostLock> {
  return until("its last word was answered", async () =>
    (await locker.debug()).lost.find((lost) => lost.fence === `${fence}` && lost.found !== null),
  );
}

function lost(lock: Lock): Promise<unknown> {
  return new Promise((resolve) => lock.signal.addEventListener("abort", resolve, { once: true }));
}

test("one that expired is shown, and nobody else had it since", async () => {
  await using locker = openLocker(database, { owner: "me" });
  const lock = await locker.acquire("a", { ttlMs: 1_000, keepAlive: false });
  await lost(lock);

  await expect(lock.release()).rejects.toMatchObject({ reason: "expired" });
  await expect(lock.renew()).rejects.toMatchObject({ reason: "expired" });
  expect(await settled(locker, lock)).toEqual({
    key: "a",
    fence: `${lock.fence}`,
    owner: "me",
    reason: "expired",
    lostAt: expect.stringMatching(/Z$/),
    heldMs: expect.any(Number),
    found: "ours",
  });
});

test("one that somebody else holds meanwhile is shown as taken", async () => {
  await using robbed = openLocker(database);
  await using robber = openLocker(database);
  const lock = await robbed.acquire("a");
  await robber.forceRelease("a", { immediate: true });
  const next = await robber.acquire("a");
  await expect(lock.renew()).rejects.toMatchObject({ reason: "taken" });

  expect(await settled(robbed, lock)).toMatchObject({ reason: "taken", found: "taken" });
  await expect(lock.release()).rejects.toMatchObject({ reason: "taken" });
  await next.release();
});

test("one that was taken away, and that nobody holds, is shown as forced and free", async () => {
  await using robbed = openLocker(database);
  await using robber = openLocker(database);
  const lock = await robbed.acquire("a");
  await robber.forceRelease("a", { immediate: true });
  await expect(lock.renew()).rejects.toMatchObject({ reason: "forced" });
  expect(await settled(robbed, lock)).toMatchObject({ reason: "forced", found: "free" });
});

test("the newest come first, 100 at most; what was released is not among them", async () => {
  await using locker = openLocker(database);
  await locker.withLock("released", () => undefined);
  const locks = await Promise.all(
    Array.from({ length: 120 }, (_, index) => locker.acquire(`many:${index}`, { ttlMs: 4_000, keepAlive: false })),
  );
  await Promise.all(locks.map(lost));
  const last = await locker.acquire("last", { ttlMs: 1_000, keepAlive: false });
  await lost(last);

  const shown = (await locker.debug()).lost;
  expect(shown).toHaveLength(100);
  expect(shown[0]?.key).toBe("last");
  expect(shown.slice(1).every(({ key }) => key.startsWith("many:"))).toBe(true);
  for (const lock of locks) await settledAll(locker, lock.key);
});

test("it is remembered for ten minutes", () => {
  let minutes = 0;
  const clock = Object.assign(Object.create(systemClock), {
    now: () => ({ monotonicMs: minutes * 60_000, wallMs: 0 }),
  }) as Clock;
  const recently = new RecentlyLost(clock);
  const lease = { key: "a", fence: 1n, terms: { owner: "me" }, claim: { found: null } } as ObservedLease;
  recently.add(lease, new LeaseLostError({ key: "a", reason: "expired" }), 5);
  minutes = 9.9;
  expect(recently.all()).toMatchObject([{ key: "a", fence: "1", owner: "me", heldMs: 5, found: null }]);
  minutes = 10;
  expect(recently.all()).toEqual([]);
});

/** Not all are remembered: those that are not are free all the same. */
async function settledAll(locker: Locker, key: string): Promise<void> {
  await until("it is free", async () => (await locker.check(key)) === null);
}

test.each([
  ["has expired", "expires_at = clock_timestamp() - interval '1 second'", "expired"],
  ["was taken away", "expires_at = clock_timestamp() - interval '1 second', revoked_at = clock_timestamp()", "forced"],
  [
    "was held for too long",
    "expires_at = clock_timestamp() - interval '1 second', max_hold_until = clock_timestamp() - interval '1 second'",
    "max-hold",
  ],
])("a release that comes to the server when the lock %s is told so", async (_, change, reason) => {
  await using locker = openLocker(database, { presence: "off" });
  const [one, two, three] = await Promise.all(["1", "2", "3"].map((key) => locker.acquire(key)));
  await sql.unsafe(`update leasehold.leases set ${change} where token is not null`);

  await expect(one?.release()).rejects.toMatchObject({ reason });
  // and so in a batch
  const refusals = [two, three].map((lock) => expect(lock?.release()).rejects.toMatchObject({ reason }));
  await Promise.all(refusals);
  expect((await locker.debug()).lost).toMatchObject([{ reason }, { reason }, { reason }]);
});
