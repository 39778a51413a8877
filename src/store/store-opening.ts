import type { Store } from "../api/store.js";
import { ClosedError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import { answered } from "./answer-checks.js";
import type { StoreCalls } from "./store-calls.js";

export interface StoreOpeningInit {
  readonly store: Store;
  readonly calls: StoreCalls;
  readonly clock: Clock;
  /** Called with the store's time when it is open. */
  readonly onOpen: (nowMs: number) => void;
}

/** Opens a store once for all who ask meanwhile, and again when that has failed. */
export class StoreOpening {
  /** Changed here alone, like `wasReady`. */
  isReady = false;
  wasReady = false;
  readonly #init: StoreOpeningInit;
  #opening: Promise<void> | null = null;

  constructor(init: StoreOpeningInit) {
    this.#init = init;
  }

  /** @throws {ClosedError} @throws {LeaseholdError} the store's failure */
  async open(timeoutMs: number): Promise<void> {
    const { calls, clock } = this.#init;
    if (calls.isClosed) {
      throw new ClosedError();
    }
    if (this.isReady) {
      return;
    }
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    try {
      await withTimeoutOf(clock, this.#opening, timeoutMs);
    } catch (error) {
      // What was to be sent after it was not.
      throw error instanceof RequestTimeout ? calls.late("open", "not-sent", error) : error;
    }
  }

  async close(timeoutMs: number): Promise<void> {
    const { calls, clock, store } = this.#init;
    calls.isClosed = true;
    this.isReady = false;
    await withTimeoutOf(clock, Promise.resolve(store.close()), timeoutMs);
  }

  async #open(): Promise<void> {
    const { calls, store, onOpen } = this.#init;
    await calls.ask(
      "open",
      () => store.open(),
      (answer) => onOpen(answered(answer).nowMs),
    );
    this.isReady = !calls.isClosed;
    this.wasReady = true;
  }
}
