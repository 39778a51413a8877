import type { StoreFactory } from "../../api/store.js";

/** What `storeConformance` needs. */
export interface StoreSuite {
  /** Of vitest, Jest, mocha or node:test. */
  readonly describe: (name: string, body: () => void) => unknown;
  /** Of vitest, Jest, mocha or node:test. */
  readonly it: (name: string, body: () => Promise<void>) => unknown;
  /** A new and empty store: what it makes are processes that share their locks. */
  readonly create: () => StoreFactory | Promise<StoreFactory>;
  /** Ends what `create` began. Called after each test, with its stores closed. */
  readonly destroy?: (() => void | Promise<void>) | undefined;
}
