import type { Store } from "../api/store.js";
import { ClosedError, LeaseholdError, UnavailableError, UnsupportedError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";
import { quote } from "../runtime/describe.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";

export interface StoreCallsInit {
  readonly store: Store;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** A call failed. */
  readonly onFailure: (error: LeaseholdError) => void;
}

/** The calls of a store: whatever somebody's own store throws, rejects with or answers wrongly becomes a LeaseholdError here. */
export class StoreCalls {
  /** Set by the backend when it is closed. */
  isClosed = false;
  readonly #init: StoreCallsInit;

  constructor(init: StoreCallsInit) {
    this.#init = init;
  }

  /** `read` makes of the answer what the backend answers; it may throw. @throws LeaseholdError */
  ask<Answer, Value>(method: string, ask: () => Promise<Answer>, read: (answer: Answer) => Value): Promise<Value> {
    if (this.isClosed) {
      return Promise.reject(new ClosedError());
    }
    let answered: Promise<Answer>;
    try {
      answered = Promise.resolve(ask());
    } catch (error) {
      answered = Promise.reject(error);
    }
    return answered.then(
      (answer) => {
        try {
          return read(answer);
        } catch (error) {
          throw this.#failed(method, error);
        }
      },
      (error: unknown) => {
        throw this.#failed(method, error);
      },
    );
  }

  /** The same for what nobody else gives up. */
  askInTime<Answer, Value>(
    method: string,
    ask: () => Promise<Answer>,
    read: (answer: Answer) => Value,
  ): Promise<Value> {
    const { clock, requestTimeoutMs } = this.#init;
    return withTimeoutOf(clock, this.ask(method, ask, read), requestTimeoutMs).catch((error: unknown) =>
      Promise.reject(error instanceof RequestTimeout ? this.#failed(method, error) : error),
    );
  }

  /** The error that a user sees. */
  toPublicError(method: string, error: unknown): LeaseholdError {
    if (error instanceof LeaseholdError) {
      return error;
    }
    if (error instanceof RequestTimeout) {
      return this.late(method, "unknown", error);
    }
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${this.#name} failed in ${method}: ${reason}. The request may or may not have taken effect.`;
    return new UnavailableError({ outcome: "unknown", message, cause: error });
  }

  late(method: string, outcome: UnavailableError["outcome"], cause: Error): UnavailableError {
    const message = `${this.#name} did not answer ${method} in time: ${cause.message}.`;
    return new UnavailableError({ outcome, message, cause });
  }

  unsupported(what: string): UnsupportedError {
    return new UnsupportedError({ message: `${this.#name} ${what}.` });
  }

  get #name(): string {
    return `The store ${quote(this.#init.store.name)}`;
  }

  #failed(method: string, error: unknown): LeaseholdError {
    const failure = this.toPublicError(method, error);
    this.#init.onFailure(failure);
    return failure;
  }
}
