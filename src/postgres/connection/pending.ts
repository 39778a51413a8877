import { withTimeout } from "../../runtime/timeout.js";

interface Waiter<Value> {
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/** Something that several callers wait for, each with its own timeout. All are notified together. */
export class Pending<Value> {
  readonly #waiters = new Set<Waiter<Value>>();

  /** @throws RequestTimeout, or the error passed to `reject` */
  async wait(timeoutMs: number): Promise<Value> {
    const waiter: Waiter<Value> = { resolve: () => undefined, reject: () => undefined };
    const value = new Promise<Value>((resolve, reject) => Object.assign(waiter, { resolve, reject }));
    this.#waiters.add(waiter);
    try {
      return await withTimeout(value, timeoutMs);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  resolve(value: Value): void {
    for (const waiter of this.#waiters) {
      waiter.resolve(value);
    }
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiters) {
      waiter.reject(error);
    }
  }
}
