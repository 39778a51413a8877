import { createTestLocker } from "leasehold/testing";
import { afterEach, beforeEach, describe, test, vi } from "vitest";
import testsOf from "../test-locker.cjs";

describe("real timers", () => {
  for (const [name, run] of Object.entries(testsOf(createTestLocker, () => {}))) test(name, run);
});

describe("fake timers", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const passAnHour = () => vi.advanceTimersByTimeAsync(3_600_000);
  for (const [name, run] of Object.entries(testsOf(createTestLocker, passAnHour))) test(name, run);
});
