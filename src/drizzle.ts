// The entry `leasehold/drizzle`: fenced tables, guarded tables and conditions on a fence, and the views, in Drizzle's words.
export {
  type HotKey,
  hotKeys,
  type Stats,
  type StatsOfPrefix,
  stats,
  statsByPrefix,
} from "./drizzle/counter-views.js";
export {
  type FenceColumn,
  type FenceColumnOf,
  fencedBy,
  fenceTable,
  type GuardTableOptions,
  guardTable,
  unfenceTable,
  unguardTable,
} from "./drizzle/fences.js";
export {
  type ActiveLease,
  activeLeases,
  type Deadlock,
  deadlocks,
  type ExpiredLease,
  expiredLeases,
  type LiveSession,
  liveSessions,
  type View,
  type Waiting,
  waiting,
} from "./drizzle/views.js";
