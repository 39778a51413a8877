// What the worker processes saw, as data. Times are milliseconds of CLOCK_MONOTONIC, which all processes of a machine share.

export type Mode = "async" | "sync";

/** Which way a worker takes to the primary: through HAProxy, or straight to the first of several hosts that accepts writes. */
export type Route = "haproxy" | "hosts";

export interface Grant {
  readonly key: string;
  readonly fence: bigint;
  readonly mode: "exclusive" | "shared" | "semaphore";
  /** The most that may hold at once; 1 for an exclusive lock, null for a read lock. */
  readonly capacity: number | null;
  readonly worker: string;
  readonly route: Route;
  /** When the call began, and when its promise resolved. */
  readonly asked: number;
  readonly at: number;
}

/** From the first to the last look at which `lock.held` was true. */
export interface Belief {
  readonly grant: Grant;
  readonly from: number;
  readonly to: number;
}

export interface Loss {
  readonly grant: Grant;
  readonly at: number;
  /** Of the LeaseLostError. */
  readonly reason: string;
}

export interface Call {
  readonly name: string;
  readonly worker: string;
  readonly from: number;
  /** Null: it had not settled when the worker ended. Then `until` is when that was. */
  readonly to: number | null;
  readonly until: number;
  /** Within which it should settle: `requestTimeoutMs`, and `waitMs` for a call that waits. */
  readonly limitMs: number;
}

export type WriteKind = "transfer" | "increment" | "term";

/** A guarded transaction, as its client saw it. */
export interface Attempt {
  readonly id: string;
  readonly kind: WriteKind;
  readonly worker: string;
  /** When `transaction` was called, and when it settled. */
  readonly from: number;
  readonly to: number;
  /** `refused`: the library said that nothing was written. `unknown`: the connection broke, say. */
  readonly outcome: "committed" | "refused" | "unknown";
  readonly fences: Readonly<Record<string, bigint>>;
  /** What it wrote, as far as it came. */
  readonly values: Readonly<Record<string, number>>;
}

/** The process itself stood still: its event loop did not turn. */
export interface Stall {
  readonly worker: string;
  readonly from: number;
  readonly to: number;
}

export interface History {
  readonly grants: readonly Grant[];
  readonly beliefs: readonly Belief[];
  readonly losses: readonly Loss[];
  readonly calls: readonly Call[];
  readonly attempts: readonly Attempt[];
  readonly stalls: readonly Stall[];
}

/** A row that stands in the database after all. */
export interface WrittenRow {
  readonly id: string;
  readonly key: string;
  /** Counted up by the database under the lock of the account's row: the order of the commits. */
  readonly version: number;
  readonly fence: bigint;
  /** What its client had read there, and what it wrote. */
  readonly was: number;
  readonly value: number;
}

export interface FinalState {
  readonly rows: readonly WrittenRow[];
  readonly balances: Readonly<Record<string, number>>;
}

/** What was done to the cluster. */
export interface FaultFacts {
  readonly mode: Mode;
  /** Whether a fault of this kind may make another node the primary without having all that the old one has answered. */
  readonly mayLose: boolean;
  readonly from: number;
  readonly to: number;
}

export const accounts: readonly string[] = [1, 2, 3, 4, 5, 6].map((n) => `account:${n}`);
export const counters: readonly string[] = ["counter:1", "counter:2", "leader:jobs"];
export const openingBalance = 1_000;

export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export function concat(all: readonly History[]): History {
  return {
    grants: all.flatMap(({ grants }) => grants),
    beliefs: all.flatMap(({ beliefs }) => beliefs),
    losses: all.flatMap(({ losses }) => losses),
    calls: all.flatMap(({ calls }) => calls),
    attempts: all.flatMap(({ attempts }) => attempts),
    stalls: all.flatMap(({ stalls }) => stalls),
  };
}
