// What a role, a database or a server may have as defaults, to the harm of a lock library.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { UnsafeBackendError } from "../../src/index.js";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

const hostile = {
  default_transaction_isolation: "repeatable read",
  default_transaction_read_only: "on",
  default_transaction_deferrable: "on",
  statement_timeout: "50ms",
  lock_timeout: "10ms",
  idle_session_timeout: "300ms",
  idle_in_transaction_session_timeout: "20ms",
  transaction_timeout: "60ms",
  search_path: "pg_temp",
  bytea_output: "escape",
  DateStyle: "German, DMY",
  IntervalStyle: "sql_standard",
  TimeZone: "Pacific/Chatham",
  extra_float_digits: "-15",
  synchronous_commit: "off",
  enable_indexscan: "off",
  array_nulls: "off",
  quote_all_identifiers: "on",
  transform_null_equals: "on",
  restrict_nonsystem_relation_kind: "view, foreign-table",
};

/** Those that this server knows. */
async function settings(): Promise<Record<string, string>> {
  const known = new Set((await sql`select lower(name) as name from pg_settings`).map(({ name }) => name));
  return Object.fromEntries(Object.entries(hostile).filter(([name]) => known.has(name.toLowerCase())));
}

test("a role's hostile defaults are really those of its sessions", async () => {
  const { name } = await createRole(database, { settings: await settings(), grantUsage: true });
  const [row] = await sql`select cardinality(rolconfig) as count from pg_roles where rolname = ${name}`;
  expect(row?.count).toBeGreaterThanOrEqual(15);
});

test("with hostile defaults a lock is taken, kept past every one of these timeouts, handed on in the queue, and released", async () => {
  const role = await createRole(database, { settings: await settings(), grantUsage: true });
  const errors: unknown[] = [];
  await using locker = openLocker(role.url, { ttlMs: 4_000, onError: (error) => errors.push(error) });
  await using other = openLocker(role.url, { ttlMs: 4_000, onError: (error) => errors.push(error) });
  await locker.ready();
  const lock = await locker.acquire("hostile");
  const { signal } = lock;
  const { pid, expiresAt } = await leaseRow(sql, "hostile");
  const waiting = other.acquire("hostile");

  // longer than the TTL, and several times the timeout of idle sessions; the commands connection is idle all the while
  await until("it was renewed past its first TTL", async () => (await leaseRow(sql, "hostile")).now > expiresAt + 300);

  expect(signal.aborted).toBe(false);
  expect(lock.held).toBe(true);
  expect(await leaseRow(sql, "hostile")).toMatchObject({ pid, ...grantOf(lock) });
  await lock.release();
  await using next = await waiting;
  expect(next.fence).toBeGreaterThan(lock.fence);
  expect(await locker.check("hostile")).toMatchObject({ state: "held", fence: next.fence });
  expect(errors).toEqual([]);
});

test.each(["on", "off"] as const)(
  "times are exact although the role's floats are not (presence: %s)",
  async (presence) => {
    const key = `digits-${presence}`;
    // of milliseconds since 1970 it leaves whole hours
    const role = await createRole(database, { settings: { extra_float_digits: -10 }, grantUsage: true });
    await using locker = openLocker(role.url, { presence });
    await using other = openLocker(role.url, { presence });

    await using lock = await locker.acquire(key, { ttlMs: 20_000 });
    const granted = await leaseRow(sql, key);
    expect(lock.expiresAt.getTime() - granted.expiresAt).toBeCloseTo(0, -1);
    expect(lock.remainingMs).toBeGreaterThan(0);
    expect(lock.remainingMs).toBeLessThan(20_000);
    expect((await other.check(key))?.expiresAt).toEqual(lock.expiresAt);
    expect(await other.tryWithLock(key, () => 1)).toMatchObject({ holder: { expiresAt: lock.expiresAt } });

    await lock.renew(40_000);
    const renewed = await leaseRow(sql, key);
    expect(renewed.expiresAt).toBeGreaterThan(granted.expiresAt + 10_000);
    expect(lock.expiresAt.getTime() - renewed.expiresAt).toBeCloseTo(0, -1);
  },
);

test("a statement that has to wait longer than the role's timeouts is not cut short", async () => {
  const role = await createRole(database, { settings: await settings(), grantUsage: true });
  await using locker = openLocker(role.url);
  const lock = await locker.acquire("slow");
  let releasing: Promise<void> | undefined;

  await sql.begin(async (transaction) => {
    await transaction`lock table leasehold.leases in access exclusive mode`;
    releasing = lock.release();
    await until("the release waits", async () => {
      const waiting =
        await transaction`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      return waiting.length > 0;
    });
    await sleep(150);
  });
  await releasing;

  expect(await leaseRow(sql, "slow")).toMatchObject({ token: null });
});

test("without presence nothing is set for a connection that may be a pooler's: what matters is refused by name, with the line that helps", async () => {
  const { default_transaction_isolation } = hostile;
  const role = await createRole(database, { settings: { default_transaction_isolation }, grantUsage: true });
  await using refused = openLocker(role.url, { presence: "off" });

  const error = await refused.acquire("off").catch((reason: unknown) => reason);

  expect(error).toMatchObject({ name: "UnsafeBackendError", problem: expect.stringContaining("read committed") });
  const line = /alter role .*/.exec((error as UnsafeBackendError).remedy)?.[0] ?? "";
  await sql.unsafe(line);
  await using helped = openLocker(role.url, { presence: "off" });
  expect(await helped.withLock("off", ({ held }) => held)).toBe(true);
});

test("where a role may read no views, who holds a key is told, and sweeping goes on; and it may read none afterwards either", async ({
  skip,
}) => {
  const [known] = await sql`select from pg_settings where name = 'restrict_nonsystem_relation_kind'`;
  if (known === undefined) return skip("this server has no such setting");
  const settings = { restrict_nonsystem_relation_kind: "view" };
  const role = await createRole(database, { settings, grantUsage: true });
  await using locker = openLocker(role.url);
  await using lock = await locker.acquire("restricted");

  expect(await locker.check("restricted")).toMatchObject({ state: "held", fence: lock.fence });
  expect(await locker.sweep()).toMatchObject({ isBusy: expect.any(Boolean) });
  const client = await openClient(role.url);
  await client.begin(async (tx) => {
    expect(await tx`select c.state from leasehold.check('restricted') c`).toEqual([{ state: "held" }]);
    expect(await tx`select current_setting('restrict_nonsystem_relation_kind') as it`).toEqual([{ it: "view" }]);
  });
  await client.end();
});
