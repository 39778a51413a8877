import type { LeaseLostError } from "../errors/errors.js";
import type { ConnectionOptions } from "./connection-options.js";
import type { Lock } from "./lock.js";
import type { JsonValue } from "./metadata.js";
import type { PostgresClient } from "./postgres-client.js";
import type { RetryStrategy } from "./retry.js";
import type { ShareOptions } from "./share-options.js";
import type { StoreFactory } from "./store.js";

/** What a lock is acquired with, and what a locker may set for all of its locks. All durations are in milliseconds. */
export interface LeaseOptions {
  /**
   * How long a grant lasts unless it is renewed: the time after which a process that hangs loses its lock. It is stored
   * with the lease, so participants may use different values. An integer of 100 to 2,147,483,647 ms; default 30,000.
   */
  readonly ttlMs?: number | undefined;
  /**
   * Whether held locks are renewed in the background. Without it a lock ends after `ttlMs` unless `lock.renew()` is called.
   * Default true.
   */
  readonly keepAlive?: boolean | undefined;
  /** How often a held lock is renewed. An integer of 20 ms and up, below `ttlMs`; default: a third of `ttlMs`. */
  readonly renewEveryMs?: number | undefined;
  /**
   * Minimum time from grant to the next grant: a key that is released earlier stays locked until then, even if the process has ended. Of a share
   * its part stays: others may share the key meanwhile.
   * For cron jobs that end at once, on machines whose clocks differ. A crash before the release cancels it.
   * An integer of 0 to 2,147,483,647 ms, or a pair of these, `[min, max]`: a random time between the two, both included, drawn for each call.
   * Default 0.
   */
  readonly minHoldMs?: number | readonly [min: number, max: number] | undefined;
  /**
   * A lock is lost (`max-hold`) after this time, renewed or not: a limit for a body that never returns.
   * An integer of 1 to 2,147,483,647 ms, or `Infinity` for none; default `Infinity`.
   */
  readonly maxHoldMs?: number | undefined;
  /**
   * How long a guarded transaction may stay open, so that an abandoned one does not block the key for ever. Postgres cancels a statement, or
   * ends an idle transaction, that takes longer; from Postgres 17 on, the whole transaction. Lower limits of yours stay in effect.
   * An integer of 100 to 2,147,483,647 ms; default `ttlMs`, at least 1,000.
   */
  readonly guardTimeoutMs?: number | undefined;
  /**
   * Any JSON value of up to 64 KiB, stored with the lease for others to read: never put a secret there.
   * Plain values only (no Date, no class instance, no bigint), without NUL and lone surrogates. Default null.
   */
  readonly metadata?: JsonValue | undefined;
  /** The holder's name, as others see it. 1 to 256 bytes; default `host name:process id`. It grants nothing: the token does. */
  readonly owner?: string | undefined;
  /**
   * Called once when a held lock is lost; not on an ordinary release, nor by `close`. What it throws goes to `onError`.
   * One given to a call replaces the locker's.
   */
  readonly onLost?: ((lock: Lock, error: LeaseLostError) => void) | undefined;
}

/** How the calls wait that wait, and what a locker may set for all of them. */
export interface WaitOptions {
  /**
   * How long acquire and withLock wait in the queue before WaitTimeoutError. The default outlasts a holder that crashed (it is free after its
   * `takeoverDelayMs`), but not one that hangs (free after its `ttlMs`, 30 s by default): a request should fail before its client gives up. Give a
   * background job more than `ttlMs`. An integer of 0 to 2,147,483,647 ms, or `Infinity`; default 10,000, but `Infinity` where the same options
   * have a `retry`.
   */
  readonly waitMs?: number | undefined;
  /**
   * Tries again and again, after the delays of this strategy, in place of standing in the queue: between two tries nothing is sent, and
   * whoever queues for the key goes first. Each try is a `tryAcquire`, bounded by `requestTimeoutMs`. The call ends with RetriesExhaustedError
   * when the strategy gives up, and with WaitTimeoutError when `waitMs` is over, after a last try. A call that is given its own `waitMs`
   * alone keeps the locker's `retry`; one that is given its own `retry` alone has no limit but the strategy's, whatever the locker's `waitMs`.
   * With `waitMs: 0` the key is tried once. Default: the queue. See `backoff`.
   */
  readonly retry?: RetryStrategy | undefined;
  /**
   * What a call that waits does for a key that the code it is called from holds already: `withLock("a", ...)` in the body of `withLock("a", ...)`.
   *
   * - `throw`: rejects with ReentryError at once. Set it for the locker: bodies of `withLock` then run in an AsyncLocalStorage, which costs a few
   *   microseconds for each. A call that sets it alone knows of no body around it.
   * - `wait`: waits like anybody else, in vain until `waitMs` is over if the outer body awaits it.
   *
   * Default `wait`.
   */
  readonly reentry?: "throw" | "wait" | undefined;
}

/** Options of `tryAcquire` and `tryWithLock`, which do not wait. What is left out comes from the locker. */
export interface TryOptions extends LeaseOptions, ShareOptions {
  /** Cancels the call, not the lock: it rejects with `signal.reason`. A signal that is aborted already sends nothing. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of `acquire` and `withLock`. What is left out comes from the locker. */
export interface AcquireOptions extends TryOptions, WaitOptions {}

/** Options of `adopt`. What is left out comes from the locker. Metadata and the minimum hold are those that the lock was acquired with. */
export interface AdoptOptions
  extends Pick<
    LeaseOptions,
    "ttlMs" | "keepAlive" | "renewEveryMs" | "maxHoldMs" | "guardTimeoutMs" | "owner" | "onLost"
  > {}

/** Where the leases are, and how this process gets there. */
export interface BackendOptions {
  /**
   * Address of the database, `postgres://...`. May go through a transaction pooler when `directUrl` does not, or with
   * `presence: "off"`. Several hosts are separated by commas. What Prisma and libpq write into addresses is understood.
   * Default, unless `client` or `connection.host` is given: what the environment says when the locker is first used, in
   * LEASEHOLD_DATABASE_URL, DATABASE_URL, or PGHOST, PGPORT, PGUSER and PGDATABASE. Parts that are missing come from those, PGPASSWORD and PGSSLMODE.
   */
  readonly url?: string | undefined;
  /**
   * Address of the same database past any pooler, for the session. Default: `url`; where that comes from the environment,
   * the environment's LEASEHOLD_DIRECT_URL, DIRECT_URL or DATABASE_URL_UNPOOLED first (beside `client`, only the first of these).
   */
  readonly directUrl?: string | undefined;
  /**
   * An existing client to send the commands through: one of postgres.js, `postgres(...)`, or a `Pool` of node-postgres; the pool itself,
   * not a transaction nor a single connection. It is never ended. Without `url` and `directUrl`, the session takes its address from it.
   */
  readonly client?: PostgresClient | undefined;
  /** Options of postgres.js for the clients that the locker makes itself, such as `ssl` and `password`. */
  readonly connection?: ConnectionOptions | undefined;
  /**
   * - `on`: one connection per locker proves to Postgres that this process is alive, so that a crash frees its locks after
   *   `takeoverDelayMs`. That connection must not go through a transaction pooler.
   * - `off`: no such connection; a crash frees the locks after their `ttlMs`. Works through any pooler.
   *
   * Default `on`.
   */
  readonly presence?: "on" | "off" | undefined;
  /**
   * How long after its last heartbeat a crashed process loses its locks. An integer of 1,000 to 2,147,483,647 ms, or 0: as
   * soon as its connection is gone; then a lock may be believed held until its TTL, and exclusion rests on the fences.
   * Default 5,000. Takes effect with `presence: "on"`.
   */
  readonly takeoverDelayMs?: number | undefined;
  /** How long a call may wait for an answer of Postgres before UnavailableError. An integer of 50 ms and up; default 5,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long one attempt to connect may take. An integer of 50 ms and up; default: `connect_timeout` of the address, else 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * A locker that holds nothing and waits for nothing closes its connections after this time, and opens them again with the next
   * call. An integer of 50 ms and up, or `Infinity`; default 60,000.
   */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * How often the sweeper runs while this locker is in use, give or take half of it. Of many lockers on one database, one sweeps
   * for all. An integer of 1,000 ms and up, or `Infinity`: never; default 60,000.
   */
  readonly sweepEveryMs?: number | undefined;
  /**
   * How long after something was counted the counters are written to the database, for the views there. An integer of 100 ms
   * and up, or `Infinity`: never. Default 10,000. `locker.stats()` is not affected.
   */
  readonly statsFlushMs?: number | undefined;
  /**
   * Where the leases are kept:
   *
   * - `postgres`: in the database that `url` names.
   * - `memory`: in this process, one for all its lockers (of instances: for all of the same name). For tests, and for a program that is one process.
   * - `noop`: nowhere. Everything is granted at once; a process warning says so once.
   * - a name in `stores`, or the function that makes a store: see `leasehold/store`.
   *
   * Where it is not `postgres`, the options of the connection have no effect. Default: LEASEHOLD_STORE of the environment, else `postgres`.
   */
  readonly store?: StoreName | StoreFactory | (string & {}) | undefined;
  /** Stores of your own by name, so that `store` or LEASEHOLD_STORE can choose one. */
  readonly stores?: { readonly [name: string]: StoreFactory } | undefined;
}

/** The stores that come with the package. */
export type StoreName = "postgres" | "memory" | "noop";

/**
 * Options of one instance: where it is, and how it is reached. What is left out comes from the options beside `instances`, those of `connection`
 * one by one. An instance with an address of its own (`url`, `directUrl`, `client`, or `connection.host`, `port` or `path`) takes none of these from there.
 */
export interface InstanceOptions extends BackendOptions {
  /**
   * Its part of the keys, beside the weights of the others. 0 or less takes it out of the routing, not out of reach: `locker.on(name)`. At least
   * one instance needs a weight above 0. A finite number; default 1.
   */
  readonly weight?: number | undefined;
}

/**
 * Options of `createLocker`. `undefined` means the default. Anything of the wrong type or out of range, `null` included,
 * throws InvalidOptionError, and so does an option that does not exist.
 *
 * ```ts
 * const locker = createLocker({ url: "postgres://app@db.example/app", ttlMs: 10_000, waitMs: 30_000 });
 * ```
 */
export interface LockerOptions extends LeaseOptions, WaitOptions, BackendOptions {
  /**
   * Several databases by name, instead of one: each key lives on one of them, chosen by its text, the names and the weights. All processes have to
   * agree on these. Names are 1 to 63 letters, digits, `-` and `_`. The options of a backend beside it are the defaults of each.
   *
   * ```ts
   * const locker = createLocker({
   *   instances: { east: { url: "postgres://app@east.example/app", weight: 2 }, west: { url: "postgres://app@west.example/app" } },
   * });
   * ```
   */
  readonly instances?: { readonly [name: string]: InstanceOptions } | undefined;
  /** Text in front of every key, part of the key's identity and of its 512 bytes. Default none. */
  readonly prefix?: string | undefined;
  /**
   * Under which prefix a key (the full one) counts in the statistics: text of up to 512 bytes; a hundred different ones are
   * counted separately. Called for each acquire. Default: the key up to its first `:` after the locker's own `prefix`; without a `:`
   * that `prefix`.
   */
  readonly statsPrefix?: ((key: string) => string) | undefined;
  /** Called after each grant. What it throws goes to `onError`. */
  readonly onAcquired?: ((lock: Lock) => void) | undefined;
  /**
   * Called with errors of background work: a renewal, the session, a callback of yours. Default: a process warning
   * for what your callbacks throw.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Options of `forceRelease`. */
export interface ForceReleaseOptions {
  /** Only the grant with this fence, so that a newer one is not taken away by mistake. Of several who share the key, only that one. */
  readonly fence?: bigint | undefined;
  /**
   * Frees the key now, although its holder may still believe that it holds: exclusion is broken on purpose, and only fences
   * protect what is written. Default false: the holder is notified at its next renewal, and the key is
   * free when it lets go or at the expiry it was last given.
   */
  readonly immediate?: boolean | undefined;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long to wait for the bodies of `withLock` and for held locks to be released. An integer of 0 ms and up; default 0. */
  readonly drainMs?: number | undefined;
}
