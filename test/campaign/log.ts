// What a round leaves behind, one JSON object a line: what the processes did and were told, what the nemesis did to them, and
// what the database says. It is all that the checker (check/) has; neither knows the other's code.
//
// Times: `t` is CLOCK_MONOTONIC of the machine in microseconds, the same for all processes. Times of the server (`at`,
// `expiresAt`, ...) are wall clock in microseconds since 1970. A `clock` entry says what both were at one moment.
// Fences are decimal numbers in strings: they are larger than what JSON's numbers hold exactly.

import type { FaultName } from "./names.js";

export type Entry = ProcessEntry | NemesisEntry | RowEntry;

/** How a key was asked for; without `weight` and `capacity` alone. `shared`: a read lock, weight 1, no capacity. */
export interface Terms {
  readonly mode: "exclusive" | "shared" | "semaphore";
  readonly weight?: number;
  readonly capacity?: number;
}

/** A lock that was granted, as the process that has it was told. */
export interface Grant extends Terms {
  /** Of this handle, in this process. */
  readonly lock: string;
  /** Full. */
  readonly key: string;
  readonly fence: string;
  /** Null where the client does not tell. */
  readonly token: string | null;
  readonly ttlMs: number;
}

export type CallName =
  | "ready"
  | "acquire"
  | "tryAcquire"
  | "acquireAll"
  | "tryAcquireAll"
  | "lead"
  | "renew"
  | "release"
  | "transaction"
  | "check"
  | "isLocked"
  | "forceRelease"
  | "checkFence"
  | "detach"
  | "adopt"
  | "advisoryLock"
  | "sweep"
  | "ping"
  | "debug"
  | "close"
  | "sql";

export type ProcessEntry = { readonly p: string; readonly t: number } & (
  | {
      /** A process begins. */
      readonly e: "hello";
      readonly client: "node" | "python" | "psql";
      readonly pid: number;
      /** Of its locker. Zero: no presence. */
      readonly takeoverDelayMs: number;
      readonly requestTimeoutMs: number;
      readonly presence: boolean;
      /** The `application_name` of its connections begins with this. */
      readonly application: string;
    }
  | { readonly e: "clock"; readonly wall: number }
  | {
      /** A call begins: `t` is before it. */
      readonly e: "call";
      readonly id: number;
      readonly call: CallName;
      readonly keys: readonly string[];
      readonly terms?: Terms;
      readonly ttlMs?: number;
      /** "Infinity" is null. Of calls that wait. */
      readonly waitMs?: number | null;
      readonly minHoldMs?: number;
      readonly maxHoldMs?: number;
      readonly keepAlive?: boolean;
      /** Of renew, release, transaction, checkFence: the handle. */
      readonly lock?: string;
      /** By other means than the handle: SQL with its token and fence, long after it was lost or released. */
      readonly isStale?: boolean;
      /**
       * By `lock.transaction` over such a library, `lock.guard` in it, or SQL. Of a release: by `withLock`, `lead` or `using`, which do
       * not tell whether it came through: outcome `done` says only that they have ended.
       */
      readonly by?: string;
      /** The process will cancel it. */
      readonly isCancelled?: boolean;
      /** What must come of it: the code of the error of P12. */
      readonly mustFail?: string;
      /** How long it may take at most, in milliseconds: what its options promise, without what the checker allows on top. */
      readonly boundMs: number;
    }
  | {
      /** It has settled: `t` is after it. Each call has exactly one such entry, unless its process was killed. */
      readonly e: "settled";
      readonly id: number;
      /** `nothing`: not granted, not held, null. */
      readonly outcome: "done" | "nothing" | "error";
      /** Of the error: its `code` or SQLSTATE; its name where it has none. */
      readonly code?: string;
      /** Of a loss. */
      readonly reason?: string;
      readonly message?: string;
      /** What was granted. */
      readonly grants?: readonly Grant[];
    }
  | {
      /**
       * What the process believes: `t` was read before it asked the handle, `until` after. Taken every few milliseconds for each
       * handle, and right after an event loop was blocked, before anything else could run. `asserts`: assertHeld() did not throw.
       */
      readonly e: "belief";
      readonly lock: string;
      readonly held: boolean;
      readonly asserts: boolean;
      readonly until: number;
    }
  | {
      /** The handle's signal has fired. */
      readonly e: "lost";
      readonly lock: string;
      readonly reason: string;
    }
  | {
      /** How late a timer of 10 ms was: what the process did not see for so long, it could not react to. Only when above 20 ms. */
      readonly e: "lag";
      readonly ms: number;
    }
  | {
      /** It has closed everything; what was still open then: sockets, timers that keep the process, listeners. */
      readonly e: "bye";
      readonly open: readonly string[];
    }
  | {
      /** An error that nobody awaited, a warning of the process, output on stderr that no one wrote. */
      readonly e: "uncaught";
      readonly text: string;
    }
);

/** What a fault was meant to hit, and what it found: counted for the coverage. */
export type Moment =
  | "idle"
  | "before sending"
  | "in flight"
  | "after the commit"
  | "before the answer was read"
  | "any";

export type NemesisEntry = { readonly p: "nemesis"; readonly t: number } & (
  | { readonly e: "clock"; readonly wall: number }
  | {
      readonly e: "round";
      readonly round: number;
      readonly seed: number;
      readonly scene: string;
      /** Of what the scene takes away: promises that are not made in it, by the documentation. */
      readonly limits: readonly Limit[];
    }
  | {
      /** A fault begins (`t` is before it is caused), or ends (`t` is after it has ended). One with no length has both. */
      readonly e: "fault";
      readonly id: number;
      readonly phase: "begin" | "end";
      readonly fault: FaultName;
      /** Whom it hits: names of processes; empty: all. */
      readonly on: readonly string[];
      /** The key it is about, such as a row that is locked. */
      readonly key?: string;
      readonly moment?: Moment;
      /** The statement that was in flight. */
      readonly during?: string;
    }
  | {
      /** A process ended, wanted by the nemesis or not. */
      readonly e: "exit";
      readonly of: string;
      readonly code: number | null;
      readonly signal: string | null;
      readonly isWanted: boolean;
    }
  | {
      /** The server's clock is off by so much from now on, in microseconds. */
      readonly e: "server-clock";
      readonly node: string;
      readonly offset: number;
    }
  | {
      /** A server begins to serve as primary (after a start, a crash, a promotion), and from when on it is not to be asked any more. */
      readonly e: "primary";
      readonly node: string;
      /** Grants of the last one may be missing on it. */
      readonly isLagging: boolean;
    }
  | {
      /** How many connections a process had open at the server, by `application_name`. */
      readonly e: "connections";
      readonly of: string;
      readonly count: number;
    }
  | {
      /** All faults are healed: from here on nothing stands in the way, and workers are told to finish. */
      readonly e: "quiet";
    }
  | {
      /** After the end: this key was acquired alone by a fresh process, after so long; null: it could not within 60 s. */
      readonly e: "probe";
      readonly key: string;
      readonly ms: number | null;
      readonly why?: string;
    }
);

/**
 * What the documentation does not promise in a scene. `clock-step`: exclusion while the server's clock is stepped forward.
 * `async-failover`: exclusion after a failover that lost a grant or a renewal. `old-primary`: the same while a cut-off primary
 * answers. `immediate-release`: of a key that was released by force at once. `no-presence`: crashes are noticed at the TTL.
 */
export type Limit = "clock-step" | "async-failover" | "old-primary" | "immediate-release" | "no-presence";

/** What triggers wrote into tables of the campaign, in the transaction of the change, and what the tables hold at the end. */
export type RowEntry = { readonly p: "database"; readonly node: string; readonly e: "row" } & (
  | ({
      /** A version of a row of `leases` or `shares`. Rows of one key of one node are in the order of their `id`. */
      readonly table: "grants";
    } & Recorded &
      LeaseRow)
  | ({ readonly table: "line" } & Recorded & WaiterRow)
  | ({ readonly table: "sessions" } & Recorded & SessionRow)
  | ({ readonly table: "writes" } & Recorded & WriteRow)
  | { readonly table: "accounts"; readonly key: string; readonly value: number; readonly openingBalance: number }
  | ({ readonly table: "left leases" } & LeaseRow)
  | ({ readonly table: "left waiters" } & WaiterRow)
  | ({ readonly table: "left sessions" } & SessionRow)
  | { readonly table: "left connections"; readonly application: string; readonly query: string }
  | { readonly table: "left locks"; readonly classid: number; readonly objid: number; readonly pid: number }
);

export interface Recorded {
  readonly id: number;
  readonly op: "I" | "U" | "D";
  /** clock_timestamp() in the trigger, so under the row's lock. */
  readonly at: number;
  readonly xid: string;
  /**
   * pg_xact_commit_timestamp(xid). Of two transactions of which one waited for a row lock of the other it says which was first.
   * Null: not known.
   */
  readonly committedAt: number | null;
  /** It is on a server that was replaced, and not on the one that serves at the end. */
  readonly isLost?: true;
}

export interface LeaseRow {
  readonly kind: "lease" | "share";
  readonly key: string;
  /** Null: free, or (of a lease) shared. */
  readonly token: string | null;
  readonly fence: string;
  readonly owner: string | null;
  readonly sessionId: number | null;
  readonly ttlMs: number;
  readonly takeoverMs: number | null;
  readonly minHoldMs: number;
  readonly maxHoldUntil: number | null;
  readonly renewedAt: number | null;
  readonly expiresAt: number | null;
  readonly holdUntil: number | null;
  readonly revokedAt: number | null;
  readonly releasedAt: number | null;
  /** Of shares. */
  readonly weight: number | null;
  readonly capacity: number | null;
  /** Of leases. */
  readonly queued: boolean | null;
}

export interface WaiterRow {
  readonly key: string;
  readonly ticket: string;
  readonly token: string;
  readonly sessionId: number | null;
  readonly owner: string;
  readonly weight: number | null;
  readonly capacity: number | null;
  readonly aliveUntil: number;
}

export interface SessionRow {
  readonly sessionId: number;
  readonly owner: string;
  readonly pid: number;
  readonly seenAt: number;
}

/** A write under a guard: `value` was made of `was`, which was read under the lock, before or after the guard. */
export interface WriteRow {
  readonly key: string;
  readonly fence: string;
  /** Whether it was guarded under a share, which others may hold, too: then it only counts, and changes no account. */
  readonly isShare: boolean;
  readonly was: number;
  readonly value: number;
  readonly worker: string;
}
