/** Options of `migrate`. */
export interface MigrateOptions {
  /** Roles that may take locks afterwards, without any right to the tables. Default: none besides the one that migrates. */
  readonly grantTo?: string | readonly string[] | undefined;
  /**
   * How long to wait for other processes that migrate, and for open transactions that use the tables, before UnavailableError.
   * An integer of 1 ms and up; default 60,000.
   */
  readonly lockTimeoutMs?: number | undefined;
}
