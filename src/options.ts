import type { LeaseLostError } from "./errors.js";
import type { Lock } from "./lock.js";
import type { JsonValue } from "./metadata.js";
import type { ConnectionOptions } from "./postgres/connection-options.js";
import type { PostgresClient } from "./postgres-client.js";

/** What a lock is acquired with, and what a locker may set for all of its locks. All durations are in milliseconds. */
export interface LeaseOptions {
  /**
   * How long a grant lasts unless it is renewed: the time after which a process that hangs loses its lock. The row stores
   * it, so participants with different values get along. An integer of 100 to 2,147,483,647 ms; default 30,000.
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
   * A release that comes sooner after the grant keeps the key from everybody until then, also when the process has ended:
   * for jobs that end at once, on machines whose clocks differ. A crash before the release drops it.
   * An integer of 0 to 2,147,483,647 ms; default 0.
   */
  readonly minHoldMs?: number | undefined;
  /**
   * A lock is lost (`max-hold`) when it is held for this long, renewed or not: the bound for a body that never returns.
   * An integer of 1 to 2,147,483,647 ms, or `Infinity` for none; default `Infinity`.
   */
  readonly maxHoldMs?: number | undefined;
  /**
   * How long a guarded transaction may stay open: it bounds what an abandoned one blocks. Postgres ends a statement, or an
   * idle transaction, that takes longer; from Postgres 17 on, the whole transaction. Limits of yours that are lower stay.
   * An integer of 100 to 2,147,483,647 ms; default `ttlMs`, at least 1,000.
   */
  readonly guardTimeoutMs?: number | undefined;
  /**
   * Anything that JSON can say, up to 64 KiB of it, stored with the lease for others to read: never put a secret there.
   * Plain values only (no Date, no class instance, no bigint), without NUL and lone surrogates. Default null.
   */
  readonly metadata?: JsonValue | undefined;
  /** Who others see as the holder. 1 to 256 bytes; default `host name:process id`. Grants nothing: the token does. */
  readonly owner?: string | undefined;
  /**
   * Is called once when a held lock is lost, not on an ordinary release nor by `close`. What it throws goes to `onError`.
   * Given to a call, it stands in place of the locker's.
   */
  readonly onLost?: ((lock: Lock, error: LeaseLostError) => void) | undefined;
}

/**
 * Options of `createLocker`. `undefined` means the default. Anything of the wrong type or out of range, `null` included,
 * throws InvalidOptionError, and so does an option that does not exist.
 *
 * ```ts
 * const locker = createLocker({ url: "postgres://app@db.example/app", ttlMs: 10_000, waitMs: 30_000 });
 * ```
 */
export interface LockerOptions extends LeaseOptions {
  /**
   * Address of the database, `postgres://...`. May go through a transaction pooler when `directUrl` does not, or with
   * `presence: "off"`. Several hosts are separated by commas. What Prisma and libpq write into addresses is understood.
   * Default: the environment's LEASEHOLD_DATABASE_URL or DATABASE_URL, unless `sql` or `connection.host` is given;
   * parts that are missing come from PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE.
   */
  readonly url?: string | undefined;
  /**
   * Address of the same database past any pooler, for the session. Default: `url`; where that comes from the environment,
   * the environment's LEASEHOLD_DIRECT_URL, DIRECT_URL or DATABASE_URL_UNPOOLED first (beside `sql`, only the first of these).
   */
  readonly directUrl?: string | undefined;
  /**
   * An existing postgres.js client to send the commands through, `postgres(...)`: the pool itself, not a transaction nor a
   * reserved connection. It is never ended. Without `url` and `directUrl`, the session takes its address from this client.
   */
  readonly sql?: PostgresClient | undefined;
  /** Options of postgres.js for the clients that the locker makes itself, such as `ssl` and `password`. */
  readonly connection?: ConnectionOptions | undefined;
  /**
   * - `on`: one connection per locker tells Postgres that this process lives, so that a crash frees its locks after
   *   `takeoverDelayMs`. That connection must not go through a transaction pooler.
   * - `off`: no such connection; a crash frees the locks after their `ttlMs`. Works through any pooler.
   *
   * Default `on`.
   */
  readonly presence?: "on" | "off" | undefined;
  /** Text in front of every key, part of the key's identity and of its 512 bytes. Default none. */
  readonly prefix?: string | undefined;
  /**
   * How long acquire and withLock wait in line before WaitTimeoutError. More than `ttlMs` outlasts a holder that hangs.
   * An integer of 0 to 2,147,483,647 ms, or `Infinity`; default 10,000.
   */
  readonly waitMs?: number | undefined;
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
   * A locker that holds nothing and waits for nothing gives its connections back after this long, and comes back with the
   * next call. An integer of 50 ms and up, or `Infinity`; default 60,000.
   */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * How often the sweeper runs while this locker is in use: give or take half of it, and with many lockers on one database one of them
   * for all. An integer of 1,000 ms and up, or `Infinity`: never; default 60,000.
   */
  readonly sweepEveryMs?: number | undefined;
  /**
   * How long after something was counted the counters are written to the database, for the views there. An integer of 100 ms
   * and up, or `Infinity`: never. Default 10,000. What `locker.stats()` tells is not affected.
   */
  readonly statsFlushMs?: number | undefined;
  /**
   * Under which prefix a key (the full one) counts in the statistics: text of up to 512 bytes; a hundred different ones are
   * told apart. Is called for each acquire. Default: the key up to its first `:` after the locker's own `prefix`; without a `:`
   * that `prefix`.
   */
  readonly statsPrefix?: ((key: string) => string) | undefined;
  /** Is called after each grant. What it throws goes to `onError`. */
  readonly onAcquired?: ((lock: Lock) => void) | undefined;
  /**
   * Is called with what failed in the background: a renewal, the session, a callback of yours. Default: a process warning
   * for what your callbacks throw.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Options of `acquire` and `withLock`. What is left out comes from the locker. */
export interface AcquireOptions extends LeaseOptions {
  /** How long to wait in line before WaitTimeoutError. An integer of 0 to 2,147,483,647 ms, or `Infinity`. */
  readonly waitMs?: number | undefined;
  /**
   * Cancels the waiting, not the lock: the call rejects with `signal.reason`. A signal that is aborted already sends nothing.
   */
  readonly signal?: AbortSignal | undefined;
}

/** Options of `tryAcquire` and `tryWithLock`, which do not wait. */
export type TryOptions = Omit<AcquireOptions, "waitMs">;

/** Options of `forceRelease`. */
export interface ForceReleaseOptions {
  /** Only if the key is held with this fence: not a grant that came after the one that was meant. */
  readonly fence?: bigint | undefined;
  /**
   * Frees the key now, although its holder may still believe that it holds: exclusion is broken on purpose, and only fences
   * protect what is written. Default false: the holder is told at its next renewal, and the key is free when it lets go or at
   * the expiry it was last given.
   */
  readonly immediate?: boolean | undefined;
}

/** Options of `close`. */
export interface CloseOptions {
  /** How long to wait for the bodies of `withLock` and for held locks to be released. An integer of 0 ms and up; default 0. */
  readonly drainMs?: number | undefined;
}
