/**
 * What `debug()` and `stats()` return, and the messages on the diagnostics channels. [Looking inside](../reference/inspection.md) explains them.
 *
 * @module observing
 */
export type {
  AcquireMessage,
  AcquireOutcome,
  AcquireTrace,
  AdoptMessage,
  DebugConnection,
  DebugConnections,
  DebugError,
  DebugHorizon,
  DebugInfo,
  DebugServer,
  DebugServerFailure,
  DebugSession,
  DebugStore,
  DebugWait,
  DetachMessage,
  HistogramStats,
  HotKeyStats,
  LockerStats,
  LockMessage,
  LostLock,
  LostMessage,
  PrefixStats,
  RecentError,
  ReleaseMessage,
  SweepMessage,
  TakeoverMessage,
  TallyStats,
  Trace,
  WithLockTrace,
} from "../../../src/index.js";
