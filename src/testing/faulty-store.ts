import type { Store } from "../api/store.js";
import { UnavailableError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";

/** What goes wrong, for all stores of one test. */
export class Outages {
  slowMs = 0;
  isDisconnected = false;
  /** What the next call fails with. */
  next: Error | null = null;
  /** The answers that are on their way. */
  readonly #arrivals = new Set<() => void>();

  /** Resolves when a slow answer arrives: after `slowMs`, or when all is well again. */
  arrive(clock: Clock): Promise<void> {
    return new Promise((resolve) => {
      const arrive = (): void => {
        timer.cancel();
        this.#arrivals.delete(arrive);
        resolve();
      };
      const timer = clock.startTimer(this.slowMs, arrive);
      this.#arrivals.add(arrive);
    });
  }

  heal(): void {
    this.slowMs = 0;
    this.isDisconnected = false;
    this.next = null;
    for (const arrive of [...this.#arrivals]) {
      arrive();
    }
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
    const { next } = outages;
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
    if (outages.slowMs > 0) {
      await outages.arrive(clock); // read only now: all may be well again since
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
