import type { BackendOptions, LeaseOptions, LockerOptions, WaitOptions } from "../api/options.js";
import { storeNames } from "../config/resolve-store.js";
import { checkOneOf } from "../errors/option-checks.js";
import { connection } from "./connection.js";
import type { Kind, Table } from "./kind.js";
import { address, choice, duration, json, text, truth } from "./kinds.js";
import { minHold } from "./min-hold.js";
import { retry } from "./retry.js";

const isFunction = "it is a function; give it to createLocker, beside what the configuration says";

const lease: Table<LeaseOptions> = {
  ttlMs: { kind: duration(100), about: "How long a grant lasts unless it is renewed. Default 30 s." },
  keepAlive: { kind: truth, about: "Whether held locks are renewed in the background. Default true." },
  renewEveryMs: { kind: duration(20), about: "How often they are, less than ttlMs. Default: a third of ttlMs." },
  minHoldMs: {
    kind: minHold,
    about: "A release before it keeps the key from everybody until then; a pair: a random time between. Default 0.",
  },
  maxHoldMs: {
    kind: duration(1, { infinite: true }),
    about: "The lock is lost after this long, renewed or not. Default Infinity.",
  },
  guardTimeoutMs: {
    kind: duration(100),
    about: "How long a guarded transaction may stay open. Default: ttlMs, at least 1 s.",
  },
  metadata: { kind: json, about: "JSON to store with the lease, up to 64 KiB. Never a secret. Default null." },
  owner: { kind: text(1, 256), about: "Who others see as the holder. Default: host name and process id." },
  onLost: { excluded: isFunction },
};

const wait: Table<WaitOptions> = {
  waitMs: {
    kind: duration(0, { infinite: true }),
    about: "How long to wait in the queue before WaitTimeoutError. Default 10 s, or Infinity beside retry.",
  },
  retry: { kind: retry, about: "Tries again after these delays in place of queueing. Default: the queue." },
  reentry: {
    kind: choice("throw", "wait"),
    about: "What a wait does for a key that the code it is called from holds already. Default wait.",
  },
};

/** The names of the user's own stores are not known to a schema. */
const store: Kind<string> = {
  schema: { anyOf: [{ enum: storeNames }, { type: "string" }] },
  read: (value, path, { stores }) => checkOneOf(path, value, [...storeNames, ...Object.keys(stores)]),
};

export const backend: Table<BackendOptions> = {
  url: {
    kind: address,
    about: "Address of the database. Default: LEASEHOLD_DATABASE_URL or DATABASE_URL of the environment, or PG*.",
  },
  directUrl: { kind: address, about: "Address of the same database past any pooler. Default: url." },
  client: { excluded: "it is a client that is open; give it to createLocker, beside what the configuration says" },
  connection: { kind: connection, about: "Options of postgres.js for the locker's own connections." },
  presence: {
    kind: choice("on", "off"),
    about: "off: no session; works through any pooler, and a crash frees locks at their TTL. Default on.",
  },
  takeoverDelayMs: {
    kind: duration(1_000, { zero: true }),
    about: "How long after its last heartbeat a crashed process loses its locks: 0, or 1 s and more. Default 5 s.",
  },
  requestTimeoutMs: { kind: duration(50), about: "How long to wait for an answer of Postgres. Default 5 s." },
  connectTimeoutMs: {
    kind: duration(50),
    about: "How long one attempt to connect may take. Default: connect_timeout of the address, else 5 s.",
  },
  idleTimeoutMs: {
    kind: duration(50, { infinite: true }),
    about: "An idle locker gives its connections back after this long. Default 60 s.",
  },
  sweepEveryMs: {
    kind: duration(1_000, { infinite: true }),
    about: "How often the sweeper runs while the locker is in use; Infinity: never. Default 60 s.",
  },
  statsFlushMs: {
    kind: duration(100, { infinite: true }),
    about: "How long after something was counted the counters are written; Infinity: never. Default 10 s.",
  },
  store: {
    kind: store,
    about:
      "postgres, memory, noop, or one of the program's own stores. Default: LEASEHOLD_STORE of the environment, else postgres.",
  },
  stores: { excluded: "stores are functions; give them to parseConfig or configFromEnv, as { stores }" },
};

/** What a configuration is: the options of a locker, and where an editor finds the schema of it. */
export interface Configuration extends LockerOptions {
  readonly $schema?: string | undefined;
}

/** Every option of a locker, and what a configuration can have for it. */
export const configOptions: Table<Configuration> = {
  $schema: { kind: text(0, 2_000), about: "Where an editor finds this schema. It has no effect." },
  ...backend,
  prefix: { kind: text(0, 511), about: "Text in front of every key. Default none." },
  ...lease,
  ...wait,
  statsPrefix: { excluded: isFunction },
  onAcquired: { excluded: isFunction },
  onError: { excluded: isFunction },
};
