import { bigint, integer, interval, type PgSchema, pgSchema, text, timestamp } from "drizzle-orm/pg-core";
import type { View } from "./views.js";

const leasehold: PgSchema<"leasehold"> = pgSchema("leasehold");

const instant = (name: string) => timestamp(name, { withTimezone: true });
const number64 = (name: string) => bigint(name, { mode: "bigint" });

/** The row of `stats`. */
export interface Stats {
  acquired: bigint;
  refused: bigint;
  timedOut: bigint;
  cancelled: bigint;
  failed: bigint;
  contended: bigint;
  released: bigint;
  renewed: bigint;
  checked: bigint;
  lost: bigint;
  lostExpired: bigint;
  lostTaken: bigint;
  lostMaxHold: bigint;
  lostForced: bigint;
  takenOver: bigint;
  takenOverExpired: bigint;
  takenOverOrphaned: bigint;
  swept: bigint;
  errors: bigint;
  activeLeases: number;
  waiters: number | null;
  sessions: number | null;
  waitMean: string | null;
  waitP50: string | null;
  waitP95: string | null;
  waitP99: string | null;
  waitHistogram: bigint[] | null;
  holdMean: string | null;
  holdP50: string | null;
  holdP95: string | null;
  holdP99: string | null;
  holdHistogram: bigint[] | null;
  since: Date | null;
  flushedAt: Date | null;
}

/**
 * What all lockers have counted, and what there is now: one row.
 *
 * ```ts
 * const [total] = await db.select().from(stats);
 * ```
 */
export const stats: View<"stats", Stats> = leasehold
  .view("stats", {
    acquired: number64("acquired").notNull(),
    refused: number64("refused").notNull(),
    timedOut: number64("timed_out").notNull(),
    cancelled: number64("cancelled").notNull(),
    failed: number64("failed").notNull(),
    contended: number64("contended").notNull(),
    released: number64("released").notNull(),
    renewed: number64("renewed").notNull(),
    checked: number64("checked").notNull(),
    lost: number64("lost").notNull(),
    lostExpired: number64("lost_expired").notNull(),
    lostTaken: number64("lost_taken").notNull(),
    lostMaxHold: number64("lost_max_hold").notNull(),
    lostForced: number64("lost_forced").notNull(),
    takenOver: number64("taken_over").notNull(),
    takenOverExpired: number64("taken_over_expired").notNull(),
    takenOverOrphaned: number64("taken_over_orphaned").notNull(),
    swept: number64("swept").notNull(),
    errors: number64("errors").notNull(),
    activeLeases: integer("active_leases").notNull(),
    waiters: integer("waiters"),
    sessions: integer("sessions"),
    waitMean: interval("wait_mean"),
    waitP50: interval("wait_p50"),
    waitP95: interval("wait_p95"),
    waitP99: interval("wait_p99"),
    waitHistogram: number64("wait_histogram").array(),
    holdMean: interval("hold_mean"),
    holdP50: interval("hold_p50"),
    holdP95: interval("hold_p95"),
    holdP99: interval("hold_p99"),
    holdHistogram: number64("hold_histogram").array(),
    since: instant("since"),
    flushedAt: instant("flushed_at"),
  })
  .existing();

/** A row of `statsByPrefix`. */
export interface StatsOfPrefix {
  prefix: string | null;
  acquired: bigint;
  refused: bigint;
  timedOut: bigint;
  contended: bigint;
  takenOver: bigint;
  waitMean: string | null;
}

/** Acquires by the first part of their keys. */
export const statsByPrefix: View<"stats_by_prefix", StatsOfPrefix> = leasehold
  .view("stats_by_prefix", {
    prefix: text("prefix"),
    acquired: number64("acquired").notNull(),
    refused: number64("refused").notNull(),
    timedOut: number64("timed_out").notNull(),
    contended: number64("contended").notNull(),
    takenOver: number64("taken_over").notNull(),
    waitMean: interval("wait_mean"),
  })
  .existing();

/** A row of `hotKeys`. */
export interface HotKey {
  key: string;
  contended: bigint;
  contendedAtMost: bigint;
  acquired: bigint;
  waitMean: string | null;
}

/** The most contended keys of late, the hottest first. */
export const hotKeys: View<"hot_keys", HotKey> = leasehold
  .view("hot_keys", {
    key: text("key").notNull(),
    contended: number64("contended").notNull(),
    contendedAtMost: number64("contended_at_most").notNull(),
    acquired: number64("acquired").notNull(),
    waitMean: interval("wait_mean"),
  })
  .existing();
