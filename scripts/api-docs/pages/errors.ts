/**
 * Every error, and what each is made of, for tests that need one. [Errors](../reference/errors.md) says when each comes.
 *
 * @module errors
 */
export type {
  InvalidKeyData,
  InvalidOptionData,
  LeaseLostData,
  NotAcquiredData,
  NotHeldData,
  NotMigratedData,
  NotPermittedData,
  ReentryData,
  RetriesExhaustedData,
  StaleFenceData,
  UnavailableData,
  UnsafeBackendData,
  UnsupportedData,
  WaitTimeoutData,
} from "../../../src/errors/errors.js";
export {
  ClosedError,
  type ErrorData,
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
} from "../../../src/index.js";
