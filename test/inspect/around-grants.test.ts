// What docs/reference/inspection.md and docs/reference/sql-api.md say of those who see tokens without a grant of ours.
import { expect, test } from "vitest";
import { openClient } from "../support/client.js";
import { createDatabase, createRole } from "../support/database.js";
import { tokenOf } from "../support/lease-row.js";
import { openLocker } from "../support/lockers.js";

const database = await createDatabase();
const { sql } = database;

test("a member of pg_read_all_data reads the tokens", async () => {
  const role = await createRole(database);
  await sql.unsafe(`grant pg_read_all_data to ${role.name}`);
  await using locker = openLocker(database);
  await using lock = await locker.acquire("read");
  const reader = await openClient(role.url);
  expect(await reader`select token from leasehold.leases where key = 'read'`).toEqual([
    { token: await tokenOf(sql, lock.key) },
  ]);
  await reader.end();
});

test("a publication for all tables publishes the leases, not the queues and sessions, and stops nobody", async () => {
  await sql`create publication everything for all tables`;
  const published = await sql`
    select tablename as name from pg_publication_tables where pubname = 'everything' and schemaname = 'leasehold'`;
  expect(published.map(({ name }) => name)).toContain("leases");
  expect(published.map(({ name }) => name)).not.toContain("waiters");
  expect(published.map(({ name }) => name)).not.toContain("sessions");
  await using locker = openLocker(database);
  expect(await locker.withLock("published", ({ held }) => held)).toBe(true);
  await locker.sweep();
  await sql`drop publication everything`;
});

test("a member of pg_monitor reads a token that is written into a statement, and none of what the client sends", async () => {
  const role = await createRole(database);
  await sql.unsafe(`grant pg_monitor to ${role.name}`);
  const watcher = await openClient(role.url);
  const user = await openClient(database.url);
  const seen = async () =>
    (await watcher`select query from pg_stat_activity where datname = current_database()`)
      .map(({ query }) => query)
      .join("\n");
  const [grant] = await user`select token from leasehold.try_acquire('written')`;

  await user`select leasehold.renew('written', ${grant?.token})`;
  expect(await seen()).not.toContain(grant?.token);
  await user.unsafe(`select leasehold.release('written', '${grant?.token}')`);
  expect(await seen()).toContain(grant?.token);

  await using locker = openLocker(database);
  await using lock = await locker.acquire("bound");
  await lock.renew();
  expect(await seen()).toContain("leasehold_internal.renew");
  expect(await seen()).not.toContain(await tokenOf(sql, lock.key));
  await Promise.all([watcher.end(), user.end()]);
});
