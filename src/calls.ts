import { setMaxListeners } from "node:events";
import type { Activity } from "./activity.js";
import { ClosedError, UnavailableError } from "./errors.js";
import type { Store } from "./store.js";
import { RequestTimeout, withTimeout } from "./timeout.js";

export interface CallsInit {
  readonly store: Store;
  readonly activity: Activity;
  readonly requestTimeoutMs: number;
  /** Whenever something is begun. */
  readonly onUse: () => void;
}

/** The calls of a locker: refused once it is being closed, and until then its connections are kept while one goes on. */
export class Calls {
  readonly #store: Store;
  readonly #activity: Activity;
  readonly #requestTimeoutMs: number;
  readonly #onUse: () => void;
  readonly #onClosed = new AbortController();
  #closing: Promise<void> | null = null;

  constructor({ store, activity, requestTimeoutMs, onUse }: CallsInit) {
    this.#store = store;
    this.#activity = activity;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#onUse = onUse;
    // Each acquire that waits to say its last word listens there.
    setMaxListeners(0, this.#onClosed.signal);
  }

  get state(): "open" | "closing" | "closed" {
    return this.#closing === null ? "open" : this.#onClosed.signal.aborted ? "closed" : "closing";
  }

  /** Fires when nothing is sent any more. */
  get closed(): AbortSignal {
    return this.#onClosed.signal;
  }

  /** Begins a call; what it returns ends it. @throws ClosedError */
  enter(): () => void {
    if (this.#closing !== null) {
      throw new ClosedError();
    }
    this.#onUse();
    return this.#activity.enter();
  }

  /** @throws ClosedError, also when the locker is closed before something was sent */
  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    const leave = this.enter();
    try {
      return await work();
    } catch (error) {
      const isCutOff = this.closed.aborted && error instanceof UnavailableError && error.outcome === "not-sent";
      throw isCutOff
        ? new ClosedError({ message: "The locker was closed before this call was sent.", cause: error })
        : error;
    } finally {
      leave();
    }
  }

  /** One request. Connected first, so that an answer that does not come is one to what was sent. */
  ask<Value>(request: () => Promise<Value>): Promise<Value> {
    return this.run(async () => {
      await this.#store.open(this.#requestTimeoutMs);
      try {
        return await withTimeout(request(), this.#requestTimeoutMs);
      } catch (error) {
        throw error instanceof RequestTimeout ? new UnavailableError({ outcome: "unknown", cause: error }) : error;
      }
    });
  }

  /** No call begins from now on. Once: asked again, it waits for the same end. */
  close(work: () => Promise<void>): Promise<void> {
    this.#closing ??= work();
    return this.#closing;
  }

  /** The last thing that may be sent was sent. */
  end(): void {
    this.#onClosed.abort();
  }
}
