// Nobody's operator, function, type or relation is used by a statement of ours, on whichever connection, whatever the path is.
import { sql as drizzleSql } from "drizzle-orm";
import { bigint, integer, pgTable } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/postgres-js";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pendingMigration, script, wholeSchema } from "../../src/cli/migration-script.js";
import {
  activeLeases,
  deadlocks,
  fencedBy,
  fenceTable,
  guardTable,
  unfenceTable,
  unguardTable,
} from "../../src/drizzle.js";
import { advisoryLock, type LockerOptions } from "../../src/index.js";
import { runCli } from "../support/cli.js";
import { changeUrl, openClient } from "../support/client.js";
import { type Cluster, startCluster } from "../support/cluster.js";
import { cliProgram } from "../support/compiled.js";
import { openLocker } from "../support/lockers.js";
import { startPgBouncer } from "../support/pgbouncer.js";
import { libraries } from "../transactions/libraries.js";
import { live } from "./life.js";
import { setTraps, sprung } from "./traps.js";

/** Where the traps are, and the path of whoever connects. `public` is in everybody's path anyway. */
const places = [
  { schema: "evil", path: "evil, pg_catalog, public" },
  { schema: "public", path: '"$user", public' },
] as const;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ settings: { log_error_verbosity: "terse" } });
  const admin = await cluster.sql();
  for (const { schema } of places) {
    await admin.unsafe(`create database trapped_${schema}`);
    const sql = await openClient(urlOf(schema));
    if (schema !== "public") await sql.unsafe(`create schema ${schema}`);
    const counts = await setTraps(sql, schema);
    expect(counts.operators).toBeGreaterThan(1_500);
    expect(counts.functions).toBeGreaterThan(90);
    expect(counts.types).toBeGreaterThan(12);
    expect(counts.relations).toBeGreaterThan(15);
    await sql.end();
  }
  for (const { schema, path } of places)
    await admin.unsafe(`alter database trapped_${schema} set search_path = ${path}`);
});

afterAll(() => cluster.destroy());

function urlOf(schema: string): string {
  return changeUrl(cluster.url, { database: `trapped_${schema}` });
}

let marks = 0;

/** A point in the server's log: what was logged before it is there. */
async function mark(): Promise<string> {
  marks += 1;
  const text = `MARK ${marks} `;
  await (await cluster.sql()).unsafe(`do $$ begin raise log '${text}'; end $$`);
  while (!cluster.log.includes(text)) await new Promise((resolve) => setTimeout(resolve, 10));
  return text;
}

/** What is sprung while `act` runs. */
async function sprungBy(act: () => Promise<unknown>): Promise<string[]> {
  const start = await mark();
  await act();
  const end = await mark();
  const { log } = cluster;
  return sprung(log.slice(Math.max(0, log.indexOf(start)), log.indexOf(end)));
}

/** Each place is migrated by its first test, under its path. */
const ways: readonly (readonly [string, (url: string) => LockerOptions & { end?: () => Promise<unknown> }])[] = [
  ["connections of our own", (url) => ({ url })],
  ["connections of our own without presence", (url) => ({ url, presence: "off" })],
  [
    "a client that was given",
    (url) => {
      const sql = postgres(url, { max: 2, fetch_types: false, onnotice: () => {} });
      return { url, client: sql, end: () => sql.end() };
    },
  ],
  [
    "a client that was given, without presence",
    (url) => {
      const sql = postgres(url, { max: 2, fetch_types: false, onnotice: () => {} });
      return { client: sql, presence: "off", end: () => sql.end() };
    },
  ],
  [
    "a Pool that was given",
    (url) => {
      const client = new pg.Pool({ connectionString: url, max: 2 });
      return { url, client, end: () => client.end() };
    },
  ],
  [
    "a Pool that was given, without presence",
    (url) => {
      const client = new pg.Pool({ connectionString: url, max: 2 });
      return { client, presence: "off", end: () => client.end() };
    },
  ],
];

test.each([
  ["select 1 + 1", "operator integer + integer"],
  ["select 1::bigint * 2::numeric", "operator bigint * numeric"],
  ["select current_setting('lock_timeout')", "function current_setting(text)"],
  ["select unnest('{a}'::pg_catalog.text[])", "function unnest(text[])"],
  ["select pg_catalog.now()::text", "type text"],
  ["select 1 from pg_locks limit 1", "relation pg_locks"],
  ["select 1 where 1 in (2)", "operator integer = integer"],
])("the traps of a schema before pg_catalog are sprung by %s", async (text, trap) => {
  const sql = await openClient(urlOf("evil"));
  expect((await sprungBy(() => sql.unsafe(text))).join("\n")).toContain(`SPRUNG ${trap} BY`);
  await sql.end();
});

test.each([
  ["select extract(epoch from pg_catalog.now()) * 1000", "operator numeric * integer"],
  ["select left('a'::pg_catalog.name, 1)", "function left(name, integer)"],
  ["select 1 from pg_catalog.pg_class c where c.oid = 1::smallint", "operator oid = smallint"],
])("the traps of public are sprung by %s, for which Postgres has nothing that fits exactly", async (text, trap) => {
  const sql = await openClient(urlOf("public"));
  const found = (await sprungBy(() => sql.unsafe(text))).join("\n");
  expect(found).toContain(`SPRUNG ${trap} BY`);
  await sql.end();
});

describe.each(places)("traps in $schema", ({ schema }) => {
  test("the migrator springs none, and binds none for good", async () => {
    const locker = openLocker(urlOf(schema));
    expect(await sprungBy(() => locker.migrate({ grantTo: "postgres" }))).toEqual([]);
    expect(await sprungBy(() => locker.migrate({ grantTo: "postgres" }))).toEqual([]);
    await locker.close();
    expect(await bound(schema)).toEqual([]);
  });

  test("the printed script springs none, and binds none for good", async () => {
    const sql = await openClient(urlOf(schema));
    await sql.unsafe("set client_min_messages = error; drop schema leasehold, leasehold_internal cascade");
    await sql.end();
    const printed = script(await wholeSchema());
    const runner = await openClient(urlOf(schema));
    expect(await sprungBy(() => runner.unsafe(printed))).toEqual([]);
    const query = (text: string, parameters: readonly unknown[] = []) => runner.unsafe(text, parameters as never[]);
    const again = async () => expect(await pendingMigration({ query } as never, ["postgres"])).toEqual([]);
    expect(await sprungBy(again)).toEqual([]);
    await runner.end();
    expect(await bound(schema)).toEqual([]);
  });

  test.each(ways)("a life over %s springs none", async (name, options) => {
    const url = urlOf(schema);
    const { end, ...own } = options(url);
    const [locker, other] = [openLocker(url, own as LockerOptions), openLocker(url, own as LockerOptions)];
    expect(await sprungBy(() => live(locker, other, name).finally(() => end?.()))).toEqual([]);
  });

  test("a life through a transaction pooler springs none", async ({ skip }) => {
    await using pgbouncer = await startPgBouncer(urlOf(schema));
    if (!pgbouncer) return skip("PgBouncer is not installed");
    const direct = { url: pgbouncer.url(urlOf(schema)), directUrl: urlOf(schema) };
    for (const options of [direct, { url: pgbouncer.url(urlOf(schema)), presence: "off" }] as LockerOptions[]) {
      const lockers = [openLocker(options.url as string, options), openLocker(options.url as string, options)] as const;
      expect(await sprungBy(() => live(...lockers, `pooled ${options.presence}`))).toEqual([]);
    }
  });

  test.each(libraries.map((library) => [library.name, library] as const))(
    "a guarded transaction over %s springs none",
    async (_, library) => {
      await using opened = library.open(urlOf(schema));
      await using locker = openLocker(urlOf(schema));
      const lock = await locker.acquire("guarded");
      const act = async () => {
        await opened.guarded(lock, async (run) => await run("select 1"));
        await opened.plain((_run, tx) => lock.guard(tx, { acceptReconnect: library.acceptReconnect }));
      };
      expect(await sprungBy(act)).toEqual([]);
      await lock.release();
    },
  );

  test.each(libraries.map((library) => [library.name, library] as const))(
    "advisoryLock over %s springs none",
    async (_, library) => {
      await using opened = library.open(urlOf(schema));
      const { acceptReconnect } = library;
      const act = () =>
        opened.plain(async (_run, tx) => {
          for (const shared of [false, true])
            for (const waitMs of [undefined, 0, 1_000])
              await advisoryLock(tx, "a", { shared, waitMs, acceptReconnect });
        });
      expect(await sprungBy(act)).toEqual([]);
    },
  );

  test("triggers, views, and Drizzle's words for them spring none", async () => {
    const sql = postgres(urlOf(schema), { max: 1, onnotice: () => {}, fetch_types: false });
    const table = pgTable("accounts", {
      id: integer("id").primaryKey(),
      fence: bigint("fence", { mode: "bigint" }),
    });
    await sql.unsafe("create table if not exists public.accounts (id pg_catalog.int4 primary key, fence bigint)");
    await sql.unsafe("set search_path = pg_catalog, public");
    const db = drizzle(sql);
    const path = places.find((place) => place.schema === schema)?.path ?? "";
    await using locker = openLocker(urlOf(schema));
    const lock = await locker.acquire("account:1");
    await sql.unsafe(`set search_path = ${path}`);
    const act = async () => {
      await db.execute(fenceTable(table, table.fence));
      await db.execute(guardTable(table, drizzleSql`'account:1'::pg_catalog.text`));
      await lock.transaction(db, async (tx) => {
        await tx.execute(drizzleSql`insert into public.accounts (id, fence) values (1, 1)`);
        await tx.execute(drizzleSql`update public.accounts set fence = 2`);
        await tx.update(table).set({ fence: lock.fence }).where(fencedBy(table.fence, lock));
        await tx.execute(drizzleSql`delete from public.accounts`);
      });
      for (const name of [
        "active_leases",
        "waiting",
        "live_sessions",
        "expired_leases",
        "deadlocks",
        "stats",
        "stats_by_prefix",
        "hot_keys",
      ]) {
        await sql.unsafe(`select * from leasehold.${name}`);
      }
      await db.select().from(activeLeases);
      await db.select().from(deadlocks);
      await db.execute(unguardTable(table));
      await db.execute(unfenceTable(table, table.fence));
    };
    expect(await sprungBy(act)).toEqual([]);
    await lock.release();
    await sql.end();
  });

  test("call leasehold.acquire springs none, with its caller's rights under its caller's path, while it waits", async () => {
    await using locker = openLocker(urlOf(schema));
    const lock = await locker.acquire("called");
    const sql = postgres(urlOf(schema), { max: 2, onnotice: () => {}, fetch_types: false });
    const act = async () => {
      const late = sql.unsafe("call leasehold.acquire('called', wait => '200 ms')").catch((error) => error);
      const call = sql.unsafe("call leasehold.acquire('called', wait => '1 min')").execute();
      const refusal = await late;
      expect(refusal).toMatchObject({ code: "LH009" });
      await lock.release();
      const [row] = await call;
      await sql.unsafe("select leasehold.release('called', $1)", [row?.token]);
    };
    expect(await sprungBy(act)).toEqual([]);
    await sql.end();
  });

  test("the command line springs none", async () => {
    const cli = cliProgram();
    const held = openLocker(urlOf(schema));
    await held.acquire("shown");
    for (const command of [
      ["migrate"],
      ["migrate", "--dry-run", "--grant-to", "postgres"],
      ["doctor"],
      ["ls"],
      ["ls", "show"],
      ["show", "shown"],
      ["waiting"],
      ["sessions"],
      ["stats"],
      ["hot"],
      ["sweep"],
      ["run", "ran", "--", process.execPath, "-e", "0"],
      ["release", "--force", "shown"],
    ]) {
      const result = { code: -1 as unknown, stderr: "" };
      const act = async () => Object.assign(result, await runCli(cli, command, { url: urlOf(schema) }));
      expect(await sprungBy(act), command.join(" ")).toEqual([]);
      expect(result.stderr, command.join(" ")).not.toContain("leasehold:");
    }
    await held.close();
  });
});

/** What of ours depends on something of a schema with traps. */
async function bound(schema: string): Promise<unknown[]> {
  const sql = await openClient(`${urlOf(schema)}?search_path=pg_catalog`);
  const rows = await sql`
    select pg_describe_object(d.classid, d.objid, d.objsubid) as what, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) as uses
      from pg_depend d
     where (pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid)).schema = ${schema}
       and pg_describe_object(d.classid, d.objid, d.objsubid) ~ 'leasehold'`;
  await sql.end();
  return [...rows];
}
