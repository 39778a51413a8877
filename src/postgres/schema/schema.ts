import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  customType,
  doublePrecision,
  inet,
  integer,
  jsonb,
  type PgSchema,
  type PgSequence,
  type PgTable,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  unique,
  uuid,
} from "drizzle-orm/pg-core";
import { counterColumns } from "../../store/counter-columns.js";

/**
 * The tables, from which drizzle-kit generates `migrations/0000_tables.sql`. What Drizzle has no words for (unlogged,
 * storage parameters, comments) and all functions are in `src/sql`. This file is read by drizzle-kit
 * and by tests; nothing at run time imports it.
 */
export const leasehold: PgSchema<"leasehold"> = pgSchema("leasehold");

// Collation "C": the order in which every function locks its keys must be the same on each server and locale (a deadlock
// otherwise, rule 5), and must not change under the index when the operating system's collations do.
const keyText = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });

const instant = (name: string) => timestamp(name, { withTimezone: true });

/** Fences where the service hides the write-ahead log, and nowhere else. Cache 1: a cached block would be issued out of order. */
export const fences: PgSequence = leasehold.sequence("fences", { startWith: 1, minValue: 1, cache: 1 });

/** The order of every queue. */
export const tickets: PgSequence = leasehold.sequence("tickets", { startWith: 1, minValue: 1, cache: 1 });

/** Each is the second half of a two-integer advisory lock, hence the bound. */
export const sessionIds: PgSequence = leasehold.sequence("session_ids", {
  startWith: 1,
  minValue: 1,
  maxValue: 2_147_483_647,
  cache: 1,
  cycle: true,
});

// No index but the primary key: an index on a column that renewal or release changes ends HOT updates (500 of 500 became 0).
export const leases: PgTable = leasehold.table(
  "leases",
  {
    key: keyText("key").primaryKey(),
    token: uuid("token"),
    fence: bigint("fence", { mode: "bigint" }).notNull(),
    owner: text("owner"),
    sessionId: integer("session_id"),
    ttlMs: integer("ttl_ms").notNull(),
    takeoverMs: integer("takeover_ms"),
    minHoldMs: integer("min_hold_ms").notNull().default(0),
    maxHoldUntil: instant("max_hold_until"),
    acquiredAt: instant("acquired_at"),
    renewedAt: instant("renewed_at"),
    expiresAt: instant("expires_at"),
    holdUntil: instant("hold_until"),
    revokedAt: instant("revoked_at"),
    queued: boolean("queued").notNull().default(false),
    metadata: jsonb("metadata"),
    releasedAt: instant("released_at"),
    acquisitions: bigint("acquisitions", { mode: "bigint" }).notNull().default(sql`0`),
  },
  (table) => [check("leases_key_length", sql`octet_length(${table.key}) between 1 and 512`)],
);

export const waiters: PgTable = leasehold.table(
  "waiters",
  {
    key: keyText("key").notNull(),
    ticket: bigint("ticket", { mode: "bigint" }).notNull(),
    token: uuid("token").notNull(),
    sessionId: integer("session_id"),
    owner: text("owner").notNull(),
    weight: integer("weight"),
    capacity: integer("capacity"),
    enqueuedAt: instant("enqueued_at").notNull(),
    aliveUntil: instant("alive_until").notNull(),
  },
  (table) => [
    primaryKey({ name: "waiters_pkey", columns: [table.key, table.ticket] }),
    unique("waiters_key_token_unique").on(table.key, table.token),
  ],
);

// No third index, and none on a column that renewal, release or revocation changes: a release that set the token to null under a
// unique index waited for an open guard (rule 2).
export const shares: PgTable = leasehold.table(
  "shares",
  {
    key: keyText("key").notNull(),
    token: uuid("token").notNull(),
    fence: bigint("fence", { mode: "bigint" }).notNull(),
    weight: integer("weight").notNull(),
    capacity: integer("capacity"),
    owner: text("owner"),
    sessionId: integer("session_id"),
    ttlMs: integer("ttl_ms").notNull(),
    takeoverMs: integer("takeover_ms"),
    minHoldMs: integer("min_hold_ms").notNull(),
    maxHoldUntil: instant("max_hold_until"),
    acquiredAt: instant("acquired_at").notNull(),
    renewedAt: instant("renewed_at").notNull(),
    expiresAt: instant("expires_at").notNull(),
    holdUntil: instant("hold_until"),
    revokedAt: instant("revoked_at"),
    releasedAt: instant("released_at"),
    metadata: jsonb("metadata"),
  },
  (table) => [
    primaryKey({ name: "shares_pkey", columns: [table.key, table.token] }),
    unique("shares_key_fence_unique").on(table.key, table.fence),
    check("shares_weight", sql`${table.weight} between 1 and coalesce(${table.capacity}, 1)`),
  ],
);

export const sessions: PgTable = leasehold.table("sessions", {
  id: integer("id").primaryKey(),
  nonce: uuid("nonce").notNull(),
  owner: text("owner").notNull(),
  pid: integer("pid").notNull(),
  host: text("host").notNull(),
  clientAddress: inet("client_address"),
  applicationName: text("application_name").notNull(),
  version: text("version").notNull(),
  startedAt: instant("started_at").notNull(),
  seenAt: instant("seen_at").notNull(),
});

export const fenceEpoch: PgTable = leasehold.table(
  "fence_epoch",
  {
    id: boolean("id").primaryKey().default(true),
    systemIdentifier: bigint("system_identifier", { mode: "bigint" }),
    databaseId: uuid("database_id").notNull().default(sql`gen_random_uuid()`),
    base: bigint("base", { mode: "bigint" }).notNull(),
    top: bigint("top", { mode: "bigint" }).notNull(),
    source: text("source", { enum: ["auto", "manual"] }).notNull(),
    epoch: bigint("epoch", { mode: "bigint" }).notNull(),
    serverStart: instant("server_start"),
  },
  (table) => [
    check("fence_epoch_single_row", sql`${table.id}`),
    check("fence_epoch_source", sql`${table.source} in ('auto', 'manual')`),
  ],
);

/** High-water marks for writers that cannot share a transaction with their lease. No index but the primary key: raising a mark is a HOT update. */
export const resourceFences: PgTable = leasehold.table(
  "resource_fences",
  {
    resource: keyText("resource").primaryKey(),
    fence: bigint("fence", { mode: "bigint" }).notNull(),
    checkedAt: instant("checked_at").notNull(),
  },
  (table) => [check("resource_fences_resource_length", sql`octet_length(${table.resource}) between 1 and 512`)],
);

/** Where the sweeper is in its pass over the leases, for all who sweep in turn. */
export const sweeper: PgTable = leasehold.table(
  "sweeper",
  {
    id: boolean("id").primaryKey().default(true),
    afterKey: keyText("after_key"),
    sweptAt: instant("swept_at").notNull().default(sql`'-infinity'`),
  },
  (table) => [check("sweeper_single_row", sql`${table.id}`)],
);

const count = (name: string) => bigint(name, { mode: "bigint" }).notNull();
const buckets = (name: string) => bigint(name, { mode: "bigint" }).array().notNull();

/**
 * What clients have counted: each writes a row of its own, and begins a new one every hour, so that nobody waits for another. No
 * index but the primary key: each flush is a HOT update.
 */
export const counters: PgTable = leasehold.table("counters", {
  id: uuid("id").primaryKey(),
  sequence: integer("sequence").notNull(),
  startedAt: instant("started_at").notNull(),
  flushedAt: instant("flushed_at").notNull(),
  ...Object.fromEntries(counterColumns.map(({ column }) => [column, count(column)])),
  waitMs: doublePrecision("wait_ms").notNull(),
  waits: buckets("waits"),
  holdMs: doublePrecision("hold_ms").notNull(),
  holds: buckets("holds"),
  prefixes: jsonb("prefixes").notNull(),
  hotKeys: jsonb("hot_keys").notNull(),
});

export const schemaVersion: PgTable = leasehold.table("schema_version", {
  version: integer("version").primaryKey(),
  minClient: integer("min_client").notNull(),
  appliedAt: instant("applied_at").notNull().default(sql`clock_timestamp()`),
});
