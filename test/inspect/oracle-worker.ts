// A process that takes part in what the views are compared with: it locks and waits as it is told, and says what it holds.
import { type AcquireOptions, createLocker, type LockerOptions } from "../../src/index.js";
import { serve } from "../support/worker.js";

export interface OracleWorkerArgs {
  readonly url: string;
  readonly options: LockerOptions;
}

export interface Holding {
  readonly key: string;
  readonly fence: bigint;
}

serve<OracleWorkerArgs>(async ({ url, options }) => {
  const locker = createLocker({ url, waitMs: 60_000, onError: () => {}, ...options });
  await locker.ready();
  let waits = new AbortController();
  return {
    take: async ({ key, options }: { key: string; options: AcquireOptions }) =>
      (await locker.tryAcquire(key, options)) !== null,
    wait: ({ key, options }: { key: string; options: AcquireOptions }) => {
      locker.acquire(key, { ...options, signal: waits.signal }).catch(() => undefined);
    },
    giveUp: () => {
      waits.abort();
      waits = new AbortController();
    },
    release: async ({ key, fence }: { key: string; fence?: bigint }) => {
      const held = locker.locks(key).find((lock) => fence === undefined || lock.fence === fence);
      await held?.release().catch(() => undefined); // it may be lost
    },
    holds: (): Holding[] =>
      locker
        .locks()
        .filter(({ held }) => held)
        .map(({ key, fence }) => ({ key, fence })),
    close: () => locker.close(),
  };
});
