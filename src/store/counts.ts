// What one process counts, and what the database keeps of it. The name of a counter, and what it counts, are defined only here. The
// tally, its flush, the columns and their comments, and the sums in SQL are made from these lists.

/** What each counter counts. The text becomes the comment of the counter's columns in the database. */
export type CounterTexts<Name extends string> = Readonly<Record<Name, string>>;

/** Counters that are one number. Each acquire counts as one of the first five. */
export interface PlainCounts {
  /** Acquires and tries that were granted. */
  acquired: number;
  /** Tries, and acquires with `waitMs: 0`, that found the key taken. */
  refused: number;
  /** Acquires whose `waitMs` was over, or whose `retry` gave up. */
  timedOut: number;
  /** Cancelled by their signal, or by `close`. */
  cancelled: number;
  /** Ended with any other error. */
  failed: number;
  /** Acquires and tries that did not get the key at their first look, whatever happened next. One that retries counts once. */
  contended: number;
  released: number;
  /** Renewals that Postgres has confirmed, one for each lock. */
  renewed: number;
  /** Calls of `check` and `isLocked` that were answered. */
  checked: number;
  /** Rows that sweeps of this process have purged. */
  swept: number;
  /** Failures in the background. */
  errors: number;
}

export const plainCounters: CounterTexts<keyof PlainCounts> = {
  acquired: "Acquires and tries that were granted.",
  refused: "Tries, and acquires that did not wait, that found the key taken.",
  timedOut: "Acquires that waited in vain.",
  cancelled: "Acquires that were cancelled by their signal, or because their process was closing.",
  failed: "Acquires that ended with another error.",
  contended: "Acquires and tries that did not get the key at their first look, whatever became of them.",
  released: "Leases that their holders have released.",
  renewed: "Renewals that were confirmed, one for each lease.",
  checked: "Calls that asked who holds a key.",
  swept: "Rows that sweeps have purged.",
  errors: "What failed in the background.",
};

/** Losses by reason. */
export interface LossCounts {
  expired: number;
  taken: number;
  "max-hold": number;
  forced: number;
}

export const lossCounters: CounterTexts<keyof LossCounts> = {
  expired: "Leases that their holders knew to have run out.",
  taken: "Leases that their holders found taken by somebody else.",
  "max-hold": "Leases that ran into their longest hold.",
  forced: "Leases that were taken away by force.",
};

/** Takeovers by reason. */
export interface TakeoverCounts {
  expired: number;
  orphaned: number;
}

export const takeoverCounters: CounterTexts<keyof TakeoverCounts> = {
  expired: "Grants that took the key from a lease that had run out.",
  orphaned: "Grants that took the key from a process that was confirmed dead.",
};

/** What was counted. */
export interface TallyStats extends Readonly<PlainCounts> {
  /** Locks that this process lost, by reason. */
  readonly lost: Readonly<LossCounts>;
  /** Grants that took the key from an expired lease or from a dead process. */
  readonly takenOver: Readonly<TakeoverCounts>;
  /** The time from the call to the grant. */
  readonly waits: HistogramStats;
  /** The time from the grant to the release or the loss. */
  readonly holds: HistogramStats;
  /** The most contended first; at most a hundred, and one for all others. */
  readonly prefixes: readonly PrefixStats[];
  /** The most contended first; at most a hundred. */
  readonly hotKeys: readonly HotKeyStats[];
}

/** How long something took, over many times. JSON-safe. */
export interface HistogramStats {
  /** How often. */
  readonly count: number;
  /** All of it together, in milliseconds. */
  readonly sumMs: number;
  /** Null when there was none. */
  readonly meanMs: number | null;
  /** Half of them took no longer. This is the upper bound of a bucket, at most twice the exact value. Null: none, or above the last bound. */
  readonly p50Ms: number | null;
  /** The same for 95 in a hundred. */
  readonly p95Ms: number | null;
  /** The same for 99 in a hundred. */
  readonly p99Ms: number | null;
  /** Upper bounds of the buckets, inclusive. */
  readonly boundsMs: readonly number[];
  /** One more than bounds: the last counts what took longer than the last bound. */
  readonly counts: readonly number[];
}

/** What is counted for each prefix. */
export interface PrefixCounts {
  acquired: number;
  refused: number;
  timedOut: number;
  /** Did not get the key at the first look, whatever happened next. */
  contended: number;
  takenOver: number;
}

export const prefixCounters: CounterTexts<keyof PrefixCounts> = {
  acquired: plainCounters.acquired,
  refused: plainCounters.refused,
  timedOut: plainCounters.timedOut,
  contended: plainCounters.contended,
  takenOver: "Grants that took the key from somebody who had not released it.",
};

/** The acquires of all keys that begin with the same prefix. */
export interface PrefixStats extends Readonly<PrefixCounts> {
  /** Null: all prefixes after the first hundred, together. */
  readonly prefix: string | null;
  /** How long the granted ones waited in total. */
  readonly waitedMs: number;
}

/** A key that many wanted at once. */
export interface HotKeyStats {
  /** The full key, prefix included. */
  readonly key: string;
  /** Acquires that did not get it at the first look: at least this many, and no more than `contendedAtMost`. */
  readonly contended: number;
  /** The upper bound of `contended`. Equal to it while no more than a hundred keys are contended. */
  readonly contendedAtMost: number;
  /** Grants since the key has been among the hottest. */
  readonly acquired: number;
  /** How long those grants waited in total. */
  readonly waitedMs: number;
}
