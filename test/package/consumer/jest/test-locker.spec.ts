import { afterEach, beforeEach, describe, jest, test } from "@jest/globals";
import { createTestLocker } from "leasehold/testing";

const testsOf: (...args: unknown[]) => Record<string, () => Promise<void>> = require("../test-locker.cjs");
const hourMs = 3_600_000;

describe("real timers", () => {
  for (const [name, run] of Object.entries(testsOf(createTestLocker, () => {}))) test(name, run);
});

describe("fake timers", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());
  const passAnHour = () => jest.advanceTimersByTimeAsync(hourMs);
  for (const [name, run] of Object.entries(testsOf(createTestLocker, passAnHour))) test(name, run);
});

describe("fake timers that were there before the package was loaded", () => {
  let create: typeof createTestLocker;
  beforeEach(() => {
    jest.useFakeTimers();
    jest.isolateModules(() => {
      create = require("leasehold/testing").createTestLocker;
    });
  });
  afterEach(() => void jest.useRealTimers());
  const passAnHour = () => jest.advanceTimersByTimeAsync(hourMs);
  const tests = testsOf((...args: Parameters<typeof createTestLocker>) => create(...args), passAnHour);
  for (const [name, run] of Object.entries(tests)) test(name, run);
});

describe("legacy fake timers", () => {
  beforeEach(() => void jest.useFakeTimers({ legacyFakeTimers: true }));
  afterEach(() => void jest.useRealTimers());
  const passAnHour = () => void jest.advanceTimersByTime(hourMs);
  for (const [name, run] of Object.entries(testsOf(createTestLocker, passAnHour))) test(name, run);
});
