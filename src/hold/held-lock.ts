import { inspect } from "node:util";
import type { DetachedLock } from "../api/detached-lock.js";
import type { KeepAliveOptions, Lock, LockJson } from "../api/lock.js";
import type { JsonValue } from "../api/metadata.js";
import type { LockMode } from "../api/share-options.js";
import { modeOf } from "../config/share.js";
import { InvalidOptionError } from "../errors/errors.js";
import { checkFunction } from "../errors/option-checks.js";
import type { Guard } from "../guard/guard.js";
import { type GuardOptions, guardOpen, runGuarded } from "../guard/transaction.js";
import type { GuardedDatabase, GuardedTransaction, Settled } from "../guard/transaction-of.js";
import type { Lease } from "./lease.js";

/** What a lock can ask its locker to do. */
export interface LockActions {
  /** Where it holds them; null when that has no name. */
  readonly instance: string | null;
  renew(lease: Lease, ttlMs: number | undefined): Promise<void>;
  release(lease: Lease): Promise<void>;
  /** Returns its number, for `stopKeepAlive`. */
  keepAlive(lease: Lease, options: KeepAliveOptions): number;
  stopKeepAlive(lease: Lease, number: number): Promise<void>;
  detach(lease: Lease): Promise<DetachedLock>;
  reportError(error: unknown): void;
  /** @throws {LeaseLostError} @throws {NotHeldError} when this process knows that the lease has ended. Otherwise Postgres decides. */
  guard(lease: Lease): Guard;
}

/** The `Lock` that users get: a lease, and what can be done with it. */
export class HeldLock implements Lock {
  static {
    // It is shown as data, so that a log contains no secret.
    const value = function (this: HeldLock): string {
      return `Lock ${inspect(this.toJSON(), { breakLength: Number.POSITIVE_INFINITY })}`;
    };
    Object.defineProperty(HeldLock.prototype, inspect.custom, { value });
  }

  readonly #lease: Lease;
  readonly #actions: LockActions;

  constructor(lease: Lease, actions: LockActions) {
    this.#lease = lease;
    this.#actions = actions;
  }

  get key(): string {
    return this.#lease.key;
  }

  get fence(): bigint {
    return this.#lease.fence;
  }

  get owner(): string {
    return this.#lease.terms.owner;
  }

  get ttlMs(): number {
    return this.#lease.ttlMs;
  }

  get metadata(): JsonValue {
    return this.#lease.terms.metadata.value;
  }

  get mode(): LockMode {
    return modeOf(this.#lease.terms.share);
  }

  get weight(): number {
    return this.#lease.terms.share?.weight ?? 1;
  }

  get acquiredAt(): Date {
    return new Date(this.#lease.acquiredAtMs);
  }

  get expiresAt(): Date {
    return new Date(this.#lease.expiresAtMs);
  }

  get remainingMs(): number {
    return this.#lease.remainingMs;
  }

  get held(): boolean {
    return this.#lease.isHeld;
  }

  get heldMs(): number {
    return this.#lease.heldMs;
  }

  get instance(): string | null {
    return this.#actions.instance;
  }

  get signal(): AbortSignal {
    return this.#lease.signal;
  }

  assertHeld(): void {
    this.#lease.assertHeld();
  }

  async renew(ttlMs?: number): Promise<void> {
    await this.#actions.renew(this.#lease, ttlMs);
  }

  release(): Promise<void> {
    return this.#actions.release(this.#lease);
  }

  keepAlive(options: KeepAliveOptions = {}): () => Promise<void> {
    const number = this.#actions.keepAlive(this.#lease, options);
    return () => this.#actions.stopKeepAlive(this.#lease, number);
  }

  detach(): Promise<DetachedLock> {
    return this.#actions.detach(this.#lease);
  }

  async transaction<Value>(
    database: GuardedDatabase,
    body: (tx: never) => Value | PromiseLike<Value>,
    options?: unknown,
  ): Promise<Settled<Value>> {
    if (body === undefined) {
      const expected = "a function after the database: lock.transaction(db, async (tx) => { ... })";
      throw new InvalidOptionError({ option: "body", expected, received: body });
    }
    const run = checkFunction<typeof body>("body", body);
    return await runGuarded(this.#actions.guard(this.#lease), database, run, options);
  }

  async guard(tx: GuardedTransaction, options?: GuardOptions): Promise<void> {
    await guardOpen(this.#actions.guard(this.#lease), tx, options);
  }

  /** Releases, and never throws: an error of the block must not be masked. End the block with `assertHeld()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lease.phase === "held") {
      await this.release().catch((error: unknown) => this.#actions.reportError(error));
    }
  }

  toJSON(): LockJson {
    const { key, fence, owner, ttlMs, metadata, mode, weight, held, remainingMs, heldMs, instance } = this;
    return {
      key,
      fence: fence.toString(),
      owner,
      ttlMs,
      metadata,
      mode,
      weight,
      acquiredAt: this.acquiredAt.toISOString(),
      expiresAt: this.expiresAt.toISOString(),
      held,
      remainingMs,
      heldMs,
      instance,
    };
  }
}
