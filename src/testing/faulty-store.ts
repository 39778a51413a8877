import { setMaxListeners } from "node:events";
import type { Store } from "../api/store.js";
import { UnavailableError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";

/** What goes wrong, for all stores of one test. */
export class Outages {
  slowMs = 0;
  isDisconnected = false;
  /** What the next call fails with. */
  next: Error | null = null;
  #healed = new AbortController();

  /** Fires when they end: what is on its way arrives then. */
  get healed(): AbortSignal {
    return this.#healed.signal;
  }

  heal(): void {
    this.slowMs = 0;
    this.isDisconnected = false;
    this.next = null;
    this.#healed.abort();
    this.#healed = new AbortController();
    setMaxListeners(0, this.#healed.signal);
  }
}

/** What the locker calls, of those that can fail. */
const methods = [
  "open",
  "acquire",
  "release",
  "abandon",
  "renew",
  "adopt",
  "detach",
  "check",
  "ping",
  "sweep",
  "forceRelease",
  "checkFence",
  "migrate",
] as const satisfies readonly (keyof Store)[];

/** The store behind a connection that fails as the test says. */
export function faulty(store: Store, outages: Outages, clock: Clock): Store {
  const call = async (work: () => Promise<unknown>): Promise<unknown> => {
    const { next, slowMs } = outages;
    if (next !== null) {
      outages.next = null;
      throw next;
    }
    if (outages.isDisconnected) {
      throw new UnavailableError({
        outcome: "not-sent",
        message: "The test has disconnected the store: nothing was sent.",
      });
    }
    const answer = await work();
    if (slowMs > 0) {
      await clock.sleep(slowMs, { signal: outages.healed });
    }
    return answer;
  };
  const wrapped = methods.map((name) => {
    const method = store[name] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    return [name, method && ((...args: unknown[]) => call(() => method.apply(store, args)))] as const;
  });
  return {
    name: store.name,
    features: store.features,
    close: () => store.close(),
    ...Object.fromEntries(wrapped),
  } as Store;
}
