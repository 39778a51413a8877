export type { MigrateOptions } from "./api/migrate-options.js";
export type { PingResult, SweepResult } from "./api/results.js";
export type {
  AbandonRequest,
  AcquireAnswer,
  AcquireRequest,
  AdoptAnswer,
  AdoptedAnswer,
  AdoptRequest,
  ForceReleaseAnswer,
  ForceReleaseRequest,
  GrantedAnswer,
  GrantRequest,
  Holder,
  KeyState,
  OpenAnswer,
  ReleaseAnswer,
  RenewAnswer,
  RenewRequest,
  Store,
  StoreContext,
  StoreFactory,
  Takeover,
  Validity,
} from "./api/store.js";
export { memoryStore } from "./memory/memory-store.js";
export { noopStore } from "./memory/noop-store.js";
