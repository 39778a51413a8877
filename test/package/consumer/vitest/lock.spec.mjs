import { createLocker, LeaseholdError, WaitTimeoutError } from "leasehold";
import { expect, test } from "vitest";

test("a lock is taken, and refused to another", async () => {
  const url = process.env.DATABASE_URL;
  const [locker, other] = [createLocker({ url }), createLocker({ url })];
  try {
    await locker.migrate();
    const lock = await locker.acquire("a");
    const refusal = await other.acquire("a", { waitMs: 50 }).catch((error) => error);
    expect(refusal).toBeInstanceOf(WaitTimeoutError);
    expect(refusal).toBeInstanceOf(LeaseholdError);
    await lock.release();
  } finally {
    await Promise.all([locker.close(), other.close()]);
  }
});
