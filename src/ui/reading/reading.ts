import type { Hello, Section } from "../protocol.js";

/** The rows of a section as JSON text, by their ids. */
export type Rows = ReadonlyMap<string, string>;

/** What one look at the database has found. What is looked at less often may be missing. */
export interface Reading {
  readonly hello: Omit<Hello, "version" | "isAdmin" | "acts">;
  /** Whether the role may take locks by force, and sweep. Null: not asked this time. */
  readonly isAdmin: boolean | null;
  /** The server's clock before the first query. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly sections: { readonly [name in Section]?: Rows };
  /** Sections of which only the first rows were read. */
  readonly cut: ReadonlySet<Section>;
  /** The counters as JSON text. Null: not asked this time. */
  readonly stats: string | null;
}

/** The columns of a row by their names. */
export type Values = Readonly<Record<string, unknown>>;

/** What Prometheus is told. Times are milliseconds since 1970 by the server's clock; null where there is nothing that they could be of. */
export interface Totals {
  readonly atMs: number;
  readonly tookMs: number;
  readonly now: {
    readonly byState: Readonly<Record<string, number>> | null;
    readonly heldByMode: Readonly<Record<string, number>> | null;
    readonly keysBlocked: number;
    readonly oldestHold: number | null;
    readonly waiters: number;
    readonly oldestWait: number | null;
    readonly deadlocks: number;
    readonly sessionsConnected: number;
    readonly sessionsGone: number;
    readonly oldestHeartbeat: number | null;
  };
  /** By the names of `statColumns`. */
  readonly counters: Values;
  /** By the names of `prefixColumns`. */
  readonly prefixes: readonly Values[];
}
