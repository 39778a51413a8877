import type { Lock } from "../api/lock.js";
import type { Claim } from "../claim/claim.js";
import type { ResolvedAcquireOptions } from "../config/resolve-options.js";
import { Deadlines } from "../runtime/linked-list.js";
import { Acquire, type AcquireContext, type Resolve } from "./acquire.js";
import type { NotGranted } from "./results.js";

export type AcquiresInit = Omit<AcquireContext, "clock" | "firstAttempts" | "waiting">;

/** The acquires that are in progress. */
export class Acquires {
  readonly #context: AcquireContext;

  constructor(init: AcquiresInit) {
    const firstAttempts = new Deadlines<Acquire>(init.claims.backend.clock, init.claims.requestTimeoutMs);
    this.#context = { ...init, clock: init.claims.backend.clock, firstAttempts, waiting: new Set() };
  }

  *[Symbol.iterator](): Iterator<Claim> {
    for (const { claim } of [...this.#context.firstAttempts, ...this.#context.waiting]) {
      yield claim;
    }
  }

  /**
   * @throws what `toError` makes of a refusal; the signal's reason; what `end` is given; UnavailableError when Postgres does not answer
   * for `requestTimeoutMs`
   */
  acquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock> {
    return new Promise((resolve, reject) => {
      new Acquire(this.#context, key, terms, false, resolve as Resolve, reject).start();
    });
  }

  /** Like `acquire`, but a refusal is a result. */
  tryAcquire(key: string, terms: ResolvedAcquireOptions): Promise<Lock | NotGranted> {
    return new Promise((resolve, reject) => {
      new Acquire(this.#context, key, terms, true, resolve, reject).start();
    });
  }

  /** Ends all of them with this error. */
  end(error: unknown): void {
    for (const acquire of [...this.#context.firstAttempts, ...this.#context.waiting]) {
      acquire.end(error);
    }
  }

  stopTimers(): void {
    this.#context.firstAttempts.stop();
  }
}
