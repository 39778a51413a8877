import type { Lock, Locker } from "../../src/index.js";
import type { Contender, ContenderSpec } from "./contender.js";

export interface LeaseholdContender extends Contender {
  readonly locker: Locker;
}

export async function openLeasehold(spec: Extract<ContenderSpec, { kind: "leasehold" }>): Promise<LeaseholdContender> {
  const { createLocker } = (await import(spec.entry)) as typeof import("../../src/index.js");
  const locker = createLocker({ url: spec.url, waitMs: Number.POSITIVE_INFINITY, ...spec.options });
  await locker.ready();
  return {
    locker,
    acquire: (key) => locker.acquire(key, spec.share),
    release: (lock) => (lock as Lock).release(),
    tryOnce: async (key) => (await locker.tryAcquire(key)) !== null,
    end: () => locker.close(),
  };
}

/** Leasehold over the memory store. */
export async function openMemoryStore({
  entry,
  reads,
}: Extract<ContenderSpec, { kind: "memory-store" }>): Promise<LeaseholdContender> {
  const { createLocker } = (await import(entry)) as typeof import("../../src/index.js");
  const locker = createLocker({ store: "memory" });
  await locker.ready();
  return {
    locker,
    acquire: (key) => locker.acquire(key),
    release: (lock) => (lock as Lock).release(),
    cycle:
      reads === undefined
        ? async (_, key) => (await locker.acquire(key)).release()
        : async () => (await locker.acquire(reads, { shared: true })).release(),
    end: () => locker.close(),
  };
}
