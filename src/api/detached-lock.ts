/**
 * A lock on its way from one holder to another: what `lock.detach` makes and `locker.adopt` takes. JSON, so that `process.send`, a queue or
 * a request can carry it. Whoever has it can go on with the lock, so keep it secret.
 *
 * A program in another language makes one of what `leasehold.try_acquire` answered: `{ key, token, fence }`.
 */
export interface DetachedLock {
  /** The full key, prefix included. */
  readonly key: string;
  /** The secret of the grant. It is worth nothing any more once the lock was adopted. */
  readonly token: string;
  /** The fencing token, a decimal number. `adopt` takes a bigint, too. */
  readonly fence: string | bigint;
  /** The instance that the lock is on; null or left out without instances. */
  readonly instance?: string | null | undefined;
}
