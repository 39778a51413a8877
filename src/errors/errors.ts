export {
  type InvalidKeyData,
  InvalidKeyError,
  type InvalidOptionData,
  InvalidOptionError,
} from "./argument-errors.js";
export {
  ClosedError,
  type NotMigratedData,
  NotMigratedError,
  type NotPermittedData,
  NotPermittedError,
  type UnavailableData,
  UnavailableError,
  type UnsafeBackendData,
  UnsafeBackendError,
  type UnsupportedData,
  UnsupportedError,
} from "./backend-errors.js";
export { type ErrorData, LeaseholdError, type LeaseholdErrorCode, type LeaseholdErrorJson } from "./base.js";
export {
  type HolderInfo,
  type LeaseLostData,
  LeaseLostError,
  type LossReason,
  type NotAcquiredData,
  NotAcquiredError,
  type NotHeldData,
  NotHeldError,
  type ReentryData,
  ReentryError,
  type RetriesExhaustedData,
  RetriesExhaustedError,
  type StaleFenceData,
  StaleFenceError,
  type WaitTimeoutData,
  WaitTimeoutError,
} from "./lock-errors.js";
