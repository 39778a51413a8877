/**
 * A lock that is held, and the transactions that it guards. [Guarded writes](../guides/guarded-writes.md) shows them for each library.
 *
 * @module lock
 */
export type {
  DetachedLock,
  GuardedDatabase,
  GuardedTransaction,
  GuardOptions,
  Hold,
  JsonObject,
  JsonValue,
  KeepAliveOptions,
  Lock,
  LockJson,
  LockSet,
  NodePostgresTransactionOptions,
  TransactionOf,
  TransactionOptionsOf,
} from "../../../src/index.js";
