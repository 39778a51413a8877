import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { is } from "drizzle-orm";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as migrateByDrizzle } from "drizzle-orm/postgres-js/migrator";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateDatabase } from "../../src/postgres/schema/migrate.js";
import { migrations } from "../../src/postgres/schema/migrations.generated.js";
import * as schema from "../../src/postgres/schema/schema.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { connectTo } from "./connection.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const migrationsFolder = `${root}/migrations`;
const tables = Object.values(schema).filter((value) => is(value, PgTable));
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster.destroy());

test("the embedded migrations are those of the folder", () => {
  const embedded = migrations.map(({ statements, when, hash }) => ({
    sql: statements,
    folderMillis: when,
    hash,
    bps: true,
  }));
  expect(embedded).toEqual(readMigrationFiles({ migrationsFolder }));
});

test("the folder and the embedded migrations are what src/sql and schema.ts make, byte for byte", () => {
  const check = spawnSync(process.execPath, ["--import", "tsx", "scripts/build-migrations.ts", "--check"], {
    cwd: root,
  });
  expect({ status: check.status, stderr: String(check.stderr) }).toEqual({ status: 0, stderr: "" });
});

test("each migration comes later than the one before, for drizzle skips what does not", () => {
  const times = migrations.map(({ when }) => when);
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
});

test("drizzle-kit finds its files consistent, and nothing in the tables that no migration has", async () => {
  const check = spawnSync(process.execPath, ["node_modules/drizzle-kit/bin.cjs", "check"], { cwd: root });
  expect(String(check.stdout)).toContain("Everything's fine");

  // By require: drizzle-kit's own ES module of this entry calls a require that does not exist there.
  const { generateDrizzleJson, generateMigration } = createRequire(import.meta.url)("drizzle-kit/api");
  const latest = JSON.parse(
    readFileSync(`${migrationsFolder}/meta/${migrations.at(-1)?.tag.slice(0, 4)}_snapshot.json`, "utf8"),
  );
  const current = generateDrizzleJson(schema, latest.id, ["leasehold"]);
  expect(await generateMigration(latest, current)).toEqual([]);
});

test("the migrated tables are those of schema.ts", async () => {
  const { url } = await emptyDatabase("tables");
  await migrateDatabase(connectTo(url));
  const sql = await openClient(url);
  const rows = await sql`
    select c.relname::text as table, a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'leasehold'::regnamespace and c.relkind = 'r' and c.relname <> 'migrations'
      and a.attnum > 0 and not a.attisdropped
    order by c.relname collate "C", a.attnum`;
  const declared = tables
    .map((table) => getTableConfig(table))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name, columns }) =>
      columns.map((column) => ({
        table: name,
        name: column.name,
        type: column.getSQLType().replace(' COLLATE "C"', ""),
        required: column.notNull,
      })),
    );
  expect([...rows]).toEqual(declared);
  await sql.end();
});

test("who migrates with drizzle from the folder, and who with migrate(), find the work of the other done", async () => {
  const byFolder = await emptyDatabase("by_folder");
  await migrateFromFolder(byFolder.url);
  const books = await migrationBooks(byFolder.url);
  await migrateDatabase(connectTo(byFolder.url));
  expect(await migrationBooks(byFolder.url)).toEqual(books);

  const byUs = await emptyDatabase("by_us");
  await migrateDatabase(connectTo(byUs.url));
  expect(await migrationBooks(byUs.url)).toEqual(books);
  expect(await shapeOfBooks(byUs.url)).toEqual(await shapeOfBooks(byFolder.url));
  await migrateFromFolder(byUs.url);
  expect(await migrationBooks(byUs.url)).toEqual(books);
});

test("a database that has the tables alone gets the rest", async () => {
  const { url } = await emptyDatabase("first_half");
  const sql = await openClient(url);
  const [tablesOnly] = migrations;
  if (tablesOnly === undefined) throw new Error("there is no first migration");
  await sql.unsafe(tablesOnly.statements.join("\n"));
  await sql.unsafe("create table leasehold.migrations (id serial primary key, hash text not null, created_at bigint)");
  await sql`insert into leasehold.migrations (hash, created_at) values (${tablesOnly.hash}, ${tablesOnly.when})`;
  await sql.end();
  await migrateDatabase(connectTo(url));
  expect(await migrationBooks(url)).toHaveLength(migrations.length);
});

test("what was applied is told by the newest time in the books, not by the order of their rows or by their hashes", async () => {
  const { url } = await emptyDatabase("books");
  await migrateDatabase(connectTo(url));
  const sql = await openClient(url);
  await sql`truncate leasehold.migrations`;
  for (const { when } of [...migrations].reverse()) {
    await sql`insert into leasehold.migrations (hash, created_at) values ('of another build', ${when})`;
  }
  const books = await migrationBooks(url);
  await sql`truncate leasehold.schema_version`; // which says that all is done: without it, the books are read
  await migrateDatabase(connectTo(url));
  expect(await migrationBooks(url)).toEqual(books);
  await sql.end();
});

async function emptyDatabase(name: string): Promise<{ url: string }> {
  await (await cluster.sql()).unsafe(`create database ${name}`);
  return { url: changeUrl(cluster.url, { database: name }) };
}

async function migrateFromFolder(url: string): Promise<void> {
  const sql = await openClient(url);
  await migrateByDrizzle(drizzle(sql), {
    migrationsFolder,
    migrationsSchema: "leasehold",
    migrationsTable: "migrations",
  });
  await sql.end();
}

async function migrationBooks(url: string): Promise<unknown[]> {
  const sql = await openClient(url);
  const rows = await sql`select id, hash, created_at from leasehold.migrations order by id`;
  await sql.end();
  return [...rows];
}

/** The table as the catalog tells it: its columns, their defaults, and its keys. */
async function shapeOfBooks(url: string): Promise<unknown[]> {
  const sql = await openClient(url);
  const rows = await sql`
    select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
           pg_get_expr(d.adbin, d.adrelid) as default, pg_get_serial_sequence('leasehold.migrations', a.attname) as sequence,
           (select string_agg(pg_get_constraintdef(k.oid), ', ' order by k.conname) from pg_constraint k
             where k.conrelid = a.attrelid and k.contype = 'p') as key
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = 'leasehold.migrations'::regclass and a.attnum > 0 order by a.attnum`;
  await sql.end();
  return [...rows];
}
