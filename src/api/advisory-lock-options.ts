/** Options of `advisoryLock`. */
export interface AdvisoryLockOptions {
  /** Any number of transactions have it together, but never beside one that took it without `shared`. Default false. */
  readonly shared?: boolean | undefined;
  /**
   * How long to wait, in milliseconds, whatever `lock_timeout` the transaction has; 0 tries once, `Infinity` waits for ever. The
   * `lock_timeout` is as before afterwards. Default: as long as the transaction's own `lock_timeout` allows.
   */
  readonly waitMs?: number | undefined;
  /**
   * Takes the risk that postgres.js goes on, without the lock, on a new connection when the old one dies inside `begin`.
   * Default false.
   */
  readonly acceptReconnect?: boolean | undefined;
}
