import { onTestFinished } from "vitest";
import type { Locker } from "../../src/index.js";
import { createTestLocker, type TestLocker, type TestLockerOptions } from "../../src/testing.js";

/** Two processes in memory, closed when the test ends. */
export function open(options?: TestLockerOptions): TestLocker & { readonly other: Locker } {
  const made = createTestLocker(options);
  const other = made.otherProcess();
  onTestFinished(async () => {
    made.faults.heal();
    await Promise.all([made.locker.close(), other.close()]);
  });
  return { ...made, other };
}
