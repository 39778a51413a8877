import type { ColumnDataType } from "drizzle-orm";
import {
  bigint,
  boolean,
  inet,
  integer,
  interval,
  jsonb,
  type PgColumn,
  type PgSchema,
  type PgViewWithSelection,
  pgSchema,
  text,
  timestamp,
} from "drizzle-orm/pg-core";
import type { JsonValue } from "../api/metadata.js";
import type { LockMode } from "../api/share-options.js";

/**
 * A view of the schema `leasehold`, of which each row is a `Row`. What the columns mean is said by their comments in the database
 * (`\d+ leasehold.waiting`) and in `docs/reference/inspection.md`. Times are dates; durations are Postgres's text of an interval.
 */
export type View<Name extends string, Row> = PgViewWithSelection<
  Name,
  true,
  { [Key in keyof Row]: ViewColumn<Name, Row[Key]> }
>;

type ViewColumn<Name extends string, Value> = PgColumn<{
  name: string;
  tableName: Name;
  dataType: ColumnDataType;
  columnType: string;
  data: NonNullable<Value>;
  driverParam: unknown;
  notNull: null extends Value ? false : true;
  hasDefault: false;
  isPrimaryKey: false;
  isAutoincrement: false;
  hasRuntimeDefault: false;
  enumValues: string[] | undefined;
}>;

const leasehold: PgSchema<"leasehold"> = pgSchema("leasehold");

const instant = (name: string) => timestamp(name, { withTimezone: true });
const number64 = (name: string) => bigint(name, { mode: "bigint" });
const lockMode = (name: string) => text(name, { enum: ["exclusive", "shared", "semaphore"] });

/** A row of `activeLeases`. */
export interface ActiveLease {
  key: string;
  state: "held" | "revoked" | "cooling" | "blocked" | "orphaned" | "expired";
  mode: LockMode | null;
  weight: number | null;
  capacity: number | null;
  fence: bigint | null;
  owner: string | null;
  sessionId: number | null;
  isSessionAlive: boolean | null;
  acquiredAt: Date | null;
  renewedAt: Date | null;
  expiresAt: Date | null;
  freeAt: Date | null;
  remaining: string | null;
  heldFor: string | null;
  ttl: string | null;
  maxHoldUntil: Date | null;
  revokedAt: Date | null;
  waiters: number | null;
  blockingPid: number | null;
  blockingTransaction: string | null;
  pid: number | null;
  host: string | null;
  clientAddress: string | null;
  applicationName: string | null;
  metadata: JsonValue;
  acquisitions: bigint;
}

/**
 * Every key that cannot be granted now: who holds what, and what else is not free.
 *
 * ```ts
 * const longest = await db.select().from(activeLeases).orderBy(activeLeases.acquiredAt).limit(10);
 * ```
 */
export const activeLeases: View<"active_leases", ActiveLease> = leasehold
  .view("active_leases", {
    key: text("key").notNull(),
    state: text("state", { enum: ["held", "revoked", "cooling", "blocked", "orphaned", "expired"] }).notNull(),
    mode: lockMode("mode"),
    weight: integer("weight"),
    capacity: integer("capacity"),
    fence: number64("fence"),
    owner: text("owner"),
    sessionId: integer("session_id"),
    isSessionAlive: boolean("is_session_alive"),
    acquiredAt: instant("acquired_at"),
    renewedAt: instant("renewed_at"),
    expiresAt: instant("expires_at"),
    freeAt: instant("free_at"),
    remaining: interval("remaining"),
    heldFor: interval("held_for"),
    ttl: interval("ttl"),
    maxHoldUntil: instant("max_hold_until"),
    revokedAt: instant("revoked_at"),
    waiters: integer("waiters"),
    blockingPid: integer("blocking_pid"),
    blockingTransaction: text("blocking_transaction"),
    pid: integer("pid"),
    host: text("host"),
    clientAddress: inet("client_address"),
    applicationName: text("application_name"),
    metadata: jsonb("metadata").$type<NonNullable<JsonValue>>(),
    acquisitions: number64("acquisitions").notNull(),
  })
  .existing();

/** A row of `waiting`. */
export interface Waiting {
  key: string;
  position: number | null;
  mode: LockMode;
  weight: number | null;
  capacity: number | null;
  ticket: bigint;
  owner: string;
  sessionId: number | null;
  waitingSince: Date;
  waitingFor: string;
  aliveUntil: Date;
  isAlive: boolean;
  blockedBy: string | null;
  blockedByFence: bigint | null;
  blockedSince: Date | null;
  blockingPid: number | null;
  blockingTransaction: string | null;
  pid: number | null;
  host: string | null;
}

/**
 * Who waits for what, and who is in the way.
 *
 * ```ts
 * const queue = await db.select().from(waiting).where(eq(waiting.key, "order:42")).orderBy(waiting.position);
 * ```
 */
export const waiting: View<"waiting", Waiting> = leasehold
  .view("waiting", {
    key: text("key").notNull(),
    position: integer("position"),
    mode: lockMode("mode").notNull(),
    weight: integer("weight"),
    capacity: integer("capacity"),
    ticket: number64("ticket").notNull(),
    owner: text("owner").notNull(),
    sessionId: integer("session_id"),
    waitingSince: instant("waiting_since").notNull(),
    waitingFor: interval("waiting_for").notNull(),
    aliveUntil: instant("alive_until").notNull(),
    isAlive: boolean("is_alive").notNull(),
    blockedBy: text("blocked_by"),
    blockedByFence: number64("blocked_by_fence"),
    blockedSince: instant("blocked_since"),
    blockingPid: integer("blocking_pid"),
    blockingTransaction: text("blocking_transaction"),
    pid: integer("pid"),
    host: text("host"),
  })
  .existing();

/** A row of `liveSessions`. */
export interface LiveSession {
  id: number;
  owner: string;
  pid: number;
  host: string;
  clientAddress: string | null;
  applicationName: string;
  version: string;
  startedAt: Date;
  seenAt: Date;
  silentFor: string;
  isAlive: boolean;
  leases: number;
  waits: number;
}

/** The processes that take locks with presence. */
export const liveSessions: View<"live_sessions", LiveSession> = leasehold
  .view("live_sessions", {
    id: integer("id").notNull(),
    owner: text("owner").notNull(),
    pid: integer("pid").notNull(),
    host: text("host").notNull(),
    clientAddress: inet("client_address"),
    applicationName: text("application_name").notNull(),
    version: text("version").notNull(),
    startedAt: instant("started_at").notNull(),
    seenAt: instant("seen_at").notNull(),
    silentFor: interval("silent_for").notNull(),
    isAlive: boolean("is_alive").notNull(),
    leases: integer("leases").notNull(),
    waits: integer("waits").notNull(),
  })
  .existing();

/** A row of `expiredLeases`. */
export interface ExpiredLease {
  key: string;
  mode: LockMode;
  weight: number | null;
  capacity: number | null;
  fence: bigint;
  owner: string;
  sessionId: number | null;
  reason: "expired" | "orphaned";
  expiresAt: Date;
  expiredFor: string;
  waiters: number | null;
}

/** Leases that have ended and that nobody has released: the next who asks is granted their key. */
export const expiredLeases: View<"expired_leases", ExpiredLease> = leasehold
  .view("expired_leases", {
    key: text("key").notNull(),
    mode: lockMode("mode").notNull(),
    weight: integer("weight"),
    capacity: integer("capacity"),
    fence: number64("fence").notNull(),
    owner: text("owner").notNull(),
    sessionId: integer("session_id"),
    reason: text("reason", { enum: ["expired", "orphaned"] }).notNull(),
    expiresAt: instant("expires_at").notNull(),
    expiredFor: interval("expired_for").notNull(),
    waiters: integer("waiters"),
  })
  .existing();

/** A row of `deadlocks`: each list is in the order of the cycle. */
export interface Deadlock {
  keys: string[];
  owners: string[];
  sessionIds: number[];
  path: string;
  since: Date;
}

/** Deadlocks: sessions that each hold a key and wait for one that the next of them holds. */
export const deadlocks: View<"deadlocks", Deadlock> = leasehold
  .view("deadlocks", {
    keys: text("keys").array().notNull(),
    owners: text("owners").array().notNull(),
    sessionIds: integer("session_ids").array().notNull(),
    path: text("path").notNull(),
    since: instant("since").notNull(),
  })
  .existing();
