import type { DetachedLock } from "./detached-lock.js";
import type { Hold } from "./hold.js";
import type { JsonValue } from "./metadata.js";
import type { LockMode } from "./share-options.js";

/** A lock as data: what `JSON.stringify(lock)` writes. The fence is a decimal number, times are in ISO 8601; there is no token. */
export interface LockJson {
  /** The full key, prefix included. */
  readonly key: string;
  /** The fencing token, a decimal number. */
  readonly fence: string;
  /** The option `owner`. */
  readonly owner: string;
  /** As last granted or renewed, in milliseconds. */
  readonly ttlMs: number;
  /** The option `metadata`. */
  readonly metadata: JsonValue;
  /** How it is held. */
  readonly mode: LockMode;
  /** The option `weight`; 1 without it. */
  readonly weight: number;
  /** When it was granted, by the server's clock. */
  readonly acquiredAt: string;
  /** When it ends unless it is renewed, by the server's clock. */
  readonly expiresAt: string;
  /** Whether nobody else can have the lock now, but who shares the key. */
  readonly held: boolean;
  /** Milliseconds for which it is sure to be held without another renewal. */
  readonly remainingMs: number;
  /** Milliseconds since the grant. */
  readonly heldMs: number;
  /** The name of the instance that it is on; null without `instances`. */
  readonly instance: string | null;
}

/** Options of `lock.keepAlive`. */
export interface KeepAliveOptions {
  /** How often to renew. An integer of 20 ms and up, below `ttlMs`; default: as the lock was acquired with. */
  readonly everyMs?: number | undefined;
  /** Called when renewals fail for a temporary reason, once until one succeeds; they are retried. Default: the locker's `onError`. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * A lock that was granted to this process. Decide with `held`, `assertHeld()` and `signal`; `acquiredAt` and `expiresAt` are
 * times of the server's clock, for display.
 *
 * ```ts
 * const lock = await locker.acquire("order:42");
 * try {
 *   lock.assertHeld();
 *   await sql`update orders set state = 'paid', fence = ${lock.fence} where id = 42 and fence <= ${lock.fence}`;
 * } finally {
 *   await lock.release();
 * }
 * ```
 */
export interface Lock extends Hold {
  /** The full key, prefix included. */
  readonly key: string;
  /**
   * The fencing token: larger than that of every earlier grant of this key. Store it with what you write. Of locks that share a key at the same
   * time, the order of the fences means nothing.
   */
  readonly fence: bigint;
  /** The option `owner`, or its default `host name:process id`. */
  readonly owner: string;
  /** As last granted or renewed, in milliseconds. */
  readonly ttlMs: number;
  /** The option `metadata`; null without it. */
  readonly metadata: JsonValue;
  /** How it is held: exclusively, as a read lock (`shared`), or as a part of a semaphore (`capacity`). */
  readonly mode: LockMode;
  /** What it takes of a semaphore's capacity: the option `weight`; 1 without it. */
  readonly weight: number;
  /** When it was granted, by the server's clock. For display. */
  readonly acquiredAt: Date;
  /** When it ends unless it is renewed, by the server's clock. For display. */
  readonly expiresAt: Date;
  /** The name of the instance that it is on, in whose database it can guard transactions; null without the option `instances`. */
  readonly instance: string | null;
  /**
   * Renews in the background until release or loss, in place of what has renewed it so far. Returns a function that stops it, and resolves
   * when no renewal is in flight any more. Calling that again does no harm, nor after a later `keepAlive`, which goes on.
   * @throws {LeaseLostError} when it was lost @throws {NotHeldError} when it was released
   */
  keepAlive(options?: KeepAliveOptions): () => Promise<void>;
  /**
   * Ends this handle without a release, and makes the data with which somebody else goes on with the lock: another process, or a program in
   * another language by SQL. Stops the renewals, waits for one in flight, and renews once more: from then on the lock lives by its TTL
   * alone, `ttlMs`, whatever becomes of this process. Nothing fires: not `signal`, not `onLost`. End your guarded transactions before: one
   * that is open keeps the lock from being adopted. The data holds the secret token.
   *
   * ```ts
   * import { fork } from "node:child_process";
   *
   * const worker = fork("worker.js");
   * worker.send(await lock.detach()); // and there: await locker.adopt(detached)
   * ```
   * @throws {LeaseLostError} when it was lost @throws {NotHeldError} when it was released or detached already
   * @throws {UnavailableError} when there was no answer: this handle still holds it, until a crash of this process for its TTL perhaps
   * @throws {UnsupportedError} over a store whose locks cannot be handed over
   */
  detach(): Promise<DetachedLock>;
  /** JSON-safe, and without the token. */
  toJSON(): LockJson;
}
