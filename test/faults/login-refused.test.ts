// The role may not log in for a while, and its connections are ended: what a rotation of passwords or a hasty change does.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createDatabase, createRole } from "../support/database.js";
import { grantOf } from "../support/grant-of.js";
import { leaseRow } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";
import { quote } from "../support/quote.js";
import { until } from "../support/until.js";

const database = await createDatabase();
const { sql } = database;

test.each(["on", "off"] as const)(
  "a lock outlives 3 s without a login, and what is asked meanwhile is told why (presence: %s)",
  async (presence) => {
    const key = `refused-${presence}`;
    const role = await createRole(database, { grantUsage: true });
    await using locker = openLocker(role.url, { presence, ttlMs: 60_000, renewEveryMs: 500 });
    await using lock = await locker.acquire(key);
    const { signal } = lock;

    await sql.unsafe(`alter role ${quote(role.name)} nologin`);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role.name}`;
    // as long as the outage lasts: each connection is refused many times
    await sleep(3_000);
    await expect(locker.ping()).rejects.toMatchObject({ name: "UnavailableError", cause: { code: "28000" } });
    const { expiresAt } = await leaseRow(sql, key);
    await sql.unsafe(`alter role ${quote(role.name)} login`);

    await until("it is renewed", async () => (await leaseRow(sql, key)).expiresAt > expiresAt);
    await until("it is held", () => lock.held);
    expect(signal.aborted).toBe(false);
    expect(await leaseRow(sql, key)).toMatchObject(grantOf(lock));
    await until("it works", () => locker.ping().catch(() => null));
  },
);
