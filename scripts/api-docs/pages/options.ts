/**
 * The options of `createLocker` and of single calls. [Options](../reference/options.md) has them as one table, and says how to choose.
 *
 * @module options
 */
export type {
  AcquireOptions,
  AdoptOptions,
  BackendOptions,
  BackoffOptions,
  CloseOptions,
  ConnectionOptions,
  ForceReleaseOptions,
  InstanceOptions,
  LeadOptions,
  LeaseOptions,
  LockerOptions,
  LockMode,
  MigrateOptions,
  NodePostgresPool,
  PostgresClient,
  PostgresJsClient,
  RetryStrategy,
  ShareOptions,
  StoreName,
  TryOptions,
  WaitOptions,
} from "../../../src/index.js";
export { backoff } from "../../../src/index.js";
