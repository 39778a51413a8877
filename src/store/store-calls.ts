import type { Store } from "../api/store.js";
import { ClosedError, LeaseholdError, UnavailableError } from "../errors/errors.js";
import type { Clock } from "../runtime/clock.js";
import { soon } from "../runtime/soon.js";
import { RequestTimeout, withTimeoutOf } from "../runtime/timeout.js";
import { nameOf } from "./optional.js";

export interface StoreCallsInit {
  readonly store: Store;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** A call failed. */
  readonly onFailure: (error: LeaseholdError) => void;
}

/** Who is told what becomes of a call. */
export interface Pending<Value> {
  onAnswer(value: Value): void;
  onFailure(error: LeaseholdError): void;
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
    return new Promise((resolve, reject) => {
      this.send(method, ask, read, { onAnswer: resolve, onFailure: reject });
    });
  }

  /** The same without a promise of its own, for what is asked with every lock. */
  send<Answer, Value>(
    method: string,
    ask: () => Promise<Answer>,
    read: (answer: Answer) => Value,
    pending: Pending<Value>,
  ): void {
    if (this.isClosed) {
      soon(() => pending.onFailure(new ClosedError()));
      return;
    }
    let answered: Promise<Answer>;
    try {
      answered = Promise.resolve(ask());
    } catch (error) {
      answered = Promise.reject(error);
    }
    answered.then(
      (answer) => {
        let value: Value;
        try {
          value = read(answer);
        } catch (error) {
          pending.onFailure(this.#failed(method, error));
          return;
        }
        pending.onAnswer(value);
      },
      (error: unknown) => pending.onFailure(this.#failed(method, error)),
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

  get #name(): string {
    return nameOf(this.#init.store);
  }

  #failed(method: string, error: unknown): LeaseholdError {
    const failure = this.toPublicError(method, error);
    this.#init.onFailure(failure);
    return failure;
  }
}
