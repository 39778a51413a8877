// Compiled by every TypeScript and every kind of module resolution, strictly, and with nothing taken for granted: no `types`, no DOM.
import { createLocker, LeaseLostError, type Lock, type LockerOptions } from "leasehold";
import postgres from "postgres";

const options: LockerOptions = { url: "postgres://localhost/app", ttlMs: 30_000 };
const locker = createLocker(options);

export const value: Promise<number> = locker.withLock("key", async (lock: Lock) => Number(lock.fence), {
  waitMs: 5_000,
});
export const settled: Promise<number> = locker.withLock("key", (lock) =>
  lock.transaction(postgres(), async (tx) => {
    await tx`select 1`;
    return 1;
  }),
);
export const isAborted = (lock: Lock): boolean => lock.signal.aborted;
export const dispose = (lock: Lock): PromiseLike<void> => lock[Symbol.asyncDispose]();
export const isLost = (error: unknown): boolean => error instanceof LeaseLostError && error.reason === "expired";
