import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { createTestLocker } from "leasehold/testing";
import testsOf from "../test-locker.cjs";

describe("real timers", () => {
  for (const [name, run] of Object.entries(testsOf(createTestLocker, () => {}))) test(name, run);
});

describe("mock timers", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] }));
  afterEach(() => mock.timers.reset());
  const passAnHour = () => mock.timers.tick(3_600_000);
  for (const [name, run] of Object.entries(testsOf(createTestLocker, passAnHour))) test(name, run);
});
