export { advisoryLock } from "./advisory-lock/advisory-lock.js";
export type { AdvisoryLockOptions } from "./api/advisory-lock-options.js";
export type { Capabilities, Feature, FeatureState } from "./api/capabilities.js";
export type { ConnectionOptions } from "./api/connection-options.js";
export type { DetachedLock } from "./api/detached-lock.js";
export type { ForceReleaseResult } from "./api/force-release.js";
export type { Hold } from "./api/hold.js";
export type { LeadOptions } from "./api/lead-options.js";
export type { LeaseInfo } from "./api/lease-info.js";
export type { KeepAliveOptions, Lock, LockJson } from "./api/lock.js";
export type { LockSet } from "./api/lock-set.js";
export type { JsonObject, JsonValue } from "./api/metadata.js";
export type { MigrateOptions } from "./api/migrate-options.js";
export type {
  AcquireOptions,
  AdoptOptions,
  BackendOptions,
  CloseOptions,
  ForceReleaseOptions,
  InstanceOptions,
  LeaseOptions,
  LockerOptions,
  StoreName,
  TryOptions,
  WaitOptions,
} from "./api/options.js";
export type { PostgresClient, PostgresJsClient } from "./api/postgres-client.js";
export type { PingResult, SweepResult } from "./api/results.js";
export type { BackoffOptions, RetryStrategy } from "./api/retry.js";
export type { LockMode, ShareOptions } from "./api/share-options.js";
export type { Store, StoreFactory } from "./api/store.js";
export { backoff } from "./config/backoff.js";
export { key } from "./config/key.js";
export {
  ClosedError,
  type ErrorData,
  type HolderInfo,
  InvalidKeyError,
  InvalidOptionError,
  LeaseholdError,
  type LeaseholdErrorCode,
  type LeaseholdErrorJson,
  LeaseLostError,
  type LossReason,
  NotAcquiredError,
  NotHeldError,
  NotMigratedError,
  NotPermittedError,
  ReentryError,
  RetriesExhaustedError,
  StaleFenceError,
  UnavailableError,
  UnsafeBackendError,
  UnsupportedError,
  WaitTimeoutError,
} from "./errors/errors.js";
export type { NodePostgresPool, NodePostgresTransactionOptions } from "./guard/node-postgres.js";
export type { GuardOptions } from "./guard/transaction.js";
export type {
  GuardedDatabase,
  GuardedTransaction,
  TransactionOf,
  TransactionOptionsOf,
} from "./guard/transaction-of.js";
export { createLocker } from "./locker/create-locker.js";
export type {
  DebugConnection,
  DebugConnections,
  DebugHorizon,
  DebugInfo,
  DebugServer,
  DebugServerFailure,
  DebugSession,
  DebugStore,
  DebugWait,
} from "./locker/debug.js";
export { getLocker } from "./locker/get-locker.js";
export type { Locker, TryAllResult, TryResult } from "./locker/locker.js";
export type { LockerStats } from "./observe/counters/counters.js";
export type {
  AcquireMessage,
  AcquireTrace,
  AdoptMessage,
  DetachMessage,
  LockMessage,
  LostMessage,
  ReleaseMessage,
  SweepMessage,
  TakeoverMessage,
  Trace,
  WithLockTrace,
} from "./observe/hooks/messages.js";
export type { AcquireOutcome } from "./observe/observer.js";
export type { DebugError, RecentError } from "./observe/recent-errors.js";
export type { LostLock } from "./observe/recently-lost.js";
export type { HistogramStats, HotKeyStats, PrefixStats, TallyStats } from "./store/counts.js";
