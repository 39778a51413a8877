export type { LockerStats } from "./counters/counters.js";
export type { HistogramStats } from "./counters/histogram.js";
export type { HotKeyStats } from "./counters/hot-keys.js";
export type { PrefixStats } from "./counters/prefixes.js";
export type { TallyStats } from "./counters/tally.js";
export { createLocker } from "./create-locker.js";
export {
  ClosedError,
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
  StaleFenceError,
  UnavailableError,
  UnsafeBackendError,
  UnsupportedError,
  WaitTimeoutError,
} from "./errors.js";
export type { NodePostgresTransactionOptions } from "./fencing/node-postgres.js";
export type {
  GuardedDatabase,
  GuardedTransaction,
  TransactionOf,
  TransactionOptionsOf,
} from "./fencing/transaction-of.js";
export type {
  AcquireMessage,
  AcquireTrace,
  LockMessage,
  LostMessage,
  ReleaseMessage,
  SweepMessage,
  TakeoverMessage,
  Trace,
  WithLockTrace,
} from "./hooks/messages.js";
export type { Capabilities, Feature, FeatureState } from "./inspect/capabilities.js";
export type {
  DebugConnection,
  DebugConnections,
  DebugHorizon,
  DebugInfo,
  DebugServer,
  DebugServerFailure,
  DebugSession,
  DebugWait,
} from "./inspect/debug.js";
export type { DebugError, RecentError } from "./inspect/recent-errors.js";
export type { LostLock } from "./inspect/recently-lost.js";
export { key } from "./key.js";
export type { LeaseInfo } from "./lease-info.js";
export type { KeepAliveOptions, Lock, LockJson } from "./lock.js";
export type { Locker, TryResult } from "./locker.js";
export type { JsonObject, JsonValue } from "./metadata.js";
export type { AcquireOutcome } from "./observer.js";
export type {
  AcquireOptions,
  CloseOptions,
  ForceReleaseOptions,
  LeaseOptions,
  LockerOptions,
  TryOptions,
} from "./options.js";
export type { ConnectionOptions } from "./postgres/connection-options.js";
export type { PostgresClient } from "./postgres-client.js";
export type { MigrateOptions, SweepResult } from "./store.js";
