/**
 * How a lock is held: `exclusive`, alone; `shared`, beside any number of other shared ones; `semaphore`, beside others as long as their
 * weights fit into the capacity.
 */
export type LockMode = "exclusive" | "shared" | "semaphore";

/**
 * How a key is shared. Without any of these the lock is exclusive. Options of one call, never of a locker.
 *
 * ```ts
 * await using reading = await locker.acquire("report", { shared: true });
 * await using slot = await locker.acquire("upstream-api", { capacity: 5 });
 * ```
 */
export interface ShareOptions {
  /**
   * A read lock: any number of these are held together, never beside an exclusive lock. Who waits for the key alone stops those who come later,
   * so readers cannot starve a writer. Not together with `capacity`. Default false.
   */
  readonly shared?: boolean | undefined;
  /**
   * A semaphore: the weights of all that share the key never exceed it. Everybody who asks for the key should give the same; while different ones
   * are held or waited for, the smallest counts, and `onError` is told. An integer of 1 to 2,147,483,647.
   */
  readonly capacity?: number | undefined;
  /** What this lock takes of `capacity`. An integer of 1 up to `capacity`; default 1. */
  readonly weight?: number | undefined;
}
