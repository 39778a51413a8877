/**
 * How a locker is made, and what it does. Its options are on [a page of their own](options.md), its errors [too](errors.md).
 *
 * @module locker
 */

export type {
  Capabilities,
  Feature,
  FeatureState,
  ForceReleaseResult,
  HolderInfo,
  LeaseInfo,
  Locker,
  PingResult,
  SweepResult,
  TryAllResult,
  TryResult,
} from "../../../src/index.js";
export { createLocker, getLocker, key } from "../../../src/index.js";
