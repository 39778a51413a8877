import { ClosedError, UnavailableError } from "../errors/errors.js";
import { allowManyListeners } from "../runtime/abort-listeners.js";
import type { Activity } from "../runtime/activity.js";
import { after } from "../runtime/clock.js";
import { withTimeoutOf } from "../runtime/timeout.js";
import type { Backend, Right } from "../store/backend.js";
import { explained } from "../store/retry.js";

export interface CallsInit {
  readonly backend: Backend;
  readonly activity: Activity;
  readonly requestTimeoutMs: number;
}

/** The calls of a locker. Its connections stay open while a call is in progress. Once it is closing, new calls are refused. */
export class Calls {
  readonly #backend: Backend;
  readonly #activity: Activity;
  readonly #requestTimeoutMs: number;
  readonly #onClosing = new AbortController();
  readonly #onClosed = new AbortController();
  /** Nobody else sets it. */
  isClosing = false;
  #closing: Promise<void> | null = null;

  constructor({ backend, activity, requestTimeoutMs }: CallsInit) {
    this.#backend = backend;
    this.#activity = activity;
    this.#requestTimeoutMs = requestTimeoutMs;
    // Every claim that waits to send its last word listens to it.
    allowManyListeners(this.#onClosed.signal);
    allowManyListeners(this.#onClosing.signal);
  }

  get state(): "open" | "closing" | "closed" {
    return this.#closing === null ? "open" : this.#onClosed.signal.aborted ? "closed" : "closing";
  }

  /** Fires when the locker begins to close. */
  get closing(): AbortSignal {
    return this.#onClosing.signal;
  }

  /** Fires when the locker is closed. After that it sends nothing. */
  get closed(): AbortSignal {
    return this.#onClosed.signal;
  }

  /** @throws ClosedError, also when the locker is closed before anything was sent */
  async run<Value>(work: () => Promise<Value>): Promise<Value> {
    if (this.isClosing) {
      throw new ClosedError();
    }
    try {
      return await this.#activity.during(work);
    } catch (error) {
      const isCutOff = this.closed.aborted && error instanceof UnavailableError && error.outcome === "not-sent";
      throw isCutOff
        ? new ClosedError({ message: "The locker was closed before this call was sent.", cause: error })
        : error;
    }
  }

  /**
   * Sends one request. Connects first, so that a missing answer means that the request was sent. `right`: the one that it needs.
   * @throws at once what `refuseHere` says
   */
  ask<Value>(request: () => Promise<Value>, right: Right = "usage"): Promise<Value> {
    return this.run(async () => {
      const refused = this.#backend.refuseHere?.() ?? null;
      if (refused !== null) {
        throw refused;
      }
      const { clock } = this.#backend;
      const deadline = after(clock.now(), this.#requestTimeoutMs);
      await this.#backend.open(this.#requestTimeoutMs, right);
      try {
        return await withTimeoutOf(clock, request(), Math.max(1, clock.msUntil(deadline)));
      } catch (error) {
        throw await explained(error, this.#backend);
      }
    });
  }

  /** Refuses further calls and runs `work` once. A second call waits for the first one. */
  close(work: () => Promise<void>): Promise<void> {
    this.isClosing = true;
    this.#onClosing.abort();
    if (this.#closing === null) {
      let end = (_: Promise<void>): void => undefined;
      // Set before the work begins: a signal that fires in it may call `close` again.
      this.#closing = new Promise((resolve) => {
        end = resolve;
      });
      end(this.#activity.during(work, { isUse: false }));
    }
    return this.#closing;
  }

  /** Called when everything that may be sent has been sent. */
  end(): void {
    this.#onClosed.abort();
  }
}
