/** What `ping` resolves to. */
export interface PingResult {
  /** How long the round trip took, in milliseconds. */
  readonly ms: number;
  /** Of Postgres, such as `18.4`. */
  readonly serverVersion: string;
}

/** What one sweep has done. */
export interface SweepResult {
  /** Sessions that were notified because one of their waiters is next. */
  readonly woken: number;
  /** Rows of free keys and of expired leases that were deleted. */
  readonly leasesPurged: number;
  /** Entries in queues of calls that no longer look. */
  readonly waitersPurged: number;
  /** Sessions of processes that have ended. */
  readonly sessionsPurged: number;
  /** Rows of counters that were added to the sum of all. */
  readonly countersPurged: number;
  /** Whether another sweeper was at work. Then this one left the rest to it. */
  readonly isBusy: boolean;
}
