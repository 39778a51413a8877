// A store that breaks the port in one sentence: the store in memory with one thing done wrong.
import type { AcquireAnswer, AcquireRequest, Store, StoreContext, StoreFactory } from "../../../src/api/store.js";
import { memoryStore } from "../../../src/store.js";
import { storeWith } from "../../support/store-with.js";

export interface BrokenStore {
  /** What it does wrong. */
  readonly fault: string;
  /** The test of the suite that must fail by it. */
  readonly fails: string;
  /** Makes a new and empty one. */
  readonly create: () => StoreFactory;
}

export type Change = (store: Store, shared: Shared) => Partial<Store>;

/** What the processes of one store share, besides their locks. */
interface Shared {
  readonly requests: Map<string, AcquireRequest>;
  fence: bigint;
}

/** `told`: what its processes are told. */
export function over(
  change: Change,
  told: (context: StoreContext) => StoreContext = (context) => context,
): () => StoreFactory {
  return () => {
    const make = memoryStore();
    const shared: Shared = { requests: new Map(), fence: 0n };
    return (context) => {
      const store = make(told(context));
      return storeWith(store, change(store, shared));
    };
  };
}

/** It changes the request before it does what is asked. */
export const asking = (change: (request: AcquireRequest) => Partial<AcquireRequest>): (() => StoreFactory) =>
  over((store) => ({ acquire: (request) => store.acquire({ ...request, ...change(request) }) }));

/** It changes the answer to an acquire. */
export const answering = (
  change: (answer: AcquireAnswer, request: AcquireRequest) => AcquireAnswer,
): (() => StoreFactory) =>
  over((store) => ({ acquire: async (request) => change(await store.acquire(request), request) }));

type Granted = AcquireAnswer & { outcome: "granted" };
export const granted = (change: (answer: Granted) => Partial<Granted>): (() => StoreFactory) =>
  answering((answer) => (answer.outcome === "granted" ? { ...answer, ...change(answer) } : answer));

export const broken = (fault: string, fails: string, create: () => StoreFactory): BrokenStore => ({
  fault,
  fails,
  create,
});

/** For what the store in memory has, and the port need not have. */
export function never(): never {
  throw new Error("the store in memory has it");
}
