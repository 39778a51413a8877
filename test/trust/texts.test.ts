// Every text that goes over a connection which is not ours alone is safe by itself, whatever its search_path is.
import { sql as drizzleSql } from "drizzle-orm";
import { bigint, integer, PgDialect, pgTable } from "drizzle-orm/pg-core";
import pg from "pg";
import postgres from "postgres";
import { expect, test } from "vitest";
import { fencedBy, fenceTable, unfenceTable, unguardTable } from "../../src/drizzle.js";
import { advisoryLock, type LockerOptions, type PostgresClient } from "../../src/index.js";
import * as acquire from "../../src/postgres/acts/acquire.js";
import * as acquireAll from "../../src/postgres/acts/acquire-all.js";
import * as check from "../../src/postgres/acts/check.js";
import * as checkFence from "../../src/postgres/acts/check-fence.js";
import * as flushCounters from "../../src/postgres/acts/flush-counters.js";
import * as forceRelease from "../../src/postgres/acts/force-release.js";
import * as handOver from "../../src/postgres/acts/hand-over.js";
import * as keepEntries from "../../src/postgres/acts/keep-entries.js";
import * as notify from "../../src/postgres/acts/notify.js";
import * as ping from "../../src/postgres/acts/ping.js";
import * as release from "../../src/postgres/acts/release.js";
import * as renew from "../../src/postgres/acts/renew.js";
import * as sweep from "../../src/postgres/acts/sweep.js";
import { passingSettings } from "../../src/postgres/connection/connect.js";
import { milliseconds } from "../../src/postgres/connection/exact-times.js";
import { foreignObjects } from "../../src/postgres/connection/owners.js";
import * as schemaCheck from "../../src/postgres/connection/schema-check.js";
import * as heartbeat from "../../src/postgres/session/heartbeat.js";
import * as sessionCheck from "../../src/postgres/session/session-check.js";
import { createDatabase } from "../support/database.js";
import { openLocker } from "../support/lockers.js";
import { type PostgresProxy, startProxy } from "../support/proxy.js";
import { libraries } from "../transactions/libraries.js";
import { live } from "./life.js";
import { lint } from "./lint.js";

/** The modules that have texts of statements. */
const acts: readonly object[] = [
  acquire,
  acquireAll,
  check,
  checkFence,
  flushCounters,
  forceRelease,
  notify,
  ping,
  release,
  handOver,
  renew,
  keepEntries,
  sweep,
  schemaCheck,
  heartbeat,
  sessionCheck,
];

const database = await createDatabase();

/** What came by, each once, without what a transaction of the user's own is made of. */
function textsOf(proxy: PostgresProxy): string[] {
  const theirs = /^(begin|commit|rollback|select 1|savepoint|release)\b[^;]*$/i;
  return [...new Set(proxy.statements.map(({ sql }) => sql.trim()))].filter(
    (text) => !theirs.test(text) && text !== "",
  );
}

function faultsOf(texts: readonly string[]): string[] {
  return texts.flatMap((text) => lint(text).map((fault) => `${fault} IN ${text.replace(/\s+/g, " ")}`));
}

const given: readonly (readonly [string, (url: string) => PostgresClient & { end(): Promise<unknown> }])[] = [
  ["client of postgres.js", (url) => postgres(url, { max: 3, fetch_types: false, onnotice: () => {} })],
  ["Pool of node-postgres", (url) => new pg.Pool({ connectionString: url, max: 3 })],
];

test.each(given)("what a locker sends over a %s that was given", async (_, open) => {
  await using proxy = await startProxy(database.url);
  const direct = database.url;
  const client = open(proxy.url(database.url));
  for (const options of [
    { client, directUrl: direct },
    { client, presence: "off" },
  ] as LockerOptions[]) {
    const name = `given ${options.presence}`;
    await live(
      openLocker(direct, { ...options, url: undefined }),
      openLocker(direct, { ...options, url: undefined }),
      name,
    );
  }
  await client.end();
  const texts = textsOf(proxy);
  for (const act of [
    "acquire_one",
    "release",
    "abandon",
    "renew",
    "inspect",
    "admin_force_release",
    "sees_session",
    "flush_counters",
    "schema_info",
  ]) {
    expect(texts.join("\n")).toContain(`leasehold_internal.${act}(`);
  }
  expect(texts.length).toBeGreaterThan(12);
  expect(faultsOf(texts)).toEqual([]);
});

test("what a locker sends to an address that may be a transaction pooler's", async () => {
  await using proxy = await startProxy(database.url);
  const pooled = proxy.url(database.url);
  for (const options of [{ directUrl: database.url }, { presence: "off" }] as LockerOptions[]) {
    await live(openLocker(pooled, options), openLocker(pooled, options), `pooled ${options.presence}`);
  }
  const texts = textsOf(proxy);
  expect(texts.join("\n")).toContain("leasehold_internal.sweep(");
  expect(texts.length).toBeGreaterThan(12);
  expect(faultsOf(texts)).toEqual([]);
});

test.each(libraries.map((library) => [library.name, library] as const))(
  "what a guard sends into a transaction of %s",
  async (_, library) => {
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    await using locker = openLocker(database);
    const lock = await locker.acquire(`texts:${library.name}`);
    await opened.guarded(lock, async (run) => await run("select 1"));
    await opened.plain((_run, tx) => lock.guard(tx, { acceptReconnect: library.acceptReconnect }));
    await lock.release();
    const texts = textsOf(proxy);
    expect(texts.join("\n")).toContain("leasehold_internal.guard(");
    expect(faultsOf(texts.map((text) => text.replace(/^begin[^;]*;/, "")))).toEqual([]);
  },
);

test.each(libraries.map((library) => [library.name, library] as const))(
  "what advisoryLock sends into a transaction of %s",
  async (_, library) => {
    await using proxy = await startProxy(database.url);
    await using opened = library.open(proxy.url(database.url));
    const { acceptReconnect } = library;
    await opened.plain(async (_run, tx) => {
      for (const shared of [false, true])
        for (const waitMs of [undefined, 0, 1_000]) await advisoryLock(tx, "it's", { shared, waitMs, acceptReconnect });
    });
    const texts = textsOf(proxy);
    for (const form of ["pg_advisory_xact_lock", "pg_try_advisory_xact_lock_shared"])
      expect(texts.join("\n")).toContain(`pg_catalog.${form}(`);
    expect(texts.filter((text) => text.includes("xact_lock"))).toHaveLength(6);
    expect(faultsOf(texts)).toEqual([]);
  },
);

test("what the entry for Drizzle makes", () => {
  const table = pgTable("accounts", { id: integer("id").primaryKey(), fence: bigint("fence", { mode: "bigint" }) });
  const dialect = new PgDialect();
  const texts = [
    fenceTable(table, table.fence),
    unfenceTable(table, table.fence),
    unguardTable(table),
    drizzleSql`select from public.accounts where ${fencedBy(table.fence, 1n)}`,
  ].map((made) => dialect.sqlToQuery(made).sql);
  expect(faultsOf(texts)).toEqual([]);
});

test("every statement of the hot paths, sent in that life or not, and those that look at owners", () => {
  const texts = acts
    .flatMap((act) => Object.entries(act))
    .flatMap(([name, value]) =>
      typeof value === "string" ? [name === "EXACT_TIMES" ? `select ${value}` : value] : [],
    );
  expect(texts.length).toBeGreaterThan(15);
  texts.push(`select ${milliseconds("pg_catalog.clock_timestamp()")}`);
  // sent before it is known whose the connection is
  texts.push(...passingSettings.filter((text) => !text.startsWith("set local ")));
  expect(faultsOf([...texts, ...(["creator", "caller", "migrator"] as const).map(foreignObjects)])).toEqual([]);
});
