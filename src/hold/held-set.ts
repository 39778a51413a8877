import { inspect } from "node:util";
import type { Lock, LockJson } from "../api/lock.js";
import type { LockSet } from "../api/lock-set.js";
import { InvalidOptionError, LeaseLostError, NotHeldError } from "../errors/errors.js";
import { checkFunction } from "../errors/option-checks.js";
import type { Guard } from "../guard/guard.js";
import { type GuardOptions, guardOpen, runGuarded } from "../guard/transaction.js";
import type { GuardedDatabase, GuardedTransaction, Settled } from "../guard/transaction-of.js";
import { allowManyListeners } from "../runtime/abort-listeners.js";

/** A lock, and what its key was called by who asked for it. */
export interface NamedLock {
  readonly name: string;
  readonly lock: Lock;
}

/** The `LockSet` that users get: locks, each of which is as one that was acquired alone. */
export class HeldSet implements LockSet {
  static {
    // It is shown as data, so that a log contains no secret.
    const value = function (this: HeldSet): string {
      return `LockSet ${inspect(this.toJSON(), { breakLength: Number.POSITIVE_INFINITY })}`;
    };
    Object.defineProperty(HeldSet.prototype, inspect.custom, { value });
  }

  readonly locks: readonly Lock[];
  readonly #byName: ReadonlyMap<string, Lock>;
  readonly #guard: () => Guard;
  #controller: AbortController | null = null;

  /** There is at least one. `guard`: of all of them. */
  constructor(named: readonly NamedLock[], guard: () => Guard) {
    this.locks = Object.freeze(named.map(({ lock }) => lock));
    this.#byName = new Map(named.map(({ name, lock }) => [name, lock]));
    this.#guard = guard;
  }

  get(key: string): Lock | undefined {
    return this.#byName.get(key);
  }

  get held(): boolean {
    return this.locks.every(({ held }) => held);
  }

  get remainingMs(): number {
    return Math.min(...this.locks.map(({ remainingMs }) => remainingMs));
  }

  get heldMs(): number {
    return Math.min(...this.locks.map(({ heldMs }) => heldMs));
  }

  /** Made when first read: who never reads it is told of a loss in another way. */
  get signal(): AbortSignal {
    if (this.#controller === null) {
      const controller = new AbortController();
      this.#controller = controller;
      allowManyListeners(controller.signal);
      for (const { signal } of this.locks) {
        if (signal.aborted) {
          controller.abort(signal.reason);
        }
        signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
      }
    }
    return this.#controller.signal;
  }

  assertHeld(): void {
    throwFirst(this.locks.map((lock) => thrownBy(() => lock.assertHeld())));
  }

  async renew(ttlMs?: number): Promise<void> {
    throwFirst(await errorsOf(this.locks.map((lock) => lock.renew(ttlMs))));
  }

  async release(): Promise<void> {
    const errors = await errorsOf(this.locks.map((lock) => lock.release()));
    // One that was released or detached alone is not left.
    const isOver = errors.every((error) => error instanceof NotHeldError);
    throwFirst(isOver ? errors : errors.filter((error) => !isReleased(error)));
  }

  async transaction<Value>(
    database: GuardedDatabase,
    body: (tx: never) => Value | PromiseLike<Value>,
    options?: unknown,
  ): Promise<Settled<Value>> {
    if (body === undefined) {
      const expected = "a function after the database: locks.transaction(db, async (tx) => { ... })";
      throw new InvalidOptionError({ option: "body", expected, received: body });
    }
    const run = checkFunction<typeof body>("body", body);
    return await runGuarded(this.#guard(), database, run, options);
  }

  async guard(tx: GuardedTransaction, options?: GuardOptions): Promise<void> {
    await guardOpen(this.#guard(), tx, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.locks.map((lock) => lock[Symbol.asyncDispose]()));
  }

  toJSON(): readonly LockJson[] {
    return this.locks.map((lock) => lock.toJSON());
  }
}

/** What each was rejected with; null: it was not. All have settled. */
async function errorsOf(promises: readonly Promise<void>[]): Promise<readonly unknown[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((one) => (one.status === "rejected" ? one.reason : null));
}

function thrownBy(call: () => void): unknown {
  try {
    call();
    return null;
  } catch (error) {
    return error;
  }
}

/** Throws the loss, if there is one among them, else the first error. */
function throwFirst(errors: readonly unknown[]): void {
  const error = errors.find((one) => one instanceof LeaseLostError) ?? errors.find((one) => one !== null);
  if (error !== undefined) {
    throw error;
  }
}

function isReleased(error: unknown): boolean {
  return error instanceof NotHeldError && !(error instanceof LeaseLostError);
}
