export { storeConformance } from "./testing/conformance/store-conformance.js";
export type { StoreSuite } from "./testing/conformance/suite.js";
export type { TestClock } from "./testing/test-clock.js";
export { createTestLocker, type Faults, type TestLocker, type TestLockerOptions } from "./testing/test-locker.js";
