import { expect, jest, test } from "@jest/globals";
import { createLocker, LeaseholdError, WaitTimeoutError } from "leasehold";

test("a lock is taken, and refused to another", async () => {
  const url = process.env.DATABASE_URL ?? "";
  const [locker, other] = [createLocker({ url }), createLocker({ url })];
  try {
    await locker.migrate();
    const lock = await locker.acquire("a");
    const refusal = await other.acquire("a", { waitMs: 50 }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(WaitTimeoutError);
    expect(refusal).toBeInstanceOf(LeaseholdError);
    await lock.release();
  } finally {
    await Promise.all([locker.close(), other.close()]);
  }
});

test("all of it works under Jest's fake timers", async () => {
  const locker = createLocker({ url: process.env.DATABASE_URL ?? "", ttlMs: 2_000 });
  await locker.ready();
  const { setTimeout } = globalThis;
  jest.useFakeTimers();
  try {
    const lock = await locker.acquire("b");
    await new Promise((resolve) => setTimeout(resolve, 3_000)); // renewals keep it over its TTL
    expect(lock.held).toBe(true);
    await lock.release();
  } finally {
    jest.useRealTimers();
    await locker.close();
  }
});
