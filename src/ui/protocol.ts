// What the server tells the page, over server-sent events. Rows are arrays in the order of these columns. Both sides read this file; nothing
// in it needs Node or a browser. Times are milliseconds since 1970 on the server's clock; fences and tickets are text, for they may be too
// large for a number.

/** A lease or a share that keeps its key (active_leases), or has ended and was not released (expired_leases). */
export const leaseColumns = [
  "key",
  "state",
  "mode",
  "weight",
  "capacity",
  "fence",
  "owner",
  "sessionId",
  "isSessionAlive",
  "acquiredAt",
  "expiresAt",
  "freeAt",
  "ttlMs",
  "maxHoldUntil",
  "revokedAt",
  "waiters",
  "blockingPid",
  "blockingTransaction",
  "pid",
  "host",
  "address",
  "application",
  "metadata",
  "acquisitions",
] as const;

/** An entry of the queue of a key. */
export const waitColumns = [
  "key",
  "position",
  "mode",
  "weight",
  "capacity",
  "ticket",
  "owner",
  "sessionId",
  "since",
  "isAlive",
  "blockedBy",
  "blockedSince",
  "blockingPid",
  "blockingTransaction",
  "pid",
  "host",
] as const;

export const sessionColumns = [
  "owner",
  "pid",
  "host",
  "address",
  "application",
  "version",
  "startedAt",
  "seenAt",
  "isAlive",
  "leases",
  "waits",
] as const;

export const deadlockColumns = ["keys", "owners", "sessionIds", "since"] as const;

/** A server process whose open transaction keeps a key. What Postgres hides from this role is null. */
export const blockerColumns = ["pid", "role", "application", "address", "state", "transactionAt", "queryAt"] as const;

export const hotKeyColumns = ["key", "contended", "contendedAtMost", "acquired", "waitMeanMs"] as const;

export const prefixColumns = [
  "prefix",
  "acquired",
  "refused",
  "timedOut",
  "contended",
  "takenOver",
  "waitMeanMs",
] as const;

/** Counters of all processes together, which only rise; then what they are now. */
export const statColumns = [
  "acquired",
  "refused",
  "timedOut",
  "cancelled",
  "failed",
  "contended",
  "released",
  "renewed",
  "checked",
  "lostExpired",
  "lostTaken",
  "lostMaxHold",
  "lostForced",
  "takenOverExpired",
  "takenOverOrphaned",
  "swept",
  "errors",
  "waitMeanMs",
  "holdMeanMs",
  "waits",
  "holds",
  "since",
  "flushedAt",
] as const;

/** What is shown as rows, each with an id of its own, and the columns of these. */
export const sections: {
  readonly leases: typeof leaseColumns;
  readonly waits: typeof waitColumns;
  readonly sessions: typeof sessionColumns;
  readonly deadlocks: typeof deadlockColumns;
  readonly blockers: typeof blockerColumns;
  readonly hotKeys: typeof hotKeyColumns;
  readonly prefixes: typeof prefixColumns;
} = {
  leases: leaseColumns,
  waits: waitColumns,
  sessions: sessionColumns,
  deadlocks: deadlockColumns,
  blockers: blockerColumns,
  hotKeys: hotKeyColumns,
  prefixes: prefixColumns,
};

export type Section = keyof typeof sections;

/** What has changed in a section: rows that are new or different, and the ids of those that are gone. */
export interface SectionChange {
  readonly set: readonly (readonly [id: string, row: readonly unknown[]])[];
  readonly gone: readonly string[];
  /** More rows than are shown: only the first of them, by their key, are here. */
  readonly isCut?: boolean;
}

/** What has happened to a key between two looks. */
export interface KeyEvent {
  readonly at: number;
  readonly key: string;
  readonly what:
    | "granted"
    | "shared"
    | "taken over"
    | "ended"
    | "revoked"
    | "freed by force"
    | "expired"
    | "orphaned"
    | "cooling"
    | "blocked"
    | "swept";
  readonly owner: string | null;
  readonly fence: string | null;
  /** Of a takeover: from whom. */
  readonly from?: string | null;
  /** Grants in between that ended before they could be seen. */
  readonly unseen?: number;
}

/** How many hold, wait and are there, at a moment. */
export type Point = readonly [at: number, held: number, waiting: number, sessions: number];

/** The counters at a moment, in the order of `statColumns`. */
export type StatPoint = readonly [at: number, ...values: readonly unknown[]];

/** The whole state, or what has changed since the message before. */
export interface StateMessage {
  readonly isWhole: boolean;
  /** The server's clock when it was read. */
  readonly at: number;
  /** How long the reading took. */
  readonly readMs: number;
  readonly changes: { readonly [name in Section]?: SectionChange };
  readonly points: readonly Point[];
  readonly stats: readonly StatPoint[];
  readonly events: readonly KeyEvent[];
}

/** Sent once, before all else. */
export interface Hello {
  readonly version: string;
  readonly database: string;
  readonly role: string;
  readonly serverVersion: string;
  readonly isStandby: boolean;
  /** Whether the role may release by force, and sweep. */
  readonly isAdmin: boolean;
  /** What is allowed to who looks: null when nothing may be done. The token goes with every act. */
  readonly acts: { readonly token: string } | null;
}

/** Why there is nothing new. The next state, or the next hello, ends it. */
export interface Trouble {
  readonly kind: "disconnected" | "no-rights" | "not-migrated" | "other";
  readonly message: string;
  /** What would help, as SQL. */
  readonly statement: string | null;
}
