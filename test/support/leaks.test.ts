import postgres from "postgres";
import { expect, test } from "vitest";
import { startWorker } from "./child.js";
import { createDatabase, createRole, type TestDatabase } from "./database.js";
import { baseline, cleanUp, expectLeft, findLeaks } from "./leaks.js";

let database: TestDatabase;

test("a database is migrated, and gone when it is dropped", async () => {
  const other = await createDatabase();
  expect(await other.sql`select version from leasehold.schema_version`).toHaveLength(1);
  await other.drop();
  database = await createDatabase();
  expect(await database.sql`select from pg_database where datname = ${other.name}`).toHaveLength(0);
});

test("a role begins with its settings and may do nothing", async () => {
  const role = await createRole(database, {
    label: "Mixed Case",
    settings: { statement_timeout: "1min" },
    grantUsage: true,
  });
  const sql = postgres(role.url, { max: 1, fetch_types: false });
  expect(await sql`show statement_timeout`).toMatchObject([{ statement_timeout: "1min" }]);
  await expect(sql`select from leasehold.leases`).rejects.toMatchObject({ code: "42501" });
  await sql.end();
});

test("sockets, timers and processes are found, also when they are unref'd", async () => {
  const before = baseline();
  const timer = setTimeout(() => {}, 60_000).unref();
  const sql = postgres(database.url, { max: 1, fetch_types: false, max_lifetime: null });
  await sql`select 1`;
  const worker = await startWorker("test/support/fixtures/echo-worker.ts");
  const leaks = await findLeaks(before, 0);
  expect(leaks.map((leak) => leak.split("\n")[0])).toEqual([
    expect.stringContaining("socket to port"),
    "timer",
    expect.stringContaining("worker echo-worker.ts"),
  ]);
  expect(leaks[1]).toContain("leaks.test.ts");
  await cleanUp(before);
  expect(await worker.exit).toMatchObject({ signal: "SIGKILL" });
  clearTimeout(timer);
  await sql.end();
  expect(await findLeaks(before, 5_000)).toEqual([]);
});

test("rows, connections and presence locks are found", async () => {
  const before = baseline();
  const sql = postgres(database.url, {
    max: 1,
    fetch_types: false,
    connection: { application_name: "leasehold test" },
  });
  await sql`select pg_advisory_lock(1279480140, 7)`;
  await database.sql`insert into leasehold.leases (key, token, fence, ttl_ms) values ('k', gen_random_uuid(), 1, 1000)`;
  const leaks = (await findLeaks(before, 0)).filter((leak) => leak.includes(database.name));
  expect(leaks).toEqual([
    expect.stringContaining("lease k"),
    expect.stringContaining('connection "leasehold test"'),
    expect.stringContaining("advisory lock (1279480140, 7)"),
  ]);
  await sql.end();
  expectLeft(database, "leases");
  expect(await findLeaks(before, 5_000)).toEqual([]);
});

test("what was expected to be left is gone in the next test", async () => {
  expect(await database.sql`select from leasehold.leases`).toHaveLength(0);
});

test.fails("a test that leaves a lease fails", async () => {
  await database.sql`insert into leasehold.leases (key, token, fence, ttl_ms) values ('k', gen_random_uuid(), 1, 1000)`;
});
