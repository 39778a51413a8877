import type postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { connectTo } from "./connection.js";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster.destroy());

test("a second run changes nothing, and writes nothing", async () => {
  const { url, sql } = await emptyDatabase("twice");
  await sql.unsafe("create role twice");
  await migrateDatabase(connectTo(url), { grantTo: "twice" });
  const before = await catalog(sql);
  await migrateDatabase(connectTo(url), { grantTo: ["twice"] });
  expect(await catalog(sql)).toEqual(before);
  await sql.end();

  /** Rows with the transaction that wrote them. */
  async function catalog(sql: postgres.Sql): Promise<unknown[]> {
    const rows = await sql`
      select xmin::text, oid::regclass::text as name from pg_class where relnamespace = 'leasehold'::regnamespace
      union all select xmin::text, oid::regprocedure::text from pg_proc
        where pronamespace in ('leasehold'::regnamespace, 'leasehold_internal'::regnamespace)
      union all select xmin::text, nspname::text from pg_namespace
      union all select xmin::text, version::text from leasehold.schema_version
      union all select xmin::text, base::text from leasehold.fence_epoch
      order by 2`;
    return [...rows];
  }
});

test("what a role has as its defaults does not get in the way", async () => {
  const { url, sql } = await emptyDatabase("defaults");
  const [has] = await sql`select from pg_settings where name = 'transaction_timeout'`;
  for (const setting of [
    "default_transaction_isolation = 'serializable'",
    "lock_timeout = '1ms'",
    "statement_timeout = '400ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    ...(has === undefined ? [] : ["transaction_timeout = '400ms'"]),
    "search_path = 'public'",
    "default_transaction_deferrable = on",
    "bytea_output = 'escape'",
    "standard_conforming_strings = off",
  ]) {
    await sql.unsafe(`alter database defaults set ${setting}`);
  }
  // It waits for as long as any of them would cut it short.
  await sql`select pg_advisory_lock(1279480142, 0)`;
  const migrated = migrateDatabase(connectTo(url));
  await sql`select pg_sleep(1)`;
  await sql`select pg_advisory_unlock(1279480142, 0)`;
  await migrated;
  expect(await sql`select version from leasehold.schema_version`).toEqual([{ version: 2 }]);
  await sql.end();
});

test("a newer schema that can live with this client is left alone, one that cannot is refused", async () => {
  const { url, sql } = await emptyDatabase("newer");
  await migrateDatabase(connectTo(url));
  await sql`insert into leasehold.schema_version (version, min_client) values (3, 2)`;
  await migrateDatabase(connectTo(url));
  await sql`insert into leasehold.schema_version (version, min_client) values (4, 3)`;
  await expect(migrateDatabase(connectTo(url))).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("Update the package"),
  });
  expect(await sql`select max(version) as version from leasehold.schema_version`).toEqual([{ version: 4 }]);
  await sql.end();
});

test("a schema that was taken apart by hand is said to be so", async () => {
  const { url, sql } = await emptyDatabase("apart");
  await migrateDatabase(connectTo(url));
  await sql.unsafe("set client_min_messages = error; drop schema leasehold_internal cascade");
  await expect(migrateDatabase(connectTo(url))).rejects.toMatchObject({
    code: "unsupported",
    message: expect.stringContaining("by hand"),
  });
  await sql.end();
});

test("a standby and a read-only database are refused", async () => {
  await using standby = await cluster.createStandby();
  await standby.caughtUp();
  await expect(migrateDatabase(connectTo(standby.url))).rejects.toMatchObject({ code: "unsafe-backend" });

  const { url, sql } = await emptyDatabase("read_only");
  await sql.unsafe("alter database read_only set default_transaction_read_only = on");
  await expect(migrateDatabase(connectTo(url))).rejects.toMatchObject({ code: "unsafe-backend" });
  await sql.end();
});

test("a server that is not there is an error, and nothing was changed", async () => {
  const gone = changeUrl(cluster.url, { port: 1 });
  await expect(migrateDatabase(connectTo(gone))).rejects.toMatchObject({ code: "unavailable", outcome: "not-sent" });
});

test.each([
  ["grantTo", { grantTo: "" }],
  ["grantTo", { grantTo: ["app", 1] }],
  ["grantTo", { grantTo: null }],
  ["lockTimeoutMs", { lockTimeoutMs: 0 }],
  ["lockTimeoutMs", { lockTimeoutMs: "1s" }],
])("%s is checked before anything is sent: %j", async (option, options) => {
  const connect = () => {
    throw new Error("connected");
  };
  await expect(migrateDatabase(connect, options as never)).rejects.toMatchObject({ code: "invalid-option", option });
});

test("sessions and waiters end with their server, and the other tables do not", async () => {
  const { url, sql } = await emptyDatabase("kinds");
  await migrateDatabase(connectTo(url));
  const unlogged = await sql`
    select relname::text as name, relkind::text as kind from pg_class
    where relnamespace = 'leasehold'::regnamespace and relkind in ('r', 'S') and relpersistence = 'u' order by 1`;
  expect([...unlogged]).toEqual([
    { name: "sessions", kind: "r" },
    { name: "waiters", kind: "r" },
  ]);
  await sql.end();
});

test("keys are compared by their bytes, and leases have no index but the primary key", async () => {
  const { url, sql } = await emptyDatabase("keys");
  await migrateDatabase(connectTo(url));
  const collations = await sql`
    select attrelid::regclass::text as table, collname::text as collation
    from pg_attribute join pg_collation on pg_collation.oid = attcollation
    where attrelid in ('leasehold.leases'::regclass, 'leasehold.waiters'::regclass) and attname = 'key' order by 1`;
  expect([...collations]).toEqual([
    { table: "leasehold.leases", collation: "C" },
    { table: "leasehold.waiters", collation: "C" },
  ]);
  expect(
    await sql`select indexrelid::regclass::text as name from pg_index where indrelid = 'leasehold.leases'::regclass`,
  ).toEqual([{ name: "leasehold.leases_pkey" }]);
  await sql.end();
});

test("operators find a comment on every table, column and function", async () => {
  const { url, sql } = await emptyDatabase("comments");
  await migrateDatabase(connectTo(url));
  const bare = await sql`
    select c.oid::regclass || coalesce('.' || a.attname, '') as name
    from pg_class c left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and c.relkind <> 'S'
    where c.relnamespace = 'leasehold'::regnamespace and c.relkind in ('r', 'v', 'S') and c.relname not like 'migrations%'
      and col_description(c.oid, coalesce(a.attnum, 0)) is null
    union all
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = 'leasehold'::regnamespace and obj_description(p.oid, 'pg_proc') is null`;
  expect([...bare]).toEqual([]);
  await sql.end();
});

async function emptyDatabase(name: string): Promise<{ url: string; sql: postgres.Sql }> {
  await (await cluster.sql()).unsafe(`create database ${name}`);
  const url = changeUrl(cluster.url, { database: name });
  return { url, sql: await openClient(url) };
}
