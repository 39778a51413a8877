import { hostname } from "node:os";
import type { ConnectionOptions } from "../api/connection-options.js";
import type { Lock } from "../api/lock.js";
import type { AcquireOptions, BackendOptions, LeaseOptions, LockerOptions, StoreName } from "../api/options.js";
import type { PostgresClient } from "../api/postgres-client.js";
import type { RetryStrategy } from "../api/retry.js";
import type { StoreFactory } from "../api/store.js";
import { InvalidOptionError, type LeaseLostError } from "../errors/errors.js";
import {
  checkBoolean,
  checkFunction,
  checkMs,
  checkNames,
  checkOneOf,
  checkRenewEveryMs,
  checkText,
  checkTtlMs,
} from "../errors/option-checks.js";
import { checkClient } from "./check-client.js";
import { checkConnectionOptions } from "./connection-options.js";
import { type CheckedMetadata, checkMetadata } from "./metadata.js";
import { checkMinHold, drawMinHoldMs, type MinHold } from "./min-hold.js";
import type { OutagePace } from "./outage-pace.js";
import { resolveStore } from "./resolve-store.js";
import { type Targets, targetsOf } from "./resolve-targets.js";
import { checkShare, type ShareTerms } from "./share.js";

/** How long one attempt to connect may take, unless an option or the address says otherwise. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** The options of a locker, checked and complete. */
export interface ResolvedLockerOptions extends ResolvedLeaseOptions<MinHold> {
  /** The name of the instance that they are for; null where there is one database without a name. */
  readonly instance: string | null;
  /** Where to connect. @throws InvalidOptionError when neither the options say it nor, by now, the environment */
  readonly targets: () => Targets;
  readonly store: StoreName | StoreFactory;
  readonly client: PostgresClient | null;
  readonly connection: ConnectionOptions;
  readonly presence: "on" | "off";
  readonly prefix: string;
  /** `Infinity`: no limit. */
  readonly waitMs: number;
  /** Null: calls that wait stand in the queue. */
  readonly retry: RetryStrategy | null;
  readonly reentry: "throw" | "wait";
  /** Null: a third of each lock's `ttlMs`. */
  readonly renewEveryMs: number | null;
  /** 0 or at least 1,000. */
  readonly takeoverDelayMs: number;
  readonly requestTimeoutMs: number;
  /** Null: `connect_timeout` of the address, else CONNECT_TIMEOUT_MS. */
  readonly connectTimeoutMs: number | null;
  /** `Infinity`: connections are kept. */
  readonly idleTimeoutMs: number;
  /** `Infinity`: this locker does not sweep by itself. */
  readonly sweepEveryMs: number;
  /** `Infinity`: the counters stay in the process. */
  readonly statsFlushMs: number;
  readonly statsPrefix: ((key: string) => string) | null;
  readonly onAcquired: ((lock: Lock) => void) | null;
  readonly onError: ((error: unknown) => void) | null;
}

/** The options of one acquire, checked and completed from those of the locker. */
export interface ResolvedAcquireOptions extends ResolvedLeaseOptions<number> {
  /** `Infinity`: no limit. 0: the call does not wait. */
  readonly waitMs: number;
  /** Null: it stands in the queue, or does not wait. */
  readonly retry: RetryStrategy | null;
  /** Null: it is exclusive. */
  readonly share: ShareTerms | null;
  /** Whether it stands in the queue. */
  readonly queues: boolean;
  readonly reentry: "throw" | "wait";
  readonly signal: AbortSignal | null;
  readonly renewEveryMs: number;
  /** Equal for acquires with the same terms: they can share a statement. */
  readonly sort: string;
  /** Absent: a wait has a pace of its own. */
  readonly pace?: OutagePace;
}

interface ResolvedLeaseOptions<Hold extends MinHold> {
  readonly ttlMs: number;
  readonly keepAlive: boolean;
  readonly minHoldMs: Hold;
  /** `Infinity`: no limit. */
  readonly maxHoldMs: number;
  /** Null: each lock's `ttlMs`, at least 1,000. */
  readonly guardTimeoutMs: number | null;
  readonly metadata: CheckedMetadata;
  readonly owner: string;
  readonly onLost: ((lock: Lock, error: LeaseLostError) => void) | null;
}

type Names<Options> = { readonly [Name in keyof Options]-?: true };

/** Objects, so that the compiler notices a missing name. */
const leaseNames: Names<LeaseOptions> = {
  ttlMs: true,
  keepAlive: true,
  renewEveryMs: true,
  minHoldMs: true,
  maxHoldMs: true,
  guardTimeoutMs: true,
  metadata: true,
  owner: true,
  onLost: true,
};
const acquireNames: Names<AcquireOptions> = {
  waitMs: true,
  retry: true,
  reentry: true,
  signal: true,
  shared: true,
  capacity: true,
  weight: true,
  ...leaseNames,
};
const acquireNameList = Object.keys(acquireNames);
/** Those of one database, which an instance may have of its own. */
export const backendNames: Names<BackendOptions> = {
  url: true,
  directUrl: true,
  client: true,
  connection: true,
  presence: true,
  takeoverDelayMs: true,
  requestTimeoutMs: true,
  connectTimeoutMs: true,
  idleTimeoutMs: true,
  sweepEveryMs: true,
  statsFlushMs: true,
  store: true,
  stores: true,
};
export const lockerNames: Names<LockerOptions> = {
  ...backendNames,
  instances: true,
  prefix: true,
  waitMs: true,
  retry: true,
  reentry: true,
  statsPrefix: true,
  onAcquired: true,
  onError: true,
  ...leaseNames,
};

type Given = Readonly<Record<string, unknown>>;

/**
 * Checks the options of `createLocker`, and fills in the defaults; those of `instances` are not looked at, see resolve-instances.ts. `instance`:
 * the one that they are for. Throws InvalidOptionError.
 */
export function resolveLockerOptions(
  options: unknown,
  env: Readonly<Record<string, string | undefined>> = process.env,
  instance: string | null = null,
): ResolvedLockerOptions {
  const given = checkNames("createLocker's options", options, Object.keys(lockerNames));
  const client = given.client === undefined ? null : checkClient(given.client);
  const connection = checkConnectionOptions(given.connection);
  const targets = targetsOf({ url: given.url, directUrl: given.directUrl, connection, client, env });
  const lease = resolveLeaseOptions(given, {
    ttlMs: 30_000,
    keepAlive: true,
    minHoldMs: 0,
    maxHoldMs: Number.POSITIVE_INFINITY,
    guardTimeoutMs: null,
    metadata: checkMetadata(null),
    owner: `${hostname()}:${process.pid}`,
    onLost: null,
  });
  const { renewEveryMs } = given;
  return {
    ...lease,
    instance,
    targets,
    store: resolveStore(given.store, given.stores, env),
    client,
    connection,
    presence: given.presence === undefined ? "on" : checkOneOf("presence", given.presence, ["on", "off"]),
    prefix: given.prefix === undefined ? "" : checkText("prefix", given.prefix, 0, 511),
    ...waiting(given, { waitMs: 10_000, retry: null }),
    reentry: reentry(given.reentry, "wait"),
    renewEveryMs: renewEveryMs === undefined ? null : checkRenewEveryMs(renewEveryMs, lease.ttlMs),
    takeoverDelayMs: takeoverDelay(given.takeoverDelayMs),
    requestTimeoutMs: ms(given, "requestTimeoutMs", 5_000, 50),
    connectTimeoutMs:
      given.connectTimeoutMs === undefined ? null : checkMs("connectTimeoutMs", given.connectTimeoutMs, 50),
    idleTimeoutMs: ms(given, "idleTimeoutMs", 60_000, 50, { mayBeInfinite: true }),
    sweepEveryMs: ms(given, "sweepEveryMs", 60_000, 1_000, { mayBeInfinite: true }),
    statsFlushMs: ms(given, "statsFlushMs", 10_000, 100, { mayBeInfinite: true }),
    statsPrefix: given.statsPrefix === undefined ? null : checkFunction("statsPrefix", given.statsPrefix),
    onAcquired: given.onAcquired === undefined ? null : checkFunction("onAcquired", given.onAcquired),
    onError: given.onError === undefined ? null : checkFunction("onError", given.onError),
  };
}

/**
 * Checks the options of an acquire, and fills in those of the locker. `waits` is false for calls that only try. Throws
 * InvalidOptionError.
 */
export function resolveAcquireOptions(
  locker: ResolvedLockerOptions,
  options: unknown,
  { waits }: { readonly waits: boolean },
): ResolvedAcquireOptions {
  const given = checkNames("the options of this call", options, acquireNameList);
  const option = (["waitMs", "retry", "reentry"] as const).find((name) => given[name] !== undefined);
  if (!waits && option !== undefined) {
    const expected = `no ${option}: tryAcquire and tryWithLock do not wait; acquire and withLock do`;
    throw new InvalidOptionError({ option, expected, received: given[option] });
  }
  const lease = resolveLeaseOptions(given, locker);
  const { renewEveryMs, signal } = given;
  // The locker's interval was chosen for the locker's ttlMs, and may be too long for a shorter one.
  const inherited = locker.renewEveryMs !== null && locker.renewEveryMs < lease.ttlMs ? locker.renewEveryMs : null;
  const { waitMs, retry } = waits ? waiting(given, locker) : { waitMs: 0, retry: null };
  const queues = waitMs > 0 && retry === null;
  const minHoldMs = drawMinHoldMs(lease.minHoldMs);
  const share = checkShare(given);
  return {
    ...lease,
    minHoldMs,
    waitMs,
    retry: waitMs > 0 ? retry : null,
    share,
    queues,
    reentry: reentry(given.reentry, locker.reentry),
    sort: sortOf({ ...lease, minHoldMs, share, queues }),
    signal: signal === undefined ? null : checkSignal(signal),
    renewEveryMs:
      renewEveryMs === undefined
        ? (inherited ?? Math.floor(lease.ttlMs / 3))
        : checkRenewEveryMs(renewEveryMs, lease.ttlMs),
  };
}

/** Equal for equal terms. */
export function sortOf(
  terms: Omit<ResolvedAcquireOptions, "sort" | "waitMs" | "retry" | "reentry" | "signal" | "renewEveryMs">,
): string {
  const { owner, ttlMs, minHoldMs, maxHoldMs, metadata, queues, share } = terms;
  return JSON.stringify([owner, ttlMs, minHoldMs, maxHoldMs, metadata.json, queues, share]);
}

function resolveLeaseOptions(given: Given, defaults: ResolvedLeaseOptions<MinHold>): ResolvedLeaseOptions<MinHold> {
  const { ttlMs, keepAlive, minHoldMs, guardTimeoutMs, metadata, owner, onLost } = given;
  return {
    ttlMs: ttlMs === undefined ? defaults.ttlMs : checkTtlMs(ttlMs),
    keepAlive: keepAlive === undefined ? defaults.keepAlive : checkBoolean("keepAlive", keepAlive),
    minHoldMs: minHoldMs === undefined ? defaults.minHoldMs : checkMinHold(minHoldMs),
    maxHoldMs: ms(given, "maxHoldMs", defaults.maxHoldMs, 1, { mayBeInfinite: true }),
    guardTimeoutMs:
      guardTimeoutMs === undefined ? defaults.guardTimeoutMs : checkMs("guardTimeoutMs", guardTimeoutMs, 100),
    metadata: metadata === undefined ? defaults.metadata : checkMetadata(metadata),
    owner: owner === undefined ? defaults.owner : checkText("owner", owner, 1, 256),
    onLost: onLost === undefined ? defaults.onLost : checkFunction("onLost", onLost),
  };
}

/** Who retries waits for as long as the strategy does, unless the same options say how long. */
function waiting(
  given: Given,
  defaults: Pick<ResolvedLockerOptions, "waitMs" | "retry">,
): Pick<ResolvedLockerOptions, "waitMs" | "retry"> {
  const isOwn = given.retry !== undefined;
  return {
    waitMs: ms(given, "waitMs", isOwn ? Number.POSITIVE_INFINITY : defaults.waitMs, 0, { mayBeInfinite: true }),
    retry: isOwn ? checkFunction("retry", given.retry) : defaults.retry,
  };
}

function ms(given: Given, name: string, byDefault: number, least: number, bounds?: { mayBeInfinite: boolean }): number {
  const value = given[name];
  return value === undefined ? byDefault : checkMs(name, value, least, bounds);
}

function reentry(value: unknown, byDefault: "throw" | "wait"): "throw" | "wait" {
  return value === undefined ? byDefault : checkOneOf("reentry", value, ["throw", "wait"]);
}

function takeoverDelay(value: unknown): number {
  if (value === undefined) return 5_000;
  if (value === 0) return 0;
  if (typeof value === "number" && value < 1_000) {
    const expected = "0, or an integer of 1000 and up (milliseconds)";
    throw new InvalidOptionError({ option: "takeoverDelayMs", expected, received: value });
  }
  return checkMs("takeoverDelayMs", value, 1_000);
}

/** Checks the shape, so that signals of other realms and of polyfills pass. */
function checkSignal(value: unknown): AbortSignal {
  if (typeof value === "object" && value !== null) {
    const { aborted, addEventListener, removeEventListener } = value as Partial<AbortSignal>;
    const isTarget = typeof addEventListener === "function" && typeof removeEventListener === "function";
    if (isTarget && typeof aborted === "boolean") return value as AbortSignal;
  }
  throw new InvalidOptionError({ option: "signal", expected: "an AbortSignal", received: value });
}
