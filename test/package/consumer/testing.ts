import { createLocker, type Lock, type Locker } from "leasehold";
import { memoryStore, noopStore, type Store, type StoreContext, type StoreFactory } from "leasehold/store";
import {
  createTestLocker,
  type Faults,
  storeConformance,
  type TestClock,
  type TestLocker,
  type TestLockerOptions,
} from "leasehold/testing";

const mine: StoreFactory = (context: StoreContext): Store => {
  const store = memoryStore()(context);
  return Object.assign(store, { name: `mine, over ${store.name}` });
};
createLocker({ store: "mine", stores: { mine, none: noopStore() } });

const options: TestLockerOptions = { ttlMs: 30_000, takeoverDelayMs: 5_000 };
const made: TestLocker = createTestLocker(options);
const { clock, faults }: { readonly clock: TestClock; readonly faults: Faults } = made;
const other: Locker = made.otherProcess({ owner: "another" });

export async function use(): Promise<boolean> {
  const lock: Lock = await made.locker.acquire("a");
  faults.lose("a", "forced");
  faults.slow(100);
  faults.disconnect();
  faults.failNext(new Error("the disk is full"));
  faults.heal();
  faults.crash(other);
  await clock.advance(5_000);
  await made.locker.close();
  return lock.held && clock.now() > 0;
}

/** As those of Jest and vitest. */
declare const describe: (name: string, body: () => void) => unknown;
declare const it: (name: string, body: () => Promise<void>) => unknown;
storeConformance({ describe, it, create: () => memoryStore() });

// @ts-expect-error: the leases are in memory
createTestLocker({ url: "postgres://localhost/app" });
