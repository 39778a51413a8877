// Databases for tests, dropped when the file that made them is done.
import { randomBytes } from "node:crypto";
import type postgres from "postgres";
import { inject } from "vitest";
import { changeUrl, openClient } from "./client.js";
import type { Cluster } from "./cluster.js";
import { createFrom, explain } from "./create-database.js";
import { migrate } from "./migrate.js";
import { throughPooler } from "./pooler.js";
import { quote } from "./quote.js";

declare module "vitest" {
  interface ProvidedContext {
    server: TestServer;
  }
}

/** The server that a run's tests share (global-setup.ts). */
export interface TestServer {
  readonly url: string;
  /** Begins the names of all databases and roles of this run. */
  readonly prefix: string;
  /** A migrated database to copy, or why there is none. */
  readonly template: { readonly name: string } | { readonly error: string };
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** This database, as its owner; through the pooler of this run, if there is one. */
  readonly url: string;
  /** Another database on the same server, as the same user. */
  readonly adminUrl: string;
  /** A connected client of this database, as its owner, not counted as a leak. Never end it. */
  readonly sql: postgres.Sql;
  /** The cluster of the test's own that it is on; undefined on the shared server. */
  readonly cluster: Cluster | undefined;
  drop(): Promise<void>;
}

export interface DatabaseOptions {
  /** A cluster of the test's own, instead of the shared server. */
  readonly on?: Cluster;
  /** Such as LATIN1, for an empty one. Default: the server's. */
  readonly encoding?: string;
}

const made = new Set<TestDatabase>();

/** Those of this test file that are not dropped yet. */
export function databases(): TestDatabase[] {
  return [...made];
}

/** A new database with the schema of this version. */
export async function createDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  if (options.on) {
    const database = await create(options.on.url, newName("leasehold_test"), "template0", options.on);
    await migrate(database.url);
    return database;
  }
  const { url, prefix, template } = inject("server");
  if ("error" in template) throw new Error(`the database could not be migrated:\n${template.error}`);
  return create(url, newName(prefix), template.name);
}

/** A new database with nothing in it. */
export async function createEmptyDatabase(options: DatabaseOptions = {}): Promise<TestDatabase> {
  const server = options.on ? { url: options.on.url, prefix: "leasehold_test" } : inject("server");
  return create(server.url, newName(server.prefix), "template0", options.on, options.encoding);
}

export interface TestRole {
  readonly name: string;
  /** The database, as this role. */
  readonly url: string;
}

export interface RoleOptions {
  /** What its sessions begin with, such as `{ default_transaction_isolation: "repeatable read" }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Whether it may take locks: `leasehold.grant_usage`. */
  readonly grantUsage?: boolean;
  /** Part of its name, for instance one that must be quoted. */
  readonly label?: string;
}

/** A role without any privileges but LOGIN. It goes with the shared server's run, or with the cluster. */
export async function createRole(database: TestDatabase, options: RoleOptions = {}): Promise<TestRole> {
  const name = newName(`${database.cluster ? "leasehold_test" : inject("server").prefix}_${options.label ?? "role"}`);
  const password = randomBytes(9).toString("hex");
  const { sql } = database;
  await explain(sql, "createrole", () => sql.unsafe(`create role ${quote(name)} login password '${password}'`));
  for (const [setting, value] of Object.entries(options.settings ?? {})) {
    await sql.unsafe(`alter role ${quote(name)} set ${setting} = '${value}'`);
  }
  if (options.grantUsage) await sql`select leasehold.grant_usage(${name})`;
  return { name, url: changeUrl(database.url, { user: name, password }) };
}

async function create(
  server: string,
  name: string,
  template: string,
  cluster?: Cluster,
  encoding?: string,
): Promise<TestDatabase> {
  await createFrom(server, name, template, encoding);
  const direct = changeUrl(server, { database: name });
  const url = cluster ? direct : throughPooler(direct);
  const sql = await openClient(direct);
  const drop = async () => {
    if (!made.delete(database)) return;
    await sql.end({ timeout: 0 });
    if (cluster && cluster.pid === undefined) return; // it is gone, and the database with it
    const admin = await openClient(server);
    try {
      await admin.unsafe(`drop database if exists ${quote(name)} with (force)`);
    } finally {
      await admin.end({ timeout: 1 });
    }
  };
  const database: TestDatabase = { name, url, adminUrl: server, sql, cluster, drop, [Symbol.asyncDispose]: drop };
  made.add(database);
  return database;
}

function newName(prefix: string): string {
  return `${prefix}_${randomBytes(5).toString("hex")}`;
}
