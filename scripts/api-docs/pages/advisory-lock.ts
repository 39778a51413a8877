/**
 * A lock that a transaction takes for as long as it lasts, without a locker. [Locks of a transaction](../guides/transaction-locks.md) says when to use it.
 *
 * @module advisory-lock
 */
export type { AdvisoryLockOptions } from "../../../src/index.js";
export { advisoryLock } from "../../../src/index.js";
