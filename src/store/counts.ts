// What one process counts, and what the database keeps of it: the one definition of every counter.

/** What was counted. Each acquire ends in one of the first five. */
export interface TallyStats {
  /** Acquires and tries that were granted. */
  readonly acquired: number;
  /** Tries, and acquires with `waitMs: 0`, that found the key taken. */
  readonly refused: number;
  readonly timedOut: number;
  /** By their signal, or by `close`. */
  readonly cancelled: number;
  /** With any other error. */
  readonly failed: number;
  /** Acquires and tries that did not get the key at their first look, whatever became of them. */
  readonly contended: number;
  readonly released: number;
  /** Renewals that Postgres has confirmed, one for each lock. */
  readonly renewed: number;
  /** Calls of `check` and `isLocked` that were answered. */
  readonly checked: number;
  /** Rows that sweeps of this process have purged. */
  readonly swept: number;
  /** What failed in the background. */
  readonly errors: number;
  /** Locks that this process lost, by the reason. */
  readonly lost: {
    readonly expired: number;
    readonly taken: number;
    readonly "max-hold": number;
    readonly forced: number;
  };
  /** Of the grants, those that took the key from a lease that had run out, or from a dead process. */
  readonly takenOver: { readonly expired: number; readonly orphaned: number };
  /** How long it took from the call to the grant. */
  readonly waits: HistogramStats;
  /** From the grant to the release or the loss. */
  readonly holds: HistogramStats;
  /** The most contended first; at most a hundred, and one for all others. */
  readonly prefixes: readonly PrefixStats[];
  /** The most contended first; at most a hundred. */
  readonly hotKeys: readonly HotKeyStats[];
}

/** How long something took, over many times. JSON-safe. */
export interface HistogramStats {
  readonly count: number;
  readonly sumMs: number;
  /** Null when there was none. */
  readonly meanMs: number | null;
  /** Half of them took no longer: the upper bound of the bucket, at most twice the exact value. Null: none, or beyond the last bound. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Upper bounds of the buckets, inclusive. */
  readonly boundsMs: readonly number[];
  /** One more than bounds: the last counts what took longer than every bound. */
  readonly counts: readonly number[];
}

/** The acquires of all keys that begin with the same prefix. */
export interface PrefixStats {
  /** Null: all prefixes together that came when the first hundred were known. */
  readonly prefix: string | null;
  readonly acquired: number;
  readonly refused: number;
  readonly timedOut: number;
  /** Did not get the key at the first look, whatever became of them. */
  readonly contended: number;
  readonly takenOver: number;
  /** How long those waited that were granted, in all. */
  readonly waitedMs: number;
}

/** A key that many wanted at once. */
export interface HotKeyStats {
  readonly key: string;
  /** Acquires that did not get it at the first look, at least: the exact number is between this and `contendedAtMost`. */
  readonly contended: number;
  readonly contendedAtMost: number;
  /** Grants since it is among the hottest. */
  readonly acquired: number;
  /** How long those waited, in all. */
  readonly waitedMs: number;
}
