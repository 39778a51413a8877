import { expect, test } from "vitest";
import { createDatabase } from "../support/database.js";
import { expectLeft } from "../support/leaks.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { startProxy } from "../support/proxy.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test("a lock that nobody renews is lost by itself: its signal fires, onLost is called once, the locker forgets it", async () => {
  const losses: string[] = [];
  await using locker = openLocker(database, {
    ttlMs: 2_000,
    keepAlive: false,
    onLost: (lock, error) => losses.push(`${lock.key} ${error.reason}`),
  });
  const lock = await locker.acquire("a");
  const { signal } = lock;

  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });

  expect(lock.held).toBe(false);
  expect(signal.reason).toMatchObject({ name: "LeaseLostError", reason: "expired", key: "a", fence: lock.fence });
  expect(losses).toEqual(["a expired"]);
  expect(locker.get("a")).toBeUndefined();
  expect(locker.locks()).toEqual([]);
});

test.each(["on", "off"] as const)(
  "with Postgres out of reach belief ends before the server can grant to another (presence %s)",
  async (presence) => {
    const key = `dark-${presence}`;
    await using proxy = await startProxy(database.url);
    await using locker = openLocker(proxy.url(database.url), { ttlMs: 4_000, presence, requestTimeoutMs: 3_000 });
    await using other = openLocker(database);
    const lock = await locker.acquire(key);
    const { signal } = lock;

    proxy.blackhole("both");
    let believedToo = false;
    const next = other.acquire(key).then((granted) => {
      believedToo = lock.held;
      return granted;
    });
    await until("it is lost", () => signal.aborted);

    expect(signal.reason).toMatchObject({ reason: "expired" });
    const successor = await next;
    expect(believedToo).toBe(false);
    await successor.release();
    proxy.heal();
    // of a connection that was made and cut meanwhile
    expectLeft(database, "sessions");
  },
);

test("while they are renewed locks outlive their TTL, and one statement renews all locks of the process", async () => {
  await using proxy = await startProxy(database.url);
  await using locker = openLocker(proxy.url(database.url), { ttlMs: 4_000 });
  const locks = await Promise.all(Array.from({ length: 30 }, (_, number) => locker.acquire(`kept-${number}`)));
  const start = await leaseRow(sql, "kept-0");
  proxy.statements.length = 0;

  await until("three TTLs have passed", async () => (await leaseRow(sql, "kept-0")).now > start.acquiredAt + 3 * 4_000);

  expect(locks.map((lock) => lock.held)).not.toContain(false);
  const renewals = proxy.statements.filter((statement) => /leasehold_internal\.renew\(/.test(statement.sql)).length;
  expect(renewals).toBeGreaterThanOrEqual(3);
  // one statement per interval of a third of the TTL, not one per lock
  expect(renewals).toBeLessThan(locks.length);
});

test("a lock that was renewed once for less than its interval of renewals is kept all the same", async () => {
  await using locker = openLocker(database, { ttlMs: 6_000, renewEveryMs: 3_000 });
  const lock = await locker.acquire("shorter");
  const { signal } = lock;
  const { acquiredAt } = await leaseRow(sql, "shorter");

  await lock.renew(2_500);
  await until(
    "two of its first TTLs have passed",
    async () => (await leaseRow(sql, "shorter")).now > acquiredAt + 12_000,
  );

  expect(signal.aborted).toBe(false);
  expect(lock.held).toBe(true);
  await lock.release();
});
